"""The one function that decides a turn: `decide(state, command, instant, policy) -> Decision`.

Pure: no clock, no I/O, no ids of its own. The shell writes the decision in one transaction, then replies, tells events
and runs effects. Each handler sees a state that `advance` has brought up to the node's last proof.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from actors.wallet import bucket
from actors.wallet import commands as c
from actors.wallet.advance import (
    advance,
    begin_start,
    begin_stop,
    charge_proven,
    charge_through,
    covers_wake,
    credit_covers_wake,
    enter_grace,
    stretch_for_outage,
)
from actors.wallet.journal import Entry
from actors.wallet.lifecycle import IN_MEMPOOL
from actors.wallet.state import (
    After,
    CreditStart,
    Instant,
    Loss,
    Pending,
    Phase,
    Policy,
    WalletState,
)
from actors.wallet.turn import Turn

TERMINAL_FAILURES = frozenset({"failed", "replaced", "not_found"})


@dataclass(frozen=True, slots=True)
class Decision:
    """All a turn changes: the new state, what to write, tell and do, and the answer."""

    state: WalletState
    entries: tuple[Entry, ...]
    spans: tuple[c.SpanRecord, ...]
    events: tuple[tuple[int, c.Happening], ...]
    effects: tuple[c.Effect, ...]
    refusal: c.Refusal | None
    is_duplicate: bool
    is_changed: bool
    """Whether there is anything to write."""


def decide(
    state: WalletState, command: c.Command, at: Instant, policy: Policy, *, is_duplicate: bool = False
) -> Decision:
    """Decide one command. `is_duplicate`: the store has seen this payment or nonce before."""
    turn = Turn(state, at, policy)
    advance(turn)
    refusal = None if is_duplicate else _HANDLERS[type(command)](turn, command)
    if is_duplicate and isinstance(command, c.BurnNonce):
        refusal = c.Refusal("challenge_replayed")
    moved = turn.state != state
    if moved:
        turn.set(version=state.version + 1)
    return Decision(
        turn.state,
        tuple(turn.entries),
        tuple(turn.spans),
        tuple(turn.events),
        tuple(turn.effects),
        refusal,
        is_duplicate,
        moved,
    )


def resume(state: WalletState) -> tuple[c.Effect, ...]:
    """The effects a crash may have cut off, read from the committed state."""
    effects: list[c.Effect] = [c.TellLoss(loss.payment_id, loss.payer, loss.usat) for loss in state.losses]
    if state.phase is Phase.STARTING and state.runtime is not None:
        effects.append(c.StartSandbox(state.runtime.runtime_id, state.plan, state.snapshot_digest))
    if state.phase is Phase.STOPPING and state.runtime is not None and state.stop is not None:
        effects.append(c.StopSandbox(state.runtime.runtime_id, state.stop.after is not After.DESTROY))
    return tuple(effects)


def _look(turn: Turn, command: c.Command) -> c.Refusal | None:
    return None


def _prepare(turn: Turn, command: c.Prepare) -> c.Refusal | None:
    state = turn.state
    if command.purpose == "create":
        assert command.plan is not None
        if state.phase in (Phase.STARTING, Phase.ALIVE, Phase.GRACE, Phase.STOPPING):
            return c.Refusal("already_exists", {"state": state.phase.value})
        turn.set(plan=command.plan, is_planned=True, rate_usat_per_second=command.rate_usat_per_second)
        return None
    if not state.is_planned:
        return c.Refusal("wallet_not_found")
    if len(state.pending) >= turn.policy.pending_max:
        return c.Refusal("overloaded", {"pending_payments": len(state.pending)})
    return None


def _observe(turn: Turn, command: c.Observe) -> c.Refusal | None:
    if command.state == "confirmed":
        return None  # money counts when the deposit arrives, not when it is seen
    known = {p.payment_id: p for p in turn.state.pending}
    if command.state in TERMINAL_FAILURES:
        pending = known.pop(command.payment_id, None)
        turn.set(pending=tuple(known.values()))
        if pending is not None:
            turn.tell("payment_failed", payment_id=command.payment_id, reason=command.terminal_reason)
        _grant_failed(turn, command)
        return None
    before = known.get(command.payment_id)
    if before is None and len(known) >= turn.policy.pending_max:
        return None
    known[command.payment_id] = _seen(turn, command, before)
    turn.set(pending=tuple(known.values()))
    if before is None or before.state != command.state:
        turn.tell("payment", payment_id=command.payment_id, status=command.state, expected_usat=command.expected_usat)
    wakes = before is None or before.wakes
    if command.state == IN_MEMPOOL and wakes and turn.state.phase in (Phase.NONE, Phase.REAPED):
        _start_on_credit(turn, command)
    return None


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
        before.wakes if before else True,
    )


def _start_on_credit(turn: Turn, command: c.Observe) -> None:
    if command.granted_usat > 0 and credit_covers_wake(turn, command.granted_usat):
        if turn.state.credit_start is None:
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
        _write_off_credit_start(turn)


def _write_off_credit_start(turn: Turn) -> None:
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
    wakes = all(p.wakes for p in turn.state.pending if p.payment_id == command.payment_id)
    turn.set(pending=tuple(p for p in turn.state.pending if p.payment_id != command.payment_id))
    lean = turn.state.credit_start
    if lean is not None and lean.payment_id == command.payment_id:
        turn.set(credit_start=None)
    turn.tell("deposit", payment_id=command.payment_id, usat=command.usat, payer=command.payer, asset=command.asset)
    _settle_arrears(turn)
    if turn.state.accounts.bucket > 0:
        turn.set(runway_told=0)
        if turn.state.phase is Phase.GRACE:
            turn.set(phase=Phase.ALIVE, grace=None, credit_start=None, reason="paid")
            turn.tell("alive", balance_usat=turn.state.accounts.bucket)
    if wakes and turn.state.phase in (Phase.NONE, Phase.REAPED) and covers_wake(turn):
        begin_start(turn, "paid")
    return None


def _settle_arrears(turn: Turn) -> None:
    accounts = turn.state.accounts
    payable = min(accounts.debt_usat, accounts.bucket)
    if payable > 0:
        turn.post(bucket.arrears(payable))


def _reverse(turn: Turn, command: c.Reverse) -> c.Refusal | None:
    charge_proven(turn)
    turn.post(bucket.reversal(command.usat, turn.state.accounts.bucket, command.payment_id))
    turn.tell("deposit_reversed", payment_id=command.payment_id, usat=command.usat)
    runtime = turn.state.runtime
    if turn.state.phase is Phase.ALIVE and turn.state.accounts.bucket == 0 and runtime is not None:
        enter_grace(turn, runtime.metered_through_ms)
    return None


def _is_current(turn: Turn, runtime_id: str) -> bool:
    return turn.state.runtime is not None and turn.state.runtime.runtime_id == runtime_id


def _started(turn: Turn, command: c.Started) -> c.Refusal | None:
    """Healthy: from here on it may be charged."""
    if not _is_current(turn, command.runtime.runtime_id):
        return None
    if turn.state.phase is Phase.STOPPING:
        turn.set(runtime=command.runtime)  # so that the stop can tell what was used
        return None
    if turn.state.phase is not Phase.STARTING:
        return None
    turn.set(runtime=command.runtime, start_failures=0, runway_told=0)
    if turn.state.accounts.bucket > 0:
        turn.set(phase=Phase.ALIVE)
        turn.tell("alive", runtime_id=command.runtime.runtime_id, balance_usat=turn.state.accounts.bucket)
    else:
        enter_grace(turn, command.runtime.healthy_at_ms, on_credit=True)
    return None


def _start_failed(turn: Turn, command: c.StartFailed) -> c.Refusal | None:
    if not _is_current(turn, command.runtime_id):
        return None
    if turn.state.phase is Phase.STOPPING:
        _finish_stop(turn, None)
        return None
    if turn.state.phase is not Phase.STARTING:
        return None
    failures = turn.state.start_failures + 1
    turn.set(start_failures=failures)
    turn.tell("start_failed", code=command.code, message=command.message, attempt=failures)
    if command.retryable and failures < turn.policy.start_attempts_max:
        begin_start(turn, "retry")
    else:
        turn.set(phase=Phase.REAPED, reason="start_failed", runtime=None, start_failures=0)
        turn.tell("reaped", reason="start_failed")
    return None


def _lost(turn: Turn, command: c.Lost) -> c.Refusal | None:
    """The runtime died by itself: finalise it at the node, and start again when the bucket pays for it."""
    if not _is_current(turn, command.runtime_id) or turn.state.phase not in (Phase.STARTING, Phase.ALIVE, Phase.GRACE):
        return None
    turn.tell("lost", runtime_id=command.runtime_id, reason=command.reason)
    restart = turn.state.phase is not Phase.GRACE
    begin_stop(turn, f"lost_{command.reason}", After.RESTART if restart else After.REAP)
    return None


def _stopped(turn: Turn, command: c.Stopped) -> c.Refusal | None:
    if not _is_current(turn, command.runtime_id):
        return None
    state = turn.state
    runtime, stop = state.runtime, state.stop
    assert runtime is not None
    if stop is None:  # finalised by an operator before we asked: nothing may be left running unowned
        begin_stop(turn, command.reason, After.REAP)
        stop = turn.state.stop
        assert stop is not None
    if command.known and command.stopped_at_ms is not None and command.boot_id == runtime.boot_id:
        until = command.stopped_at_ms if stop.bill_until_ms is None else min(command.stopped_at_ms, stop.bill_until_ms)
        charge_through(turn, until)
    if command.snapshot_digest is not None:
        turn.set(snapshot_digest=command.snapshot_digest)
    _finish_stop(turn, command)
    return None


def _finish_stop(turn: Turn, command: c.Stopped | None) -> None:
    stop, runtime = turn.state.stop, turn.state.runtime
    assert stop is not None
    assert runtime is not None
    turn.set(phase=Phase.REAPED, reason=stop.reason, runtime=None, stop=None, grace=None)
    lean = turn.state.credit_start
    if lean is not None and all(p.payment_id != lean.payment_id for p in turn.state.pending):
        _write_off_credit_start(turn)
    if stop.after is After.DESTROY:
        _destroy(turn)
        return
    if stop.after is After.RESTART:
        lived_ms = 0
        if command is not None and command.stopped_at_ms is not None and runtime.is_healthy:
            lived_ms = command.stopped_at_ms - runtime.healthy_at_ms
        crashes = 0 if lived_ms >= turn.policy.crash_loop_window_ms else turn.state.crashes + 1
        turn.set(crashes=crashes)
        is_funded = turn.state.accounts.bucket > 0 or turn.state.credit_start is not None
        if crashes <= turn.policy.crash_loop_max and is_funded:
            begin_start(turn, "recovered")
            return
        if crashes > turn.policy.crash_loop_max:
            turn.set(crashes=0, reason="crash_loop")
    elif stop.reason not in ("requested", "payment_failed") and covers_wake(turn):
        begin_start(turn, "paid")  # money arrived while the sandbox was being stopped
        return
    turn.tell("reaped", reason=turn.state.reason, snapshot_digest=turn.state.snapshot_digest)


def _destroy(turn: Turn) -> None:
    # Nothing refers to the old snapshot any more: the node's retention removes it.
    turn.set(snapshot_digest=None, lifetime=turn.state.lifetime + 1, reason="destroyed")
    turn.tell("destroyed", lifetime=turn.state.lifetime - 1)


def _wake(turn: Turn, command: c.Wake) -> c.Refusal | None:
    state = turn.state
    if not state.is_planned:
        return c.Refusal("wallet_not_found")
    if state.phase in (Phase.STARTING, Phase.ALIVE, Phase.GRACE):
        return None
    if state.phase is Phase.STOPPING:
        return c.Refusal("sandbox_starting", {"state": "stopping"})
    if command.size_class is not None and command.rate_usat_per_second is not None:
        turn.set(
            plan=replace(state.plan, size_class=command.size_class), rate_usat_per_second=command.rate_usat_per_second
        )
    if not covers_wake(turn):
        return c.Refusal("credit_insufficient", _shortfall(turn))
    turn.set(crashes=0)
    begin_start(turn, "woken")
    return None


def _shortfall(turn: Turn) -> dict[str, Any]:
    state = turn.state
    least = state.rate_usat_per_second * turn.policy.wake_minimum_seconds
    missing = max(1, least) + state.accounts.debt_usat - state.accounts.bucket
    return {"missing_sats": -(-missing // 1_000_000), "owed_usat": state.accounts.debt_usat}


def _reap(turn: Turn, command: c.Reap) -> c.Refusal | None:
    phase = turn.state.phase
    after = After.DESTROY if command.destroy else After.REAP
    # Who says stop means it: money sent before is credited when it confirms, but starts nothing.
    turn.set(pending=tuple(replace(p, wakes=False) for p in turn.state.pending))
    if phase in (Phase.ALIVE, Phase.GRACE, Phase.STARTING):
        charge_proven(turn)
        begin_stop(turn, command.reason, after)
    elif phase is Phase.STOPPING and turn.state.stop is not None:
        turn.set(stop=replace(turn.state.stop, reason=command.reason, after=after))
    elif command.destroy and phase in (Phase.REAPED, Phase.NONE) and turn.state.is_planned:
        _destroy(turn)
    elif not turn.state.is_planned:
        return c.Refusal("wallet_not_found")
    return None


def _checkpoint(turn: Turn, command: c.Command) -> c.Refusal | None:
    charge_proven(turn)
    return None


def _set_rate(turn: Turn, command: c.SetRate) -> c.Refusal | None:
    if not turn.state.is_planned:
        return c.Refusal("wallet_not_found")
    charge_proven(turn)
    turn.set(rate_usat_per_second=command.rate_usat_per_second, runway_told=0)
    turn.tell("rate", rate_usat_per_second=command.rate_usat_per_second)
    return None


def _outage(turn: Turn, command: c.Outage) -> c.Refusal | None:
    stretch_for_outage(turn, command.from_ms, command.to_ms)
    return None


def _loss_told(turn: Turn, command: c.LossTold) -> c.Refusal | None:
    turn.set(losses=tuple(loss for loss in turn.state.losses if loss.payment_id != command.payment_id))
    return None


def _revoke_passes(turn: Turn, command: c.Command) -> c.Refusal | None:
    turn.set(pass_epoch=turn.state.pass_epoch + 1)
    turn.tell("passes_revoked", pass_epoch=turn.state.pass_epoch)
    return None


def needs_proof(state: WalletState, command: c.Command) -> bool:
    """Whether a fresh heartbeat would change what `command` decides."""
    return command.wants_proof and state.runtime is not None and state.runtime.is_healthy


_HANDLERS: dict[type[c.Command], Callable[[Turn, Any], c.Refusal | None]] = {
    c.Look: _look,
    c.Tick: _look,
    c.Prepare: _prepare,
    c.Observe: _observe,
    c.Deposit: _deposit,
    c.Reverse: _reverse,
    c.Started: _started,
    c.StartFailed: _start_failed,
    c.Lost: _lost,
    c.Stopped: _stopped,
    c.Wake: _wake,
    c.Reap: _reap,
    c.Checkpoint: _checkpoint,
    c.SetRate: _set_rate,
    c.Outage: _outage,
    c.LossTold: _loss_told,
    c.BurnNonce: _look,
    c.RevokePasses: _revoke_passes,
}
