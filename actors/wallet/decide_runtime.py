"""How a sandbox comes and goes: started, lost, stopped, woken, reaped."""

from dataclasses import asdict, replace
from typing import Any

from actors.wallet import commands as c
from actors.wallet import creates
from actors.wallet.advance import (
    begin_start,
    begin_stop,
    charge_proven,
    charge_through,
    covers_wake,
    enter_grace,
    lacks_usat,
)
from actors.wallet.budget import hour_from
from actors.wallet.calls import counted_wake
from actors.wallet.decide_meters import bill_readings
from actors.wallet.decide_pause import paused_rate
from actors.wallet.decide_payments import write_off_credit_start
from actors.wallet.decide_refunds import credit_failed_start, credit_fault
from actors.wallet.links import without_wakes
from actors.wallet.state import After, Phase, StartFile
from actors.wallet.turn import Handler, Turn

DESTROYED = "destroyed"
BUDGET_REACHED = "budget_reached"
RECOVERED = "recovered"
"""Why what was lost by itself starts again."""


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
    hour = hour_from(turn.state.budget, turn.state.hour, command.runtime.boot_id, command.runtime.healthy_at_ms)
    turn.set(runtime=command.runtime, start_failures=0, runway_told=0, hour=hour)
    turn.set(paused_rate_usat_per_second=paused_rate(turn))
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
    credit_failed_start(turn)
    failures = turn.state.start_failures + 1
    turn.set(start_failures=failures)
    turn.tell("start_failed", code=command.code, message=command.message, attempt=failures)
    if command.retryable and failures < turn.policy.start_attempts_max:
        begin_start(turn, "retry")
    else:
        turn.set(phase=Phase.REAPED, reason="start_failed", runtime=None, start_failures=0)
        turn.tell("reaped", reason="start_failed")
    return None


def _start_file_failed(turn: Turn, command: c.StartFileFailed) -> c.Refusal | None:
    """The sandbox runs on without what its owner wanted started; a node may report it more than once."""
    known = turn.state.start_file
    if not _is_current(turn, command.runtime_id) or (known is not None and known.runtime_id == command.runtime_id):
        return None
    failed = StartFile(command.runtime_id, command.exit_code, command.signal, command.process_id)
    turn.set(start_file=failed)
    turn.tell("start_file_failed", **asdict(failed))
    return None


def _lost(turn: Turn, command: c.Lost) -> c.Refusal | None:
    """The runtime died by itself: finalise it at the node, and start again when the bucket pays for it."""
    if not _is_current(turn, command.runtime_id) or turn.state.phase not in (Phase.STARTING, Phase.ALIVE, Phase.GRACE):
        return None
    turn.tell("lost", runtime_id=command.runtime_id, reason=command.reason)
    restart = turn.state.phase is not Phase.GRACE
    begin_stop(turn, f"lost_{command.reason}", After.RESTART if restart else After.REAP)
    assert turn.state.stop is not None
    turn.set(stop=replace(turn.state.stop, fault=command.reason))
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
        bill_readings(turn, command.readings, command.stopped_at_ms)
    if command.snapshot_digest is not None:
        turn.set(snapshot_digest=command.snapshot_digest)
        if command.skipped:
            turn.tell("files_left_behind", count=command.skipped, examples=list(command.skipped_examples))
    _finish_stop(turn, command)
    return None


def _finish_stop(turn: Turn, command: c.Stopped | None) -> None:
    stop, runtime = turn.state.stop, turn.state.runtime
    assert stop is not None
    assert runtime is not None
    is_same_boot = command is not None and command.known and command.boot_id == runtime.boot_id
    credit_fault(turn, stop.fault, command.stopped_at_ms if command is not None and is_same_boot else None)
    turn.set(phase=Phase.REAPED, reason=stop.reason, runtime=None, stop=None, grace=None, is_held=False)
    lean = turn.state.credit_start
    if lean is not None and all(p.payment_id != lean.payment_id for p in turn.state.pending):
        write_off_credit_start(turn)
    creates.settle_failed(turn)
    if stop.after is After.DESTROY:
        _destroy(turn)
        return
    if stop.restore_digest is not None:
        turn.set(snapshot_digest=stop.restore_digest)
        if turn.state.accounts.bucket > 0 or turn.state.credit_start is not None:
            begin_start(turn, "restored")
            return
    elif stop.after is After.RESTART:
        lived_ms = 0
        if command is not None and command.stopped_at_ms is not None and runtime.is_healthy:
            lived_ms = command.stopped_at_ms - runtime.healthy_at_ms
        crashes = 0 if lived_ms >= turn.policy.crash_loop_window_ms else turn.state.crashes + 1
        turn.set(crashes=crashes)
        is_funded = turn.state.accounts.bucket > 0 or turn.state.credit_start is not None
        if crashes <= turn.policy.crash_loop_max and is_funded:
            begin_start(turn, RECOVERED)
            return
        if crashes > turn.policy.crash_loop_max:
            turn.set(crashes=0, reason="crash_loop")
    elif stop.reason not in ("requested", "payment_failed", BUDGET_REACHED) and covers_wake(turn):
        begin_start(turn, "paid")  # money arrived while the sandbox was being stopped
        return
    turn.tell("reaped", reason=turn.state.reason, snapshot_digest=turn.state.snapshot_digest)


