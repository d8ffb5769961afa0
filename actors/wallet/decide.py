"""The one function that decides a turn: `decide(state, command, instant, policy) -> Decision`.

Pure: no clock, no I/O, no ids of its own. The shell writes the decision in one transaction, then replies, tells events
and runs effects. Each handler sees a state that `advance` has brought up to the node's last proof. The rules for payments
are in `decide_payments`, those for the sandbox in `decide_runtime`.
"""

from dataclasses import dataclass

from actors.wallet import commands as c
from actors.wallet import (
    creates,
    decide_calls,
    decide_disputes,
    decide_keys,
    decide_links,
    decide_meters,
    decide_pause,
    decide_payments,
    decide_ports,
    decide_refunds,
    decide_runtime,
)
from actors.wallet.advance import advance, charge_proven, stretch_for_outage
from actors.wallet.calls import BundledOrder
from actors.wallet.decide_pause import paused_rate
from actors.wallet.journal import Entry
from actors.wallet.state import After, Instant, Phase, Planned, WalletPolicy, WalletState
from actors.wallet.turn import Handler, Turn


@dataclass(frozen=True, slots=True)
class Decision:
    """All a turn changes: the new state, what to write, tell and do, and the answer."""

    state: WalletState
    entries: tuple[Entry, ...]
    orders: tuple[BundledOrder, ...]
    posted: tuple[str, ...]
    """Ids of the logged orders that were posted, alone or in bundles: none of them is posted again."""
    spans: tuple[c.SpanRecord, ...]
    events: tuple[tuple[int, c.Happening], ...]
    effects: tuple[c.Effect, ...]
    refusal: c.Refusal | None
    is_duplicate: bool
    is_changed: bool
    """Whether there is anything to write."""


def decide(
    state: WalletState,
    command: c.Command,
    at: Instant,
    policy: WalletPolicy,
    *,
    is_duplicate: bool = False,
    conflict: str | None = None,
    used: frozenset[str] = frozenset(),
) -> Decision:
    """Decide one command. `is_duplicate`: the store has seen this payment or nonce before. `conflict`: the code of what
    was seen before that forbids it. `used`: the ids among a command's orders that were posted before.
    """
    turn = Turn(state, at, policy, used)
    advance(turn)
    decide_calls.lapse(turn)
    refusal = None
    if not is_duplicate:
        refusal = c.Refusal(conflict) if conflict is not None else _HANDLERS[type(command)](turn, command)
    if is_duplicate and isinstance(command, c.BurnNonce):
        refusal = c.Refusal("challenge_replayed")
    moved = turn.state != state
    if moved:
        turn.set(version=state.version + 1)
    return Decision(
        turn.state,
        tuple(turn.entries),
        tuple(turn.orders),
        tuple(turn.posted),
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
    effects += [c.SendPayout(payout.payout_id) for payout in state.payouts if not payout.is_told]
    if state.transit:
        effects.append(c.DeliverOrders())
    if state.forgets:
        effects.append(c.ForgetSnapshots())
    if state.phase is Phase.STARTING and state.runtime is not None:
        effects.append(c.StartSandbox(state.runtime.runtime_id, state.plan, state.snapshot_digest))
    if state.phase is Phase.STOPPING and state.runtime is not None and state.stop is not None:
        effects.append(c.StopSandbox(state.runtime.runtime_id, state.stop.after is not After.DESTROY))
    if decide_pause.is_unsettled(state):
        assert state.runtime is not None
        effects.append(c.SetPaused(state.runtime.runtime_id))
    return tuple(effects)


def _look(turn: Turn, command: c.Command) -> c.Refusal | None:
    return None


def _prepare(turn: Turn, command: c.Prepare) -> c.Refusal | None:
    state = turn.state
    if command.purpose == "create":
        assert command.plan is not None
        if state.phase in (Phase.STARTING, Phase.ALIVE, Phase.GRACE, Phase.STOPPING):
            return c.Refusal("already_exists", {"state": state.phase.value})
        creates.ask_for(turn, command.payment_id, Planned(command.plan, command.rate_usat_per_second))
        return None
    if not state.is_planned:
        return c.Refusal("wallet_not_found")
    if len(state.pending) >= turn.policy.pending_max:
        return c.Refusal("overloaded", {"pending_payments": len(state.pending)})
    return None


def _create_off(turn: Turn, command: c.CreateOff) -> c.Refusal | None:
    creates.fail(turn, command.payment_id)
    return None


def _checkpoint(turn: Turn, command: c.Command) -> c.Refusal | None:
    charge_proven(turn)
    return None


def _set_rate(turn: Turn, command: c.SetRate) -> c.Refusal | None:
    if not turn.state.is_planned:
        return c.Refusal("wallet_not_found")
    charge_proven(turn)
    turn.set(rate_usat_per_second=command.rate_usat_per_second, runway_told=0)
    turn.set(paused_rate_usat_per_second=paused_rate(turn))
    turn.tell("rate", rate_usat_per_second=command.rate_usat_per_second)
    return None


def _outage(turn: Turn, command: c.Outage) -> c.Refusal | None:
    stretch_for_outage(turn, command.from_ms, command.to_ms)
    return None


def _revoke_passes(turn: Turn, command: c.Command) -> c.Refusal | None:
    turn.set(pass_epoch=turn.state.pass_epoch + 1)
    turn.tell("passes_revoked", pass_epoch=turn.state.pass_epoch)
    return None


def needs_proof(state: WalletState, command: c.Command) -> bool:
    """Whether a fresh heartbeat would change what `command` decides."""
    return command.wants_proof and state.runtime is not None and state.runtime.is_healthy


_HANDLERS: dict[type[c.Command], Handler] = {
    **decide_payments.HANDLERS,
    **decide_runtime.HANDLERS,
    **decide_pause.HANDLERS,
    **decide_ports.HANDLERS,
    **decide_keys.HANDLERS,
    **decide_links.HANDLERS,
    **decide_disputes.HANDLERS,
    **decide_meters.HANDLERS,
    **decide_refunds.HANDLERS,
    **decide_calls.HANDLERS,
    c.Look: _look,
    c.Tick: _look,
    c.BurnNonce: _look,
    c.Prepare: _prepare,
    c.CreateOff: _create_off,
    c.Checkpoint: _checkpoint,
    c.SetRate: _set_rate,
    c.Outage: _outage,
    c.RevokePasses: _revoke_passes,
}
