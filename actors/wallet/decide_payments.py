"""How a wallet takes payments: seen in the mempool, credited, failed, reversed."""

from actors.wallet import bucket, creates, links
from actors.wallet import commands as c
from actors.wallet.advance import (
    begin_start,
    begin_stop,
    charge_proven,
    covers_wake,
    credit_covers_wake,
    enter_grace,
)
from actors.wallet.decide_calls import break_promises, fulfil
from actors.wallet.going_on import go_on
from actors.wallet.lifecycle import IN_MEMPOOL
from actors.wallet.lots import Lot, with_lot, without
from actors.wallet.state import After, CreditStart, Loss, Pending, Phase
from actors.wallet.turn import Handler, Turn

REAPED_BY_OWNER = "requested"
TERMINAL_FAILURES = frozenset({"failed", "replaced", "not_found"})


def _observe(turn: Turn, command: c.Observe) -> c.Refusal | None:
    if command.state == "confirmed":
        return None  # money counts when the deposit arrives, not when it is seen
    known = {p.payment_id: p for p in turn.state.pending}
    if command.state in TERMINAL_FAILURES:
        pending = known.pop(command.payment_id, None)
        turn.set(pending=tuple(known.values()), links=links.failed(turn.state.links, command.payment_id))
        if pending is not None:
            turn.tell("payment_failed", payment_id=command.payment_id, reason=command.terminal_reason)
        break_promises(turn, command.payment_id)
        _grant_failed(turn, command)
        creates.fail(turn, command.payment_id)
        return None
    before = known.get(command.payment_id)
    if before is None and not _has_room(turn, command.payer):
        return None  # credited when it confirms, like any other
    known[command.payment_id] = _seen(turn, command, before)
    turn.set(pending=tuple(known.values()))
    if before is None or before.state != command.state:
        turn.tell("payment", payment_id=command.payment_id, status=command.state, expected_usat=command.expected_usat)
    wakes = known[command.payment_id].wakes and _may_wake(turn, command.payer, command.payment_id)
    if command.state == IN_MEMPOOL and wakes and turn.state.phase in (Phase.NONE, Phase.REAPED):
        creates.adopt(turn, command.payment_id)
        _start_on_credit(turn, command)
        creates.take_back(turn, command.payment_id)  # unless it has started
    return None


