"""Money that comes in, is spent here, or goes back to where it came from."""

from dataclasses import dataclass

from actors.wallet.commands.base import Command
from actors.wallet.state import Plan


@dataclass(frozen=True, slots=True)
class Prepare(Command):
    """A locally valid payment is about to be presented: may it be? A create records what to start once `payment_id` is seen
    or credited; without one, at once.
    """

    purpose: str
    plan: Plan | None = None
    rate_usat_per_second: int = 0
    payment_id: str = ""


@dataclass(frozen=True, slots=True)
class CreateOff(Command):
    """A create's payment was refused: what it asked for changes nothing."""

    payment_id: str


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
class LossTold(Command):
    """Settlements know of this loss now."""

    payment_id: str


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
