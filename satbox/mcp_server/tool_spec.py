"""What a tool is, as plain data."""

from dataclasses import dataclass
from typing import Any

from operations.registry import Operation
from operations.surfaces import Actions, Made


@dataclass(frozen=True, slots=True)
class ToolSpec:
    """One tool. `operation` is what it is made from; None for a call, which is not an operation of the service.

    is_read_only: nothing changes by calling it. is_destructive: something can be lost by calling it. is_idempotent: called
    again with the same arguments it changes nothing more. is_open_world: it reaches further than the agent's own wallet.
    """

    name: str
    operation: Operation | None
    description: str
    schema: dict[str, Any]
    is_read_only: bool = False
    is_destructive: bool = False
    is_idempotent: bool = False
    is_open_world: bool = False
    made: Made | None = None
    actions: Actions | None = None
