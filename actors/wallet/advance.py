"""Bring a wallet up to what its node has proven: charge the span, and pass every deadline on the way, in order.

Every command is decided on an advanced state. Whether an alarm fires before or after a command reaches the wallet
therefore makes no difference to the money.
"""

from dataclasses import replace

from actors.wallet import budget
from actors.wallet.bucket import charges
from actors.wallet.commands import SetPaused, StartSandbox, StopSandbox
from actors.wallet.forecast import thresholds
from actors.wallet.lifecycle import exhausts_at_ms, grace_deadline_ms, measures, runway_at_ms
from actors.wallet.metering import cost_usat
from actors.wallet.meters import CLOCK, begun, of
from actors.wallet.state import After, GraceState, Phase, RuntimeRef, Stop, WalletPolicy, WalletState
from actors.wallet.turn import Turn


def advance(turn: Turn) -> None:
    """Pass all deadlines the node's proof has reached."""
    proof = turn.at.proof
    if proof is None or not measures(turn.state, proof):
        return
    if turn.state.phase is Phase.ALIVE:
        _tell_runway(turn, proof.proven_ms)
        pass_budget(turn, proof.proven_ms)
    if turn.state.phase is Phase.ALIVE:
        exhausts = exhausts_at_ms(turn.state)
        if exhausts is not None and exhausts <= proof.proven_ms:
            charge_through(turn, exhausts)
            enter_grace(turn, exhausts)
    runtime = turn.state.runtime
    if (
        turn.state.phase is Phase.ALIVE
        and runtime is not None
        and proof.proven_ms - runtime.metered_through_ms >= turn.policy.checkpoint_ms
    ):
        charge_through(turn, proof.proven_ms)
    if turn.state.phase is Phase.GRACE and proof.outage_since_ms is None:
        deadline = grace_deadline_ms(turn.state, turn.policy)
        if deadline <= proof.proven_ms:
            charge_through(turn, deadline)
            begin_stop(turn, "credit_exhausted", After.REAP, bill_until_ms=deadline)


def _tell_runway(turn: Turn, proven_ms: int) -> None:
    while (due := runway_at_ms(turn.state, turn.policy)) is not None and due <= proven_ms:
        threshold = thresholds(turn.state, turn.policy)[turn.state.runway_told]
        turn.set(runway_told=turn.state.runway_told + 1)
        turn.tell("runway", seconds_left=threshold)


def charge_through(turn: Turn, until_ms: int) -> None:
    """Charge the runtime up to `until_ms`: from the bucket first, the rest is owed."""
    due = turn.meter_through(until_ms)
    if due:
        assert turn.state.runtime is not None
        turn.post(charges(due, turn.state.accounts.bucket, turn.state.runtime.runtime_id))
        turn.set(hour=budget.with_spent(turn.state.hour, CLOCK, due))


def pass_budget(turn: Turn, proven_ms: int) -> None:
    """Pass the ends of the budget's hours, and the moments at which it is used up, as far as the bucket lasts."""
    while turn.state.phase is Phase.ALIVE and turn.state.hour is not None:
        over, reached = budget.ends_at_ms(turn.state), budget.reached_at(turn.state)
        assert over is not None
        due = over if reached is None else min(over, reached[0])
        exhausts = exhausts_at_ms(turn.state)
        if due > proven_ms or (exhausts is not None and exhausts < due):
            return
        charge_through(turn, due)
        if reached is not None and reached[0] < over:
            _budget_used_up(turn, reached[1], due)
        else:
            turn.set(hour=replace(turn.state.hour, began_ms=over, spent=()))
            let_go(turn)


def _budget_used_up(turn: Turn, name: str, at_ms: int) -> None:
    hour, runtime = turn.state.hour, turn.state.runtime
    assert hour is not None
    assert runtime is not None
    told = {
        "meter": name,
        "cap_usat": of(turn.state.budget.caps, name),
        "spent_usat": budget.spent_usat(hour, name),
        "seconds_until_next_hour": max(0, hour.began_ms + budget.HOUR_MS - at_ms) // 1000,
    }
    if runtime.is_paused or turn.state.is_held:
        turn.tell("budget_reached", action="stop", what_to_do="raise the budget, then wake the sandbox", **told)
        stop_for_budget(turn, at_ms)
        return
    turn.set(is_held=True, wants_pause=True)
    turn.tell(
        "budget_reached", action="pause", what_to_do="raise the budget, or wait: the next hour lets it run on", **told
    )
    turn.do(SetPaused(runtime.runtime_id))


