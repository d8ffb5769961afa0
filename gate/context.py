"""An action: what one operation does, for any caller, over any transport."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from actors.wallet.spending_keys import SpendingKey
from gate.identity.callers import Caller
from gate.parts.services import Services
from gate.wire.byte_budget import Lease
from gate.wire.means import Means
from gate.wire.metrics import Metrics
from gate.wire.outcomes import Outcome, Upload


@dataclass(slots=True)
class RequestContext:
    """What an action may know of the request beside its input."""

    services: Services
    caller: Caller
    means: Means
    lease: Lease
    """What the request may hold in memory."""
    metrics: Metrics
    headers: Mapping[str, str]
    """The caller's headers that are not part of the input: `Accept`, `Range`, `Last-Event-ID`."""
    upload: Callable[[], Upload]
    """The body as bytes, for operations that take an upload."""
    payer: Callable[[], Awaitable[tuple[str, SpendingKey | None] | None]]
    """The wallet whose pass or API key pays, and the key; None without either. Raises what reading a pass raises."""
    used_usat: int | None = None
    """What a metered action has used, in micro-sats; it says so itself, before or while it answers."""


Action = Callable[[RequestContext, Any], Awaitable[Outcome]]
ACTIONS: dict[str, Action] = {}
"""By operation. Filled by `action`, complete once `gate.actions` is imported."""
_A = TypeVar("_A", bound=Action)


def action(name: str) -> Callable[[_A], _A]:
    """Register what an operation does."""

    def register(function: _A) -> _A:
        if name in ACTIONS:
            raise ValueError(f"{name} has two actions")
        ACTIONS[name] = function
        return function

    return register
