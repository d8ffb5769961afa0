"""What the generated methods stand on: one typed call per kind of operation."""

from abc import ABC, abstractmethod
from collections.abc import AsyncIterable, Coroutine
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

from pydantic import BaseModel

from operations.sandbox import Paid

Output = TypeVar("Output", bound=BaseModel)
Result = TypeVar("Result")
Inner = TypeVar("Inner")

Upload = bytes | Path | AsyncIterable[bytes]
"""What can be uploaded: bytes, a file, or pieces as they come (those cannot be sent twice)."""


@dataclass(frozen=True, slots=True)
class PaymentTerms:
    """What a caller allows for one paid request. None takes the client's own limit, and any asset."""

    max_sats: int | None = None
    asset: str | None = None
    sponsored: bool = False


class Calls(ABC):
    """The kinds of calls an async client makes. Every one raises SatboxError and nothing else for what goes wrong."""

    @abstractmethod
    async def _call(self, name: str, output: type[Output], /, **values: Any) -> Output:
        """JSON in, a model out."""

    @abstractmethod
    async def _pay(self, name: str, terms: PaymentTerms, /, **values: Any) -> Paid:
        """Ask once, pay at most once."""

    @abstractmethod
    async def _upload(self, name: str, output: type[Output], data: Upload, /, **values: Any) -> Output:
        """Raw bytes in, a model out."""

    @abstractmethod
    async def _download(self, name: str, /, **values: Any) -> bytes:
        """Raw bytes out, within a limit."""

    @abstractmethod
    async def _text(self, name: str, /, **values: Any) -> str:
        """Plain text out."""


class SyncCalls(ABC, Generic[Inner]):
    """Runs an async client's coroutines to their end."""

    _client: Inner

    @abstractmethod
    def _run(self, work: Coroutine[Any, Any, Result]) -> Result:
        """The result of a coroutine; blocks."""
