"""What an operation answers with, over any transport: a document, or bytes as they come.

Nothing here knows HTTP's library, so that one action serves HTTP, MCP and callers in this process.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Any, Protocol

from pydantic import BaseModel

from sandboxes.protocol import SandboxError

Hook = Callable[[], Awaitable[None]]


@dataclass(slots=True)
class Reply:
    """A document with its own status and headers: a 402, an unconfirmed payment, what was charged."""

    document: BaseModel | dict[str, Any]
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class Whole:
    """A document that is there as a whole and too large to be copied: about `size_bytes` of JSON in pieces."""

    pieces: Iterable[bytes]
    size_bytes: int
    headers: dict[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class Stream:
    """Bytes as they come. What can be refused was refused before: `first` is in hand.

    `on_break` makes the last bytes of a stream that can say itself that it was broken off; without one the connection is cut. Who
    sends a stream closes `chunks`, then awaits `finish` when all of it was sent, and `release` in any case.
    """

    chunks: AsyncIterator[bytes]
    first: bytes = b""
    status: int = 200
    content_type: str = "application/octet-stream"
    headers: dict[str, str] = field(default_factory=dict)
    length: int | None = None
    on_break: Callable[[SandboxError], bytes] | None = None
    chunk_seconds_max: float | None = None
    """How long a reader may take for one chunk before it is cut off."""
    finish: Hook | None = None
    release: Hook | None = None


@dataclass(slots=True)
class Duplex:
    """Messages both ways. `connect` opens the side within; `owner` is the wallet whose budget they count for."""

    connect: Callable[[], Awaitable[Any]]
    owner: str


Outcome = BaseModel | Reply | Whole | Stream | Duplex


class Upload(AbstractAsyncContextManager["Upload"], Protocol):
    """Bytes on their way in. Why they were refused wins over what the receiver says of a sending that broke off."""

    def chunks(self) -> AsyncIterator[bytes]:
        """The bytes as they come; can be read once. Raises body_too_large, invalid_request."""
        ...


async def nothing() -> AsyncIterator[bytes]:
    """Behind a stream whose first bytes are all of it."""
    empty: tuple[bytes, ...] = ()
    for chunk in empty:
        yield chunk


async def close(chunks: AsyncIterator[Any]) -> None:
    """End an iteration before its end, so that what it holds is given back now."""
    end = getattr(chunks, "aclose", None)
    if end is not None:
        await end()


def with_headers(outcome: Outcome, headers: Mapping[str, str]) -> Outcome:
    """An outcome that says more in its headers."""
    if isinstance(outcome, BaseModel):
        return Reply(outcome, headers=dict(headers))
    if isinstance(outcome, Reply | Whole | Stream):
        outcome.headers = {**outcome.headers, **headers}
    return outcome