def stop_for_budget(turn: Turn, bill_until_ms: int | None = None) -> None:
    """Freezing does not help (any more): stop, and keep the workspace."""
    begin_stop(turn, "budget_reached", After.REAP, bill_until_ms=bill_until_ms)


def let_go(turn: Turn) -> None:
    """What the budget held may run on."""
    if turn.state.is_held:
        turn.set(is_held=False, wants_pause=False)
        turn.tell("budget_renewed")
        if turn.state.runtime is not None:
            turn.do(SetPaused(turn.state.runtime.runtime_id))


def charge_proven(turn: Turn) -> None:
    """Charge the runtime up to the last heartbeat, if there is one to go by."""
    proof = turn.at.proof
    if proof is not None and measures(turn.state, proof) and turn.state.phase in (Phase.ALIVE, Phase.GRACE):
        charge_through(turn, proof.proven_ms)


def enter_grace(turn: Turn, began_ms: int, *, on_credit: bool = False) -> None:
    """The bucket is empty; the clock of grace starts."""
    now_ms = turn.at.proof.now_ms if turn.at.proof is not None else began_ms
    began_wall_ms = turn.at.wall_ms - (now_ms - began_ms)
    turn.set(phase=Phase.GRACE, grace=GraceState(began_ms, began_wall_ms, on_credit))
    turn.tell("grace", on_credit=on_credit, seconds=turn.policy.grace_ms // 1000)


def begin_start(turn: Turn, reason: str) -> None:
    """Commit to a new runtime; the shell asks the node for it after the commit."""
    runtime_id = turn.at.runtime_id
    assert runtime_id, "a turn that starts a sandbox needs a fresh id"
    turn.set(
        phase=Phase.STARTING, reason=reason, runtime=RuntimeRef(runtime_id), start_file=None, grace=None, stop=None,
        wants_pause=False, is_held=False, meters=begun(turn.state.meters, turn.policy.meter_rates),
    )  # fmt: skip
    turn.tell("starting", runtime_id=runtime_id, reason=reason)
    turn.do(StartSandbox(runtime_id, turn.state.plan, turn.state.snapshot_digest))


def begin_stop(turn: Turn, reason: str, after: After, *, bill_until_ms: int | None = None) -> None:
    """Commit to ending the runtime; the shell asks the node after the commit."""
    runtime = turn.state.runtime
    assert runtime is not None
    turn.set(phase=Phase.STOPPING, stop=Stop(reason, after, bill_until_ms), grace=None, wants_pause=False)
    turn.tell("stopping", runtime_id=runtime.runtime_id, reason=reason)
    turn.do(StopSandbox(runtime.runtime_id, snapshot=after is not After.DESTROY))


def covers_wake(turn: Turn) -> bool:
    """Whether the bucket covers the least time a wake is worth."""
    state = turn.state
    least = cost_usat(state.rate_usat_per_second, turn.policy.wake_minimum_seconds)
    return state.is_planned and state.accounts.owed == 0 and state.accounts.bucket >= max(1, least)


def lacks_usat(state: WalletState, policy: WalletPolicy) -> int:
    """What the bucket lacks for a wake, arrears and the least time together; 0 when it covers one."""
    least = cost_usat(state.rate_usat_per_second, policy.wake_minimum_seconds)
    return max(0, max(1, least) + state.accounts.debt_usat - state.accounts.bucket)


def credit_covers_wake(turn: Turn, granted_usat: int) -> bool:
    """Whether an unconfirmed payment's grant covers arrears plus the least time a wake is worth."""
    state = turn.state
    least = cost_usat(state.rate_usat_per_second, turn.policy.wake_minimum_seconds)
    return state.is_planned and state.accounts.bucket + granted_usat - state.accounts.debt_usat >= max(1, least)


def stretch_for_outage(turn: Turn, from_ms: int, to_ms: int) -> None:
    """Give grace the time back in which payments could not be taken."""
    grace = turn.state.grace
    if grace is None:
        return
    lost = max(0, to_ms - max(from_ms, grace.began_ms))
    if lost:
        turn.set(grace=replace(grace, outage_ms=grace.outage_ms + lost))
        turn.tell("grace_extended", reason="payments_unavailable", ms=lost)
