"""What node and proxy say to each other: JSON messages over one SEQPACKET socket that has no name, one with a descriptor.

Node to proxy: `attach` (with the runtime's listener), `secrets` (announces how many `secret` follow), `secret`, `detach`.
Proxy to node: `ready` once, `usage` at most once a second for runtimes that moved bytes, `detached` with the last counters.
"""

from __future__ import annotations

import json
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

MESSAGE_BYTES_MAX = 131_072
SECRETS_MAX = 64


class _Message(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Attach(_Message):
    """Serve this runtime."""

    op: Literal["attach"] = "attach"
    runtime_id: str
    allow: tuple[str, ...]
    ports: tuple[int, ...]
    bytes_per_second: float
    bytes_max: int | None = None
    self_token: str = Field(default="", repr=False)


class Secrets(_Message):
    """`count` messages of one secret each follow; then they replace what the runtime had."""

    op: Literal["secrets"] = "secrets"
    runtime_id: str
    count: int = Field(ge=0, le=SECRETS_MAX)


class Secret(_Message):
    """See `guest.HeaderSecret`."""

    op: Literal["secret"] = "secret"
    runtime_id: str
    alias: str
    upstream: str
    header: str
    value: str = Field(repr=False)


class Detach(_Message):
    """Serve this runtime no more."""

    op: Literal["detach"] = "detach"
    runtime_id: str


class Usage(_Message):
    """Counters of a runtime since it was attached to this proxy; `is_last` after a detach."""

    op: Literal["usage"] = "usage"
    runtime_id: str
    in_bytes: int = Field(ge=0)
    out_bytes: int = Field(ge=0)
    refused: dict[str, int] = Field(default_factory=dict)
    is_last: bool = False


class Ready(_Message):
    """The proxy serves, and has given up its rights."""

    op: Literal["ready"] = "ready"


FromNode = Annotated[Attach | Secrets | Secret | Detach, Field(discriminator="op")]
FromProxy = Annotated[Usage | Ready, Field(discriminator="op")]
_FROM_NODE: TypeAdapter[FromNode] = TypeAdapter(FromNode)
_FROM_PROXY: TypeAdapter[FromProxy] = TypeAdapter(FromProxy)


def dump(message: BaseModel) -> bytes:
    """A message as bytes. Raises ValueError when it is too large."""
    data = json.dumps(message.model_dump(exclude_defaults=False), separators=(",", ":"), ensure_ascii=False).encode()
    if len(data) > MESSAGE_BYTES_MAX:
        raise ValueError("a message to the egress proxy is too large")
    return data


def from_node(data: bytes) -> Attach | Secrets | Secret | Detach:
    """Raises ValueError."""
    return _FROM_NODE.validate_json(data)


def from_proxy(data: bytes) -> Usage | Ready:
    """Raises ValueError."""
    return _FROM_PROXY.validate_json(data)
