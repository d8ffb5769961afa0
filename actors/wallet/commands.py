"""What can be asked of a wallet, what a turn may cause, and what it answers."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from actors.wallet.calls import Route
from actors.wallet.links import WakeLink
from actors.wallet.meters import Budget, Reading
from actors.wallet.state import Plan, RuntimeRef, WalletState

if TYPE_CHECKING:
    from actors.wallet.turn import Turn


@dataclass(frozen=True, slots=True)
class Command:
    """Base of all commands. `wants_proof`: a fresh heartbeat is fetched first, because the answer depends on it."""

    wants_proof = False


@dataclass(frozen=True, slots=True)
class Look(Command):
    """Change nothing; answer with the state."""


@dataclass(frozen=True, slots=True)
class Tick(Command):
    """An alarm is due, or may be."""

    wants_proof = True


@dataclass(frozen=True, slots=True)
class Prepare(Command):
    """A locally valid payment is about to be presented: may it be? A create records what to start."""

    purpose: str
    plan: Plan | None = None
    rate_usat_per_second: int = 0


@dataclass(frozen=True, slots=True)
class Observe(Command):
    """A payment for this wallet was seen in some state. `age_ms` is how long ago."""

    payment_id: str
    payer: str
    state: str
    expected_usat: int
    granted_usat: int
    age_ms: int
    terminal_reason: str | None = None
    wakes: bool = True
    """Whether it may start a sandbox; what only fills the bucket does not."""


@dataclass(frozen=True, slots=True)
class Deposit(Command):
    """Confirmed money, exactly once by `payment_id`."""

    payment_id: str
    payer: str
    usat: int
    txid: str
    asset: str
    atomic: int = 0
    """Units of the asset it came in; 0: not known, so it can't be sent back."""
    wakes: bool = True
    wants_proof = True


@dataclass(frozen=True, slots=True)
class Reverse(Command):
    """A confirmed payment vanished from the chain, exactly once by `payment_id`."""

    payment_id: str
    usat: int
    wants_proof = True


@dataclass(frozen=True, slots=True)
class Started(Command):
    """The node reports the runtime healthy."""

    runtime: RuntimeRef


@dataclass(frozen=True, slots=True)
class StartFailed(Command):
    """The node could not start the runtime."""

    runtime_id: str
    code: str
    message: str
    retryable: bool


@dataclass(frozen=True, slots=True)
class Lost(Command):
    """The node reports a runtime dead that was not stopped."""

    runtime_id: str
    reason: str


@dataclass(frozen=True, slots=True)
class Stopped(Command):
    """The node has ended a runtime for good; `stopped_at_ms` is the last moment it provably lived."""

    runtime_id: str
    known: bool
    boot_id: str
    stopped_at_ms: int | None
    snapshot_digest: str | None
    reason: str
    readings: tuple[Reading, ...] = ()


@dataclass(frozen=True, slots=True)
class Readings(Command):
    """The meters of a runtime, as somebody outside of it read them."""

    runtime_id: str
    readings: tuple[Reading, ...]
    wants_proof = True


@dataclass(frozen=True, slots=True)
class SetBudget(Command):
    """What the owner allows from here on."""

    budget: Budget
    wants_proof = True


@dataclass(frozen=True, slots=True)
class SetVisibility(Command):
    """Whether everybody may see the wallet's page."""

    is_public: bool


@dataclass(frozen=True, slots=True)
class Wake(Command):
    """Start again on the credit that is left."""

    size_class: str | None = None
    rate_usat_per_second: int | None = None
    traffic_per_hour: int | None = None
    """Set when callers wake it: how often an hour they may."""


@dataclass(frozen=True, slots=True)
class AddLink(Command):
    """Give a wake link out."""

    link: WakeLink


@dataclass(frozen=True, slots=True)
class RevokeLink(Command):
    """Void a wake link."""

    link_id: str


@dataclass(frozen=True, slots=True)
class WakeByLink(Command):
    """Start again as planned, on the credit that is left, for the holder of a link."""

    token_hash: str


@dataclass(frozen=True, slots=True)
class TopUpByLink(Command):
    """A payment through a link is about to be presented: may it be?"""

    token_hash: str
    payment_id: str
    usat: int


@dataclass(frozen=True, slots=True)
class TopUpOff(Command):
    """A payment through a link came to nothing before anybody else could tell."""

    payment_id: str


@dataclass(frozen=True, slots=True)
class Reap(Command):
    """Stop now; `destroy` also gives up the workspace."""

    destroy: bool = False
    reason: str = "requested"
    wants_proof = True


@dataclass(frozen=True, slots=True)
class Restore(Command):
    """Go on from an earlier workspace: at once when it runs, else at the next start."""

    snapshot_digest: str
    wants_proof = True


@dataclass(frozen=True, slots=True)
class Expose(Command):
    """Let whoever holds a token reach a port."""

    port: int
    token_hash: str
    expires_wall_ms: int


@dataclass(frozen=True, slots=True)
class Unexpose(Command):
    """Void every token of a port."""

    port: int


@dataclass(frozen=True, slots=True)
class Pause(Command):
    """Freeze the sandbox (or thaw it): it keeps its memory and pays the paused rate."""

    pause: bool
    wants_proof = True


