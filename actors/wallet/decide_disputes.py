"""How a wallet's disputes go: opened by its owner, answered and decided by the operator, each step an entry of the journal.

The steps post nothing and carry their words in the entry's reference, so they are in the hash chain; what is put right is an
entry of its own beside the verdict. A dispute that is over leaves the state: its verdict can be given once.
"""

import json
from dataclasses import replace

from actors.wallet import bucket
from actors.wallet import commands as c
from actors.wallet.advance import charge_proven
from actors.wallet.going_on import go_on
from actors.wallet.state import Dispute, Phase
from actors.wallet.turn import Handler, Turn

OPEN, ANSWERED, UPHELD, DENIED = "open", "answered", "upheld", "denied"
STEP = {OPEN: "dispute_opened", ANSWERED: "dispute_answered", UPHELD: "dispute_upheld", DENIED: "dispute_denied"}
"""The journal's kind by the state it leads to."""

USE = frozenset({"charge", "meter", "fee", "spend", "exec"})
"""Kinds of disputes about what use cost. Many can be about the same seconds: all together give no more than was burnt."""


def _record(turn: Turn, state: str, dispute_id: str, **words: object) -> None:
    """ASCII, so that the entry's hash is over its RFC 8785 form as all others' are."""
    reference = json.dumps({"dispute_id": dispute_id, **words}, sort_keys=True, separators=(",", ":"))
    turn.post(bucket.Posting(STEP[state], (), reference))
    turn.tell("dispute", dispute_id=dispute_id, state=state)


def _open(turn: Turn, command: c.OpenDispute) -> c.Refusal | None:
    state = turn.state
    if not state.exists:
        return c.Refusal("wallet_not_found")
    if len(state.disputes) >= turn.policy.disputes_max:
        return c.Refusal("dispute_limit", {"disputes_max": turn.policy.disputes_max})
    dispute = Dispute(command.dispute_id, OPEN, command.usat_max, command.about.get("kind") in USE)
    turn.set(disputes=(*state.disputes, dispute))
    _record(
        turn, OPEN, command.dispute_id, about=command.about, reason=command.reason, usat_max=command.usat_max,
        answer_due_ms=command.answer_due_ms, verdict_due_ms=command.verdict_due_ms,
    )  # fmt: skip
    return None


def _find(turn: Turn, dispute_id: str) -> Dispute | None:
    return next((dispute for dispute in turn.state.disputes if dispute.dispute_id == dispute_id), None)


def _answer(turn: Turn, command: c.AnswerDispute) -> c.Refusal | None:
    dispute = _find(turn, command.dispute_id)
    if dispute is None or dispute.state != OPEN:
        return c.Refusal("dispute_state", {"state": None if dispute is None else dispute.state})
    others = (replace(d, state=ANSWERED) if d is dispute else d for d in turn.state.disputes)
    turn.set(disputes=tuple(others))
    _record(turn, ANSWERED, command.dispute_id, text=command.text)
    return None


def _decide(turn: Turn, command: c.DecideDispute) -> c.Refusal | None:
    """The verdict and what it puts right are one commit: both are there, or neither."""
    dispute = _find(turn, command.dispute_id)
    if dispute is None:
        return c.Refusal("dispute_state", {"state": None})
    if command.usat > dispute.usat_max:
        return c.Refusal("dispute_amount", {"usat_max": dispute.usat_max})
    if command.usat and dispute.is_for_use:
        charge_proven(turn)
        left = turn.state.accounts.burnt - turn.state.put_right_usat
        if command.usat > left:
            return c.Refusal("dispute_amount", {"usat_max": max(0, left)})
        turn.set(put_right_usat=turn.state.put_right_usat + command.usat)
    turn.set(disputes=tuple(d for d in turn.state.disputes if d is not dispute))
    _record(turn, UPHELD if command.is_upheld else DENIED, command.dispute_id, text=command.text, usat=command.usat)
    if command.usat:
        if turn.state.phase is Phase.GRACE:
            charge_proven(turn)
        turn.post(bucket.credit(command.usat, command.dispute_id))
        turn.tell("credit", reference=command.dispute_id, usat=command.usat)
        go_on(turn)
    return None


HANDLERS: dict[type[c.Command], Handler] = {
    c.OpenDispute: _open,
    c.AnswerDispute: _answer,
    c.DecideDispute: _decide,
}
