"""What satbox offers: each operation once, with its models, price, auth, route, command and tool.

Routes, `/openapi.json`, the Python client, the command line and the MCP tools are built from `REGISTRY`; a test fails
when one of them lacks an operation.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from pydantic import BaseModel

from operations.errors import ERRORS
from operations.prices import FREE, OnChain, PriceRule
from operations.surfaces import NoTool, Tool, Verb


class Auth(StrEnum):
    """Who may call an operation."""

    NONE = "none"
    OPTIONAL = "optional"  # anybody; a caller with a pass sees more
    PASS = "pass"  # noqa: S105 - any valid gate pass; the action decides what it reaches
    OWNER = "owner"  # the wallet's own pass, with the operation's scope
    OPERATOR = "operator"


ANY_LINK = "any"
"""The scope of operations that every good wake link opens."""


class Body(StrEnum):
    """What crosses the wire besides JSON."""

    JSON = "json"
    UPLOAD = "upload"  # the request body is raw bytes, fields travel in the query
    DOWNLOAD = "download"  # the answer is raw bytes
    EVENTS = "events"  # the answer is server-sent events
    SOCKET = "socket"  # a websocket
    TEXT = "text"  # the answer is plain text


@dataclass(frozen=True, slots=True)
class Operation:
    """One thing a caller can do."""

    name: str
    method: str
    path: str
    summary: str
    input: type[BaseModel]
    output: type[BaseModel] | None
    auth: Auth
    verb: Verb
    tool: Tool | NoTool
    price: PriceRule = FREE
    body: Body = Body.JSON
    scope: str | None = None
    link_scope: str | None = None
    """What a wake link must allow to be taken in place of a pass; None: none is."""
    errors: tuple[str, ...] = ()
    positional: tuple[str, ...] = field(default=())
    takes_ranges: bool = False
    """Whether a part may be asked for (RFC 9110, 14), and is answered with 206."""
    ends_with_caller: bool = False
    """Whether it is given up when its caller disconnects. Others are finished without the caller."""

    def __post_init__(self) -> None:
        unknown = [code for code in self.errors if code not in ERRORS]
        if unknown:
            raise ValueError(f"{self.name} names unknown errors: {unknown}")

    @property
    def is_on_chain(self) -> bool:
        """Whether it is paid by a transaction, for a wallet. One with another price is `Fixed` or `Metered`."""
        return isinstance(self.price, OnChain)

    @property
    def function(self) -> str:
        """The Python client's method name."""
        return self.name.replace(".", "_")

    @property
    def path_fields(self) -> tuple[str, ...]:
        """Input fields that travel in the path."""
        return tuple(part[1:-1] for part in self.path.split("/") if part.startswith("{"))


@dataclass(frozen=True, slots=True)
class Feature:
    """What belongs together: the operations of one file, and the groups of verbs that it brings to the command line.

    A module of this package that has a `FEATURE` is part of the service. `place` is where people should read it: low ones first.
    """

    place: int
    operations: tuple[Operation, ...]
    verb_groups: Mapping[str, str] = field(default_factory=dict)
    """By the words of a group, what its verbs are for."""


class Registry(Mapping[str, Operation]):
    """The operations by name, in the order people should read them."""

    def __init__(self, operations: tuple[Operation, ...]) -> None:
        self._operations = {operation.name: operation for operation in operations}
        routes = {(operation.method, operation.path) for operation in operations}
        if len(self._operations) != len(operations) or len(routes) != len(operations):
            raise ValueError("an operation or a route is named twice")

    def __getitem__(self, name: str) -> Operation:
        return self._operations[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._operations)

    def __len__(self) -> int:
        return len(self._operations)