@dataclass(frozen=True, slots=True)
class Paused(Command):
    """The node reports since when a runtime is frozen, or runs again."""

    runtime_id: str
    boot_id: str
    is_paused: bool
    at_ms: int


@dataclass(frozen=True, slots=True)
class PauseFailed(Command):
    """The node can't freeze this runtime; it goes on as it was."""

    runtime_id: str
    code: str


@dataclass(frozen=True, slots=True)
class Checkpoint(Command):
    """Post what is due up to now, as before a clean shutdown."""

    wants_proof = True


@dataclass(frozen=True, slots=True)
class SetRate(Command):
    """Charge at another rate from here on."""

    rate_usat_per_second: int
    wants_proof = True


@dataclass(frozen=True, slots=True)
class Outage(Command):
    """Payments could not be taken for this long: grace that ran meanwhile is given back."""

    from_ms: int
    to_ms: int


@dataclass(frozen=True, slots=True)
class Spend(Command):
    """Pay for one priced answer out of the bucket, at most once by `reference` until it expires."""

    reference: str
    usat: int
    expires_ms: int
    wants_proof = True


@dataclass(frozen=True, slots=True)
class LossTold(Command):
    """Settlements know of this loss now."""

    payment_id: str


@dataclass(frozen=True, slots=True)
class Forgotten(Command):
    """The node has deleted what a destroyed lifetime left behind."""


@dataclass(frozen=True, slots=True)
class BurnNonce(Command):
    """Use up a challenge's nonce; refused the second time."""

    nonce: str
    expires_ms: int


@dataclass(frozen=True, slots=True)
class OpenDispute(Command):
    """The owner objects to something, at most once by `dispute_id`. `about` and `reason` go into the journal as they are."""

    dispute_id: str
    about: dict[str, Any]
    reason: str
    usat_max: int
    answer_due_ms: int
    verdict_due_ms: int


@dataclass(frozen=True, slots=True)
class AnswerDispute(Command):
    """The operator says something to it."""

    dispute_id: str
    text: str


@dataclass(frozen=True, slots=True)
class DecideDispute(Command):
    """The operator's verdict, once; `usat` are put right with it."""

    dispute_id: str
    is_upheld: bool
    usat: int
    text: str
    wants_proof = True


@dataclass(frozen=True, slots=True)
class ReclaimPart:
    """One deposit of a reclaim, as its owner signed it."""

    payment_id: str
    origin: str
    asset: str
    atomic: int
    fee_atomic: int
    usat: int


@dataclass(frozen=True, slots=True)
class Reclaim(Command):
    """Send what is left of these deposits back to where they came from, at most once by `reclaim_id`."""

    reclaim_id: str
    parts: tuple[ReclaimPart, ...]
    wants_proof = True


@dataclass(frozen=True, slots=True)
class PayoutTold(Command):
    """The queue has this payout now."""

    payout_id: str


@dataclass(frozen=True, slots=True)
class PayoutEnded(Command):
    """A payout is over: it has arrived, or it is certain that it never will."""

    payout_id: str
    is_paid: bool
    txid: str | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class SetRoutes(Command):
    """What strangers may reach from here on, in the order in which it is tried."""

    routes: tuple[Route, ...]


@dataclass(frozen=True, slots=True)
class Reserve(Command):
    """Bring what is set aside for calls at a gate up to `usat`, or as far as the bucket goes but not under `least_usat`."""

    gate_id: str
    usat: int
    least_usat: int
    until_wall_ms: int
    wants_proof = True


@dataclass(frozen=True, slots=True)
class Unreserve(Command):
    """A gate needs what was set aside for it no more."""

    gate_id: str


@dataclass(frozen=True, slots=True)
class PayOrder(Command):
    """Pay another wallet for a call, once by `order_id`. `attempt_id` tells a repetition of this command from another use of
    the same order: that one is refused. `expires_ms`: when the order is void (None: it leans on a payment, and never is).
    """

    order_id: str
    attempt_id: str
    gate_id: str
    payee: str
    usat: int
    expires_ms: int | None = None


@dataclass(frozen=True, slots=True)
class PromiseOrder(Command):
    """Pay another wallet as soon as a payment of this one's is credited. Once, like `PayOrder`."""

    order_id: str
    attempt_id: str
    payment_id: str
    payee: str
    usat: int


@dataclass(frozen=True, slots=True)
class OrdersDelivered(Command):
    """The payees have these orders."""

    order_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Earn(Command):
    """Another wallet has paid for a call, exactly once by `order_id`."""

    order_id: str
    payer: str
    usat: int


@dataclass(frozen=True, slots=True)
class RevokePasses(Command):
    """Void all gate passes issued so far."""


# Effects: what the shell does after the commit. Each is implied by the committed state, so activation repeats it.


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


@dataclass(frozen=True, slots=True)
class Refusal:
    """A command the rules do not allow, by its error code."""

    code: str
    details: dict[str, Any] = field(default_factory=dict)
    retry_after: int | None = None
    """Seconds, when a refusal is for a time."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a turn answers: the state it left, and how the command fared."""

    state: WalletState
    refusal: Refusal | None = None
    is_duplicate: bool = False


Handler = Callable[["Turn", Any], Refusal | None]
"""Decides one kind of command on a turn under way."""
