"""How readings become charges, and how an owner sets a budget."""

from actors.wallet import budget
from actors.wallet import commands as c
from actors.wallet.advance import charge_proven, enter_grace, let_go, pass_budget
from actors.wallet.bucket import metered
from actors.wallet.forecast import forecast, noted, thresholds
from actors.wallet.lifecycle import measures
from actors.wallet.metering import MS_PER_SECOND
from actors.wallet.meters import STORAGE, Reading, bill, of
from actors.wallet.state import Phase
from actors.wallet.turn import Handler, Turn

READINGS_MAX = 64
"""Readings taken from one command; there are fewer meters than that."""


def bill_readings(turn: Turn, readings: tuple[Reading, ...], at_ms: int) -> None:
    """Post what the readings of the wallet's runtime come to. `at_ms`: the moment of node time they count for."""
    runtime = turn.state.runtime
    assert runtime is not None
    for reading in readings[:READINGS_MAX]:
        if not of(turn.state.meters.rates, reading.meter):
            continue  # free, and free it stays for this runtime: its price is what was agreed at its start
        billed = bill(turn.state.meters, reading)
        if billed.metered != turn.state.meters:
            turn.set(meters=billed.metered)
        if billed.fell_from is not None:
            turn.tell("meter_fell", meter=reading.meter, billed=billed.fell_from, count=reading.count)
        if billed.usat:
            since = f"period_{reading.period}" if reading.meter == STORAGE else runtime.runtime_id
            turn.post(metered(billed.usat, turn.state.accounts.bucket, f"meter:{reading.meter}:{since}"))
            turn.set(
                meters=noted(turn.state.meters, reading.meter, billed.usat, at_ms),
                hour=budget.with_spent(turn.state.hour, reading.meter, billed.usat),
            )


def _readings(turn: Turn, command: c.Readings) -> c.Refusal | None:
    """Billed while it runs; what comes after that is in the node's last word on the runtime."""
    runtime, proof = turn.state.runtime, turn.at.proof
    if runtime is None or runtime.runtime_id != command.runtime_id or proof is None:
        return None
    if turn.state.phase not in (Phase.ALIVE, Phase.GRACE) or not measures(turn.state, proof):
        return None
    before = turn.state
    trial = Turn(before, turn.at, turn.policy)
    bill_readings(trial, command.readings, proof.proven_ms)
    if trial.state.accounts == before.accounts:
        turn.state = trial.state  # marks and falls alone
        turn.events += trial.events
        return None
    charge_proven(turn)  # the time before it comes first: grace must not begin in the past
    bill_readings(turn, command.readings, proof.proven_ms)
    pass_budget(turn, proof.proven_ms)
    if turn.state.phase is Phase.ALIVE:
        _warn(turn, proof.proven_ms)
        if turn.state.accounts.bucket == 0:
            enter_grace(turn, proof.proven_ms)
    return None


def _warn(turn: Turn, now_ms: int) -> None:
    """Warn by the forecast: what the meters took lately brings the end nearer than the clock alone."""
    told = turn.state.runway_told
    warn_seconds = thresholds(turn.state, turn.policy)
    ahead = forecast(turn.state, now_ms)
    while (
        told < len(warn_seconds)
        and ahead.exhausts_ms is not None
        and ahead.exhausts_ms - now_ms <= warn_seconds[told] * MS_PER_SECOND
    ):
        turn.tell("runway", seconds_left=warn_seconds[told], usat_per_hour=dict(ahead.usat_per_hour))
        told += 1
    if told != turn.state.runway_told:
        turn.set(runway_told=told)


def _set_budget(turn: Turn, command: c.SetBudget) -> c.Refusal | None:
    """What was spent in the hour under way still counts."""
    if not turn.state.is_planned:
        return c.Refusal("wallet_not_found")
    charge_proven(turn)
    state, runtime = turn.state, turn.state.runtime
    hour = state.hour
    if runtime is not None and runtime.is_healthy:
        hour = budget.hour_from(command.budget, hour, runtime.boot_id, runtime.metered_through_ms)
    elif not command.budget.caps:
        hour = None
    is_warned_anew = command.budget.warn_seconds != state.budget.warn_seconds
    turn.set(budget=command.budget, hour=hour, runway_told=0 if is_warned_anew else state.runway_told)
    turn.tell("budget", caps=dict(command.budget.caps), max_usat_per_call=command.budget.max_usat_per_call)
    let_go(turn)
    if turn.at.proof is not None and measures(turn.state, turn.at.proof):
        pass_budget(turn, turn.at.proof.proven_ms)
    return None


HANDLERS: dict[type[c.Command], Handler] = {c.Readings: _readings, c.SetBudget: _set_budget}
