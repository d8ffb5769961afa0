"""What creates asked for, until they are paid: a create that comes to nothing leaves size, image and rate as they were.

A create's plan belongs to its payment. It is put in force when that payment starts the sandbox or is credited, and taken back
when a payment that started it fails.
"""

from dataclasses import dataclass, replace

from actors.wallet.state import Create, Phase, Planned, WalletState
from actors.wallet.turn import Turn

RESTING = frozenset({Phase.NONE, Phase.REAPED})
CREATES_MAX = 8
"""Followed at once; the oldest is forgotten, and its payment fills the bucket under the plan that is in force."""


@dataclass(frozen=True, slots=True)
class CreateUnderWay:
    """A create under way, and the others."""

    create: Create
    others: tuple[Create, ...]


def _find(state: WalletState, payment_id: str) -> CreateUnderWay | None:
    found = next((one for one in state.creates if one.payment_id == payment_id), None)
    if found is None:
        return None
    return CreateUnderWay(found, tuple(one for one in state.creates if one is not found))


def _in_force(state: WalletState) -> Planned:
    return Planned(state.plan, state.rate_usat_per_second)


def _put_in_force(turn: Turn, planned: Planned) -> None:
    turn.set(plan=planned.plan, is_planned=True, rate_usat_per_second=planned.rate_usat_per_second)


def ask_for(turn: Turn, payment_id: str, planned: Planned) -> None:
    """Remember a create until its payment says what becomes of it. A wallet that never had a plan has nothing to keep."""
    if not turn.state.is_planned or not payment_id:
        _put_in_force(turn, planned)
        if not payment_id:
            return
    found = _find(turn.state, payment_id)
    others = turn.state.creates if found is None else found.others
    before = None if found is None else found.create.before
    turn.set(creates=(*others, Create(payment_id, planned, before))[-CREATES_MAX:])


def adopt(turn: Turn, payment_id: str) -> None:
    """Put a create's plan in force, if nothing runs under another one."""
    found = _find(turn.state, payment_id)
    if found is None or turn.state.phase not in RESTING:
        return
    before = found.create.before or _in_force(turn.state)
    _put_in_force(turn, found.create.planned)
    turn.set(creates=(*found.others, replace(found.create, before=before)))


def paid(turn: Turn, payment_id: str) -> None:
    """The money is there: what was asked for stays."""
    adopt(turn, payment_id)
    found = _find(turn.state, payment_id)
    if found is not None:
        turn.set(creates=found.others)


def take_back(turn: Turn, payment_id: str) -> None:
    """What it asked for is not in force (any more); it may come yet."""
    found = _find(turn.state, payment_id)
    if found is not None and found.create.before is not None and turn.state.phase in RESTING:
        _put_in_force(turn, found.create.before)
        turn.set(creates=(*found.others, replace(found.create, before=None)))


def fail(turn: Turn, payment_id: str) -> None:
    """The payment will not come. What it started goes on under its plan until it has stopped (`settle_failed`): at once when
    nothing else pays for it, else as long as its owner's credit lasts or they want.
    """
    found = _find(turn.state, payment_id)
    if found is None:
        return
    if found.create.before is None or turn.state.phase in RESTING:
        take_back(turn, payment_id)
        again = _find(turn.state, payment_id)
        turn.set(creates=() if again is None else again.others)
        return
    turn.set(creates=(*found.others, replace(found.create, is_failed=True)))


def settle_failed(turn: Turn) -> None:
    """It has stopped: take back the plans whose payments have failed meanwhile."""
    for one in [each for each in turn.state.creates if each.is_failed]:
        fail(turn, one.payment_id)
