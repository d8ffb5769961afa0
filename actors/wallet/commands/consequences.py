"""What a turn writes, and what the shell does after the commit. Each effect is implied by the committed state, so activation
repeats it.
"""

from dataclasses import dataclass, field
from typing import Any

from actors.wallet.state import Plan


@dataclass(frozen=True, slots=True)
class StartSandbox:
    """Ask the node for a runtime."""

    runtime_id: str
    plan: Plan
    snapshot_digest: str | None


@dataclass(frozen=True, slots=True)
class StopSandbox:
    """Ask the node to end a runtime."""

    runtime_id: str
    snapshot: bool


@dataclass(frozen=True, slots=True)
class SetPaused:
    """Bring a runtime to what the owner wants: frozen or running, as the wallet says when the effect runs."""

    runtime_id: str


@dataclass(frozen=True, slots=True)
class TellLoss:
    """Report a start on credit that was never paid."""

    payment_id: str
    payer: str
    usat: int


@dataclass(frozen=True, slots=True)
class SendPayout:
    """Hand a payout to the queue."""

    payout_id: str


@dataclass(frozen=True, slots=True)
class ForgetSnapshots:
    """Have the node delete what a destroyed lifetime left behind."""


@dataclass(frozen=True, slots=True)
class DeliverOrders:
    """Tell the payees of all orders in transit."""


Effect = StartSandbox | StopSandbox | SetPaused | TellLoss | SendPayout | ForgetSnapshots | DeliverOrders


@dataclass(frozen=True, slots=True)
class Happening:
    """An event before it is numbered."""

    type: str
    data: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class SpanRecord:
    """A stretch of proven uptime and its charge, kept so that anyone can check it by hand."""

    seq: int
    runtime_id: str
    boot_id: str
    from_ms: int
    to_ms: int
    rate_usat_per_second: int
    remainder_before: int
    remainder_after: int
    charge_usat: int