def _has_room(turn: Turn, payer: str) -> bool:
    """Whether one more payment can be followed. Others than the owner get half of the room, however many come at once."""
    pending = turn.state.pending
    strangers = sum(p.payer != turn.state.address for p in pending)
    is_stranger = payer != turn.state.address
    return len(pending) < turn.policy.pending_max and not (is_stranger and strangers >= turn.policy.pending_max // 2)


def _seen(turn: Turn, command: c.Observe, before: Pending | None) -> Pending:
    """The payment as observed; only a fresh sight in the mempool moves what grace is measured from."""
    proof = turn.at.proof
    boot_id, seen_ms = (before.boot_id, before.seen_ms) if before else ("", None)
    fresh = command.age_ms <= turn.policy.observation_fresh_ms
    if command.state == IN_MEMPOOL and fresh and proof is not None:
        at_ms = proof.now_ms - command.age_ms
        if seen_ms is None or boot_id != proof.boot_id or at_ms > seen_ms:
            boot_id, seen_ms = proof.boot_id, at_ms
    return Pending(
        command.payment_id,
        command.payer,
        command.state,
        command.expected_usat,
        command.granted_usat,
        boot_id,
        seen_ms,
        command.wakes and (before is None or before.wakes),
    )


def _may_wake(turn: Turn, payer: str, payment_id: str) -> bool:
    """A stranger's gift does not wake what its owner put to sleep: it would burn the owner's credit. It is kept. One that
    came through a wake link does: the owner gave that out.
    """
    state = turn.state
    return state.reason != REAPED_BY_OWNER or payer == state.address or links.has_consent(state.links, payment_id)


def _start_on_credit(turn: Turn, command: c.Observe) -> None:
    lean = turn.state.credit_start
    if lean is not None and lean.payment_id != command.payment_id:
        return  # one start on credit at a time: the grant of a larger class would outweigh the debt of the first
    if command.granted_usat > 0 and credit_covers_wake(turn, command.granted_usat):
        if lean is None:
            turn.set(credit_start=CreditStart(command.payment_id, command.payer, turn.state.accounts.debt_usat))
        begin_start(turn, "paid")


def _grant_failed(turn: Turn, command: c.Observe) -> None:
    """A payment will not come. Settlements hold its payer to the whole grant until told what was really used."""
    lean = turn.state.credit_start
    if lean is not None and lean.payment_id == command.payment_id:
        _credit_start_failed(turn)
    elif command.expected_usat > 0:
        # It may have stretched grace beyond the wallet's own. What that left unpaid stays owed here, and is the payer's
        # loss to make good.
        own = turn.state.rate_usat_per_second * turn.policy.grace_ms // 1000
        beyond = max(0, turn.state.accounts.debt_usat - own)
        used = min(command.expected_usat, beyond) if command.granted_usat > 0 else 0
        _tell_loss(turn, Loss(command.payment_id, command.payer, used))


def _credit_start_failed(turn: Turn) -> None:
    """The payment a start leaned on will not come: stop, and take what was used as a loss."""
    if turn.state.phase is Phase.GRACE:
        charge_proven(turn)
        begin_stop(turn, "payment_failed", After.REAP)
    elif turn.state.phase is Phase.STARTING:
        begin_stop(turn, "payment_failed", After.REAP)
    elif turn.state.phase is not Phase.STOPPING:
        write_off_credit_start(turn)


def write_off_credit_start(turn: Turn) -> None:
    """What a start used on a payment that never came is lost; its payer is told of, to make it good."""
    lean = turn.state.credit_start
    assert lean is not None
    turn.set(credit_start=None)
    loss = max(0, turn.state.accounts.debt_usat - lean.debt_before_usat)
    if loss > 0:
        turn.post(bucket.write_off(loss, lean.payment_id))
        turn.tell("loss_written_off", payment_id=lean.payment_id, usat=loss)
    _tell_loss(turn, Loss(lean.payment_id, lean.payer, loss))


def _tell_loss(turn: Turn, loss: Loss) -> None:
    turn.set(losses=(*turn.state.losses, loss))
    turn.do(c.TellLoss(loss.payment_id, loss.payer, loss.usat))


def _deposit(turn: Turn, command: c.Deposit) -> c.Refusal | None:
    if turn.state.phase is Phase.GRACE:
        charge_proven(turn)
    turn.post(bucket.deposit(command.usat, command.payment_id))
    lot = Lot(command.payment_id, command.payer, command.asset, command.atomic, command.usat, command.usat)
    turn.set(lots=with_lot(turn.state.lots, lot, turn.policy.lots_max))
    fulfil(turn, command.payment_id)
    creates.paid(turn, command.payment_id)
    wakes = all(p.wakes for p in turn.state.pending if p.payment_id == command.payment_id)
    wakes = wakes and command.wakes and _may_wake(turn, command.payer, command.payment_id)
    turn.set(
        pending=tuple(p for p in turn.state.pending if p.payment_id != command.payment_id),
        links=links.credited(turn.state.links, command.payment_id, command.usat, turn.at.wall_ms),
    )
    lean = turn.state.credit_start
    if lean is not None and lean.payment_id == command.payment_id:
        turn.set(credit_start=None)
    turn.tell("deposit", payment_id=command.payment_id, usat=command.usat, payer=command.payer, asset=command.asset)
    go_on(turn)
    if wakes and turn.state.phase in (Phase.NONE, Phase.REAPED) and covers_wake(turn):
        begin_start(turn, "paid")
    return None


def _reverse(turn: Turn, command: c.Reverse) -> c.Refusal | None:
    charge_proven(turn)
    turn.set(lots=without(turn.state.lots, {command.payment_id}))
    turn.post(bucket.reversal(command.usat, turn.state.accounts.bucket, command.payment_id))
    turn.tell("deposit_reversed", payment_id=command.payment_id, usat=command.usat)
    runtime = turn.state.runtime
    if turn.state.phase is Phase.ALIVE and turn.state.accounts.bucket == 0 and runtime is not None:
        enter_grace(turn, runtime.metered_through_ms)
    return None


def _loss_told(turn: Turn, command: c.LossTold) -> c.Refusal | None:
    turn.set(losses=tuple(loss for loss in turn.state.losses if loss.payment_id != command.payment_id))
    return None


HANDLERS: dict[type[c.Command], Handler] = {
    c.Observe: _observe,
    c.Deposit: _deposit,
    c.Reverse: _reverse,
    c.LossTold: _loss_told,
}
