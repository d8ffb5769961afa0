"""Spending keys: made and revoked by the owner, held to their caps wherever money is set aside for them."""

from dataclasses import replace

from actors.wallet import commands as c
from actors.wallet import spending_keys as keys
from actors.wallet.calls import Allowance
from actors.wallet.spending_keys import KEYS_MAX, SELF
from actors.wallet.turn import Handler, Turn


def _put(turn: Turn, command: c.PutKey) -> c.Refusal | None:
    if not turn.state.is_planned and command.key.key_id == SELF:
        return c.Refusal("wallet_not_found")
    key = command.key
    kept = tuple(one for one in turn.state.keys if one.key_id == SELF or one.is_good(turn.at.wall_ms))
    if key.signer:  # one address signs for one key: the new one takes the place of the other
        kept = tuple(one for one in kept if one.signer != key.signer or one.key_id == key.key_id)
    before = keys.find(kept, key.key_id)
    if before is not None:
        key = replace(
            key, spent_usat=before.spent_usat, hour=before.hour, day=before.day, used_wall_ms=before.used_wall_ms
        )
    elif sum(one.key_id != SELF for one in kept) >= KEYS_MAX:
        return c.Refusal("spending_keys_full", {"keys_max": KEYS_MAX})
    turn.set(keys=keys.with_key(kept, key))
    _forget_over(turn)
    turn.tell("key_created", key_id=key.key_id, name=key.name, scopes=list(key.scopes))
    return None


def _revoke(turn: Turn, command: c.RevokeKey) -> c.Refusal | None:
    # The sandbox's own key stays: without it the caps that its owner set, and what it has spent, would start over.
    if command.key_id == SELF or not any(one.key_id == command.key_id for one in turn.state.keys):
        return c.Refusal("spending_key_not_found")
    turn.set(keys=tuple(one for one in turn.state.keys if one.key_id != command.key_id))
    _forget_over(turn)
    turn.tell("key_revoked", key_id=command.key_id)
    return None


def may_set_aside(turn: Turn, gate_id: str, has_usat: int, least_usat: int) -> int | c.Refusal:
    """How much may be set aside at a gate in all, by the caps of the key that it is for; anything when there is no key.
    `has_usat`: what is there already. `least_usat`: what is needed at once; more than that is an eighth of what is left at most.
    """
    key_id = keys.key_of(gate_id)
    if not key_id:
        return keys.UNLIMITED
    key = keys.find(turn.state.keys, key_id)
    if key is None or not key.is_good(turn.at.wall_ms):
        return c.Refusal("spending_key_invalid", {"key_id": key_id})
    left = keys.left(key, keys.aside_for(key_id, turn.state.allowances), turn.at.wall_ms)
    if left.usat < least_usat - has_usat:
        return c.Refusal("spending_cap", capped(key_id, left, least_usat - has_usat))
    return max(least_usat, (left.usat + has_usat) // keys.AHEAD_SHARE)


def capped(key_id: str, left: keys.Left, usat: int) -> dict[str, object]:
    """What a refusal by a cap says: the cap, what is left of it, and when it starts over (unix seconds; null: never)."""
    ends = None if left.resets_wall_ms is None else left.resets_wall_ms // 1000
    return {
        "key_id": key_id, "cap": left.cap, "cap_usat": left.cap_usat, "spent_usat": left.cap_usat - left.usat,
        "asked_usat": usat, "resets_at": ends,
    }  # fmt: skip


def count(turn: Turn, gate_id: str, usat: int) -> None:
    """Note what was paid from an allowance as spent by the key that it is for."""
    key_id = keys.key_of(gate_id)
    key = keys.find(turn.state.keys, key_id) if key_id else None
    if key is not None and usat:
        turn.set(keys=keys.with_key(turn.state.keys, keys.spent(key, usat, turn.at.wall_ms)))


def _forget_over(turn: Turn) -> None:
    """Let go of empty allowances of keys that are gone; a gate that was late to ask for more is refused without its key."""
    turn.set(allowances=tuple(one for one in turn.state.allowances if not is_over(turn, one)))


def is_over(turn: Turn, allowance: Allowance) -> bool:
    """Whether nothing will be set aside under this name again: it is empty, and its key is gone."""
    key_id = keys.key_of(allowance.gate_id)
    return bool(key_id) and not allowance.usat and keys.find(turn.state.keys, key_id) is None


HANDLERS: dict[type[c.Command], Handler] = {
    c.PutKey: _put,
    c.RevokeKey: _revoke,
}
