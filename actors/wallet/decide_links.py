"""Wake links: made and revoked by the owner, used by whoever holds one.

A link wakes what was reaped, also by its owner on purpose: the owner gave the link out. What was destroyed it never wakes;
links end with their lifetime. A wake of what is up already starts nothing and counts nothing.
"""

from dataclasses import replace

from actors.wallet import budget, links
from actors.wallet import commands as c
from actors.wallet.decide_runtime import BUDGET_REACHED, DESTROYED, wake_refusal, wake_up
from actors.wallet.links import WakeLink
from actors.wallet.state import After, Phase, WalletState
from actors.wallet.turn import Handler, Turn

INVALID = "wake_link_invalid"


def is_destroyed(state: WalletState) -> bool:
    """Whether the lifetime is over, or is just being ended."""
    ending = state.stop is not None and state.stop.after is After.DESTROY
    return ending or (state.phase in (Phase.REAPED, Phase.NONE) and state.reason == DESTROYED)


def _add(turn: Turn, command: c.AddLink) -> c.Refusal | None:
    if not turn.state.is_planned or is_destroyed(turn.state):
        return c.Refusal("wallet_not_found")
    kept = links.with_room(turn.state.links, turn.at.wall_ms)
    if kept is None:
        return c.Refusal("wake_links_full", {"wake_links_max": links.LINKS_MAX})
    turn.set(links=(*kept, command.link))
    turn.tell("wake_link_created", link_id=command.link.link_id, scopes=list(command.link.scopes))
    return None


def _revoke(turn: Turn, command: c.RevokeLink) -> c.Refusal | None:
    link = next((each for each in turn.state.links if each.link_id == command.link_id), None)
    if link is None:
        return c.Refusal("wake_link_not_found")
    if not link.is_revoked:
        turn.set(links=links.with_link(turn.state.links, links.revoked(link)))
        turn.tell("wake_link_revoked", link_id=link.link_id)
    return None


def _usable(turn: Turn, token_hash: str, scope: str) -> WakeLink | c.Refusal:
    link = None if is_destroyed(turn.state) else links.found(turn.state.links, token_hash, turn.at.wall_ms)
    if link is None:
        return c.Refusal(INVALID)
    if scope not in link.scopes:
        return c.Refusal("wake_link_scope_missing", {"scope": scope, "has": list(link.scopes)})
    return links.on_day(link, turn.at.wall_ms)


def _wake(turn: Turn, command: c.WakeByLink) -> c.Refusal | None:
    link = _usable(turn, command.token_hash, links.WAKE)
    if isinstance(link, c.Refusal):
        return link
    if turn.state.phase in (Phase.STARTING, Phase.ALIVE, Phase.GRACE):
        return None
    refusal = wake_refusal(turn) or _budget_refusal(turn)
    if refusal is not None:
        return refusal
    if link.wakes >= link.wakes_per_day:
        return _reached(turn, {"wakes_per_day": link.wakes_per_day})
    wake_up(turn)
    _use(turn, replace(link, wakes=link.wakes + 1), links.WAKE)
    return None


def _budget_refusal(turn: Turn) -> c.Refusal | None:
    """A link is no way around what its owner allows for the hour."""
    state, proof = turn.state, turn.at.proof
    if state.reason != BUDGET_REACHED or state.hour is None or proof is None:
        return None
    hour = budget.hour_from(state.budget, state.hour, proof.boot_id, proof.now_ms)
    if hour is None or all(budget.spent_usat(hour, name) < cap for name, cap in state.budget.caps):
        return None
    left_ms = hour.began_ms + budget.HOUR_MS - proof.now_ms
    return c.Refusal(BUDGET_REACHED, {"state": "reaped"}, retry_after=-(-left_ms // 1000))


def _top_up(turn: Turn, command: c.TopUpByLink) -> c.Refusal | None:
    """Count a payment before it is presented; once, however often it is told."""
    link = _usable(turn, command.token_hash, links.TOPUP)
    if isinstance(link, c.Refusal):
        return link
    if any(each.payment_id == command.payment_id for each in link.under_way):
        return None
    left = links.usat_left(link, turn.at.wall_ms)
    if left is not None and command.usat > left:
        return _reached(turn, {"sats_per_day": (link.usat_per_day or 0) // 1_000_000, "left_sats": left // 1_000_000})
    if len(link.under_way) >= links.UNDER_WAY_MAX:
        return c.Refusal("overloaded", {"pending_payments": len(link.under_way)}, retry_after=10)
    top_up = links.TopUp(command.payment_id, command.usat, links.day_of(turn.at.wall_ms))
    _use(turn, replace(link, under_way=(*link.under_way, top_up)), links.TOPUP)
    return None


def _top_up_off(turn: Turn, command: c.TopUpOff) -> c.Refusal | None:
    turn.set(links=links.failed(turn.state.links, command.payment_id))
    return None


def _reached(turn: Turn, details: dict[str, int]) -> c.Refusal:
    seconds = links.seconds_to_midnight(turn.at.wall_ms)
    return c.Refusal("wake_link_cap_reached", details, retry_after=seconds)


def _use(turn: Turn, link: WakeLink, what: str) -> None:
    turn.set(links=links.with_link(turn.state.links, replace(link, last_used_wall_ms=turn.at.wall_ms)))
    turn.tell("wake_link_used", link_id=link.link_id, label=link.label, what=what)


HANDLERS: dict[type[c.Command], Handler] = {
    c.AddLink: _add,
    c.RevokeLink: _revoke,
    c.WakeByLink: _wake,
    c.TopUpByLink: _top_up,
    c.TopUpOff: _top_up_off,
}
