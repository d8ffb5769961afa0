"""What a wallet gets back: charges for what the node did wrong, and what is left of its deposits (`design/refunds.md`)."""

from dataclasses import replace

from actors.wallet import bucket
from actors.wallet import commands as c
from actors.wallet.advance import charge_proven
from actors.wallet.going_on import go_on
from actors.wallet.lots import Lot, terms_of, with_lot, without
from actors.wallet.metering import MS_PER_SECOND, cost_usat
from actors.wallet.state import Payout, Phase
from actors.wallet.turn import Handler, Turn

NODE_FAULTS = frozenset({"node_restart", "reboot", "unknown", "volume_read_only"})
"""Ends of a runtime that nothing inside it can bring about."""

DOUBTFUL_FAULTS = frozenset({"protocol_broken"})
"""Ends that are the node's fault unless somebody inside worked at it: given back in part, so that it never pays."""


def credit_fault(turn: Turn, fault: str | None, ended_ms: int | None) -> None:
    """A runtime is over by this fault: give back its last time, and all that was charged past its end. It leaves the state
    in this turn, so this happens once. `ended_ms`: the last moment that the node says it lived, under the runtime's boot.
    """
    runtime = turn.state.runtime
    assert runtime is not None
    past_usat = 0
    if ended_ms is not None and ended_ms < runtime.metered_through_ms:
        # Somebody ended it behind the wallet's back, and heartbeats went on to prove that the node was up.
        past_usat = -(-turn.state.burn_usat_per_second * (runtime.metered_through_ms - ended_ms) // MS_PER_SECOND)
    due = min(runtime.charged_usat, cost_usat(turn.state.burn_usat_per_second, turn.policy.credit_back_seconds))
    if fault in DOUBTFUL_FAULTS:
        due = min(due, runtime.charged_usat * turn.policy.credit_back_percent // 100)
    elif fault not in NODE_FAULTS:
        due = 0
    _credit_back(turn, min(runtime.charged_usat, due + past_usat), fault or "charged_past_its_end")


def credit_failed_start(turn: Turn) -> None:
    """What did not start costs nothing, whatever was charged for it."""
    runtime = turn.state.runtime
    assert runtime is not None
    _credit_back(turn, runtime.charged_usat, "start_failed")


def _credit_back(turn: Turn, usat: int, reason: str) -> None:
    runtime = turn.state.runtime
    assert runtime is not None
    if usat > 0:
        turn.post(bucket.credit_back(usat, turn.state.accounts.debt_usat, runtime.runtime_id))
        turn.set(runtime=replace(runtime, charged_usat=runtime.charged_usat - usat))
        turn.tell("credit_back", runtime_id=runtime.runtime_id, usat=usat, reason=reason)


def _reclaim(turn: Turn, command: c.Reclaim) -> c.Refusal | None:
    """All of it or nothing. Not while anything runs or is owed: time would use up what is being sent away."""
    state = turn.state
    if not state.is_planned and state.seq == 0:
        return c.Refusal("wallet_not_found")
    if state.runtime is not None or state.phase not in (Phase.NONE, Phase.REAPED):
        return c.Refusal("reclaim_running", {"state": state.phase.value})
    if state.accounts.owed or state.credit_start is not None:
        return c.Refusal("reclaim_owing", {"owed_usat": state.accounts.debt_usat})
    if len(state.payouts) + len(command.parts) > turn.policy.payouts_max:
        return c.Refusal("reclaim_limit", {"payouts_max": turn.policy.payouts_max})
    lots = {lot.payment_id: lot for lot in state.reclaimable}
    payouts: list[Payout] = []
    for number, part in enumerate(command.parts):
        lot = lots.pop(part.payment_id, None)
        if lot is None or (lot.origin, lot.asset) != (part.origin, part.asset):
            return c.Refusal("reclaim_deposit", {"payment_id": part.payment_id})
        terms = terms_of(lot, part.fee_atomic)
        if terms is None or (terms.usat, terms.atomic) != (part.usat, part.atomic):
            return c.Refusal("reclaim_changed", {"payment_id": part.payment_id, "left_usat": lot.left_usat})
        payout_id = f"{command.reclaim_id}_{number}"
        payouts.append(
            Payout(payout_id, lot.payment_id, lot.origin, lot.asset, terms.atomic, terms.usat, terms.fee_usat, lot)
        )
    # What does not make a whole unit stays in the bucket as credit, and is no part of the deposit any more.
    turn.set(lots=without(state.lots, {part.payment_id for part in command.parts}))
    for payout in payouts:
        turn.set(payouts=(*turn.state.payouts, payout))
        turn.post(bucket.payout_hold(payout.usat, payout.payout_id))
        turn.tell("payout_held", payout_id=payout.payout_id, payment_id=payout.payment_id, usat=payout.usat)
        turn.do(c.SendPayout(payout.payout_id))
    return None


def _find(turn: Turn, payout_id: str) -> Payout | None:
    return next((payout for payout in turn.state.payouts if payout.payout_id == payout_id), None)


def _payout_told(turn: Turn, command: c.PayoutTold) -> c.Refusal | None:
    payout = _find(turn, command.payout_id)
    if payout is not None:
        told = replace(payout, is_told=True)
        turn.set(payouts=tuple(told if one is payout else one for one in turn.state.payouts))
    return None


def _payout_ended(turn: Turn, command: c.PayoutEnded) -> c.Refusal | None:
    """Once: a payout that is over leaves the state."""
    payout = _find(turn, command.payout_id)
    if payout is None:
        return None
    turn.set(payouts=tuple(one for one in turn.state.payouts if one is not payout))
    if command.is_paid:
        turn.post(bucket.payout(payout.usat, payout.fee_usat, payout.payout_id))
        turn.tell("payout", payout_id=payout.payout_id, usat=payout.usat, fee_usat=payout.fee_usat, txid=command.txid)
        return None
    if turn.state.phase is Phase.GRACE:
        charge_proven(turn)
    turn.post(bucket.payout_return(payout.usat, payout.payout_id))
    turn.tell("payout_returned", payout_id=payout.payout_id, usat=payout.usat, reason=command.reason)
    _restore_lot(turn, replace(payout.lot, left_usat=payout.usat))
    go_on(turn)
    return None


def _restore_lot(turn: Turn, lot: Lot) -> None:
    """As the oldest, so that the lots stay in order without times: it is spent first."""
    others = with_lot(turn.state.lots, lot, turn.policy.lots_max)
    if lot in others:
        turn.set(lots=(lot, *(one for one in others if one is not lot)))


HANDLERS: dict[type[c.Command], Handler] = {
    c.Reclaim: _reclaim,
    c.PayoutTold: _payout_told,
    c.PayoutEnded: _payout_ended,
}