def _restore(turn: Turn, command: c.Restore) -> c.Refusal | None:
    """Whose snapshot it is was looked at before; here it is only where to go on."""
    state = turn.state
    if not state.is_planned:
        return c.Refusal("wallet_not_found")
    if state.phase in (Phase.STARTING, Phase.STOPPING):
        return c.Refusal("sandbox_starting", {"state": state.phase.value})
    if state.phase in (Phase.ALIVE, Phase.GRACE):
        charge_proven(turn)
        begin_stop(turn, "restored", After.RESTART)
        assert turn.state.stop is not None
        turn.set(stop=replace(turn.state.stop, restore_digest=command.snapshot_digest))
    else:
        turn.set(snapshot_digest=command.snapshot_digest)
    turn.tell("restoring", snapshot_digest=command.snapshot_digest)
    return None


def _destroy(turn: Turn) -> None:
    turn.set(
        snapshot_digest=None, exposed=(), links=(), forgets=True, lifetime=turn.state.lifetime + 1, reason=DESTROYED
    )
    turn.tell("destroyed", lifetime=turn.state.lifetime - 1)
    turn.do(c.ForgetSnapshots())


def _forgotten(turn: Turn, command: c.Forgotten) -> c.Refusal | None:
    turn.set(forgets=False)
    return None


def _wake(turn: Turn, command: c.Wake) -> c.Refusal | None:
    state = turn.state
    if not state.is_planned:
        return c.Refusal("wallet_not_found")
    if state.phase in (Phase.STARTING, Phase.ALIVE, Phase.GRACE):
        return None
    if (
        state.phase is not Phase.STOPPING
        and command.size_class is not None
        and command.rate_usat_per_second is not None
    ):
        turn.set(
            plan=replace(state.plan, size_class=command.size_class), rate_usat_per_second=command.rate_usat_per_second
        )
    refusal = wake_refusal(turn) or _traffic_refusal(turn, command.traffic_per_hour)
    if refusal is None:
        wake_up(turn)
    else:
        turn.set(plan=state.plan, rate_usat_per_second=state.rate_usat_per_second)
    return refusal


def _traffic_refusal(turn: Turn, per_hour: int | None) -> c.Refusal | None:
    """Why callers may not wake it now; counts the wake when they may. None for whoever is no caller."""
    if per_hour is None:
        return None
    if turn.state.reason in (BUDGET_REACHED, DESTROYED):  # the owner who let traffic wake it did not mean these
        return c.Refusal("sandbox_reaped", {"reason": turn.state.reason})
    hour = counted_wake(turn.state.traffic_wakes, turn.at.wall_ms, per_hour)
    if hour is None:
        return c.Refusal("traffic_wakes_limit", {"wakes_per_hour": per_hour})
    turn.set(traffic_wakes=hour)
    return None


def wake_refusal(turn: Turn) -> c.Refusal | None:
    """Why what does not run cannot be woken now."""
    if turn.state.phase is Phase.STOPPING:
        return c.Refusal("sandbox_starting", {"state": "stopping"})
    return None if covers_wake(turn) else c.Refusal("credit_insufficient", _shortfall(turn))


def wake_up(turn: Turn) -> None:
    """Start it again on the credit that is left."""
    turn.set(crashes=0)
    begin_start(turn, "woken")


def _shortfall(turn: Turn) -> dict[str, Any]:
    missing = lacks_usat(turn.state, turn.policy)
    return {"missing_sats": -(-missing // 1_000_000), "owed_usat": turn.state.accounts.debt_usat}


def _reap(turn: Turn, command: c.Reap) -> c.Refusal | None:
    phase = turn.state.phase
    after = After.DESTROY if command.destroy else After.REAP
    # Who says stop means it: money sent before is credited when it confirms, but starts nothing.
    turn.set(pending=tuple(replace(p, wakes=False) for p in turn.state.pending), links=without_wakes(turn.state.links))
    if phase in (Phase.ALIVE, Phase.GRACE, Phase.STARTING):
        charge_proven(turn)
        begin_stop(turn, command.reason, after)
    elif phase is Phase.STOPPING and turn.state.stop is not None:
        turn.set(stop=replace(turn.state.stop, reason=command.reason, after=after, restore_digest=None))
    elif command.destroy and phase in (Phase.REAPED, Phase.NONE) and turn.state.is_planned:
        _destroy(turn)
    elif not turn.state.is_planned:
        return c.Refusal("wallet_not_found")
    return None


HANDLERS: dict[type[c.Command], Handler] = {
    c.Started: _started,
    c.StartFailed: _start_failed,
    c.StartFileFailed: _start_file_failed,
    c.Lost: _lost,
    c.Stopped: _stopped,
    c.Wake: _wake,
    c.Reap: _reap,
    c.Restore: _restore,
    c.Forgotten: _forgotten,
}
