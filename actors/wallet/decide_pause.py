"""How a sandbox is frozen and thawed: memory kept, no CPU, a lower rate for exactly as long as the node says."""

from dataclasses import replace

from actors.wallet import commands as c
from actors.wallet.advance import charge_through, stop_for_budget
from actors.wallet.state import Phase, WalletState
from actors.wallet.turn import Handler, Turn


def is_unsettled(state: WalletState) -> bool:
    """Whether the node has yet to be told what the owner wants."""
    runtime = state.runtime
    is_up = runtime is not None and runtime.is_healthy and state.phase in (Phase.ALIVE, Phase.GRACE)
    return is_up and runtime is not None and runtime.is_paused != state.wants_pause


def paused_rate(turn: Turn) -> int:
    """The rate of a frozen sandbox, rounded up."""
    return -(-turn.state.rate_usat_per_second * turn.policy.paused_rate_percent // 100)


def _pause(turn: Turn, command: c.Pause) -> c.Refusal | None:
    state = turn.state
    if not state.is_planned:
        return c.Refusal("wallet_not_found")
    if state.phase not in (Phase.ALIVE, Phase.GRACE):
        is_coming = state.phase is Phase.STARTING or state.comes_back
        return c.Refusal("sandbox_starting" if is_coming else "sandbox_reaped", {"reason": state.reason})
    if state.is_held and not command.pause:
        return c.Refusal("budget_reached", {"state": "held"})
    turn.set(wants_pause=command.pause)
    _settle(turn)
    return None


def _settle(turn: Turn) -> None:
    if is_unsettled(turn.state):
        assert turn.state.runtime is not None
        turn.do(c.SetPaused(turn.state.runtime.runtime_id))


def _paused(turn: Turn, command: c.Paused) -> c.Refusal | None:
    """Charge up to the moment at the old rate; from there on the other one counts."""
    runtime = turn.state.runtime
    if runtime is None or (runtime.runtime_id, runtime.boot_id) != (command.runtime_id, command.boot_id):
        return None
    if turn.state.phase not in (Phase.ALIVE, Phase.GRACE) or runtime.is_paused == command.is_paused:
        return None
    charge_through(turn, command.at_ms)
    assert turn.state.runtime is not None
    turn.set(
        runtime=replace(turn.state.runtime, is_paused=command.is_paused),
        paused_rate_usat_per_second=paused_rate(turn),
        runway_told=0,
    )
    turn.tell("paused" if command.is_paused else "resumed", rate_usat_per_second=turn.state.burn_usat_per_second)
    _settle(turn)  # the owner may have changed their mind meanwhile
    return None


def _pause_failed(turn: Turn, command: c.PauseFailed) -> c.Refusal | None:
    runtime = turn.state.runtime
    if runtime is not None and runtime.runtime_id == command.runtime_id and is_unsettled(turn.state):
        turn.set(wants_pause=runtime.is_paused)
        turn.tell("pause_failed", code=command.code)
        if turn.state.is_held:
            stop_for_budget(turn)
    return None


HANDLERS: dict[type[c.Command], Handler] = {
    c.Pause: _pause,
    c.Paused: _paused,
    c.PauseFailed: _pause_failed,
}
