"""Spending keys: what a wallet lets somebody else spend from its bucket, within caps. Pure.

A key is a token (an API key), the address of a secp256k1 key that signs orders, or the sandbox's own `self` key. Caps are counted
where money is set aside for a key: what is set aside and not spent counts as spent, so that no number of calls at the same time,
at any number of gates, goes past a cap. Hours and days are those of the host's clock, UTC.
"""

import hmac
from collections.abc import Iterable
from dataclasses import dataclass, replace

from actors.wallet.calls import Allowance

KEYS_MAX = 32
SELF = "self"
"""The key of the sandbox itself: every wallet has it, and it is good for one runtime at a time."""
SELF_USAT_PER_DAY = 200_000_000
HOUR_MS, DAY_MS = 3_600_000, 86_400_000
AHEAD_SHARE = 8
"""Ahead of need, a gate gets at most this part of what a cap leaves: other gates serve the same key."""


@dataclass(frozen=True, slots=True)
class Caps:
    """The most that a key may spend, in micro-sats: in one call, an hour, a day, and in all. None: no limit."""

    call_usat: int | None = None
    hour_usat: int | None = None
    day_usat: int | None = None
    total_usat: int | None = None


@dataclass(frozen=True, slots=True)
class Counted:
    """What was spent in one hour, or one day, counted from 1970."""

    period: int = 0
    usat: int = 0


@dataclass(frozen=True, slots=True)
class SpendingKey:
    """One key. `token_hash` (sha256 of a token) or `signer` (an address) says who holds it; `scopes` what it may be used for,
    `payees` whom it may pay (none: anybody). `expires_wall_ms` None: never.
    """

    key_id: str
    name: str = ""
    token_hash: str = ""
    signer: str = ""
    scopes: tuple[str, ...] = ()
    payees: tuple[str, ...] = ()
    caps: Caps = Caps()
    created_wall_ms: int = 0
    expires_wall_ms: int | None = None
    used_wall_ms: int | None = None
    spent_usat: int = 0
    hour: Counted = Counted()
    day: Counted = Counted()

    def is_good(self, wall_ms: int) -> bool:
        """Whether it may be used at all."""
        return self.expires_wall_ms is None or wall_ms < self.expires_wall_ms


Keys = tuple[SpendingKey, ...]


def own_key() -> SpendingKey:
    """What a sandbox may spend before its owner has said anything."""
    return SpendingKey(SELF, "the sandbox itself", caps=Caps(day_usat=SELF_USAT_PER_DAY))


def find(keys: Keys, key_id: str) -> SpendingKey | None:
    """A key by its id. The sandbox's own is there before it is set."""
    found = next((one for one in keys if one.key_id == key_id), None)
    return own_key() if found is None and key_id == SELF else found


def by_token(keys: Keys, token_hash: str) -> SpendingKey | None:
    """The key of a token, by the token's sha256 in hex."""
    return next((one for one in keys if one.token_hash and hmac.compare_digest(one.token_hash, token_hash)), None)


def by_signer(keys: Keys, signer: str) -> SpendingKey | None:
    """The key that an address signs for."""
    return next((one for one in keys if one.signer and one.signer == signer), None)


def with_key(keys: Keys, key: SpendingKey) -> Keys:
    """The keys with this one in the place of the one of its id, or behind the others."""
    if any(one.key_id == key.key_id for one in keys):
        return tuple(key if one.key_id == key.key_id else one for one in keys)
    return (*keys, key)


def _within(counted: Counted, period: int) -> int:
    """What counts in this period. A clock that was set back begins no new one."""
    return counted.usat if counted.period >= period else 0


@dataclass(frozen=True, slots=True)
class Left:
    """What a key may still spend, and by which cap; `resets_wall_ms` is when that cap's hour or day is over."""

    usat: int
    cap: str = ""
    cap_usat: int = 0
    resets_wall_ms: int | None = None


UNLIMITED = 1 << 62


def left(key: SpendingKey, aside_usat: int, wall_ms: int) -> Left:
    """The tightest of the caps of an hour, a day and in all. `aside_usat`: what is set aside for the key now."""
    hour, day = wall_ms // HOUR_MS, wall_ms // DAY_MS
    found = [Left(UNLIMITED)]
    for cap, most, spent, resets in (
        ("sats_total", key.caps.total_usat, key.spent_usat, None),
        ("sats_per_day", key.caps.day_usat, _within(key.day, day), (max(day, key.day.period) + 1) * DAY_MS),
        ("sats_per_hour", key.caps.hour_usat, _within(key.hour, hour), (max(hour, key.hour.period) + 1) * HOUR_MS),
    ):
        if most is not None:
            found.append(Left(max(0, most - spent - aside_usat), cap, most, resets))
    return min(found, key=lambda one: one.usat)


def counted_now(key: SpendingKey, wall_ms: int) -> tuple[int, int]:
    """What counts as spent in this hour, and on this day."""
    return _within(key.hour, wall_ms // HOUR_MS), _within(key.day, wall_ms // DAY_MS)


def spent(key: SpendingKey, usat: int, wall_ms: int) -> SpendingKey:
    """The key after it paid."""
    hour, day = max(wall_ms // HOUR_MS, key.hour.period), max(wall_ms // DAY_MS, key.day.period)
    return replace(
        key,
        spent_usat=key.spent_usat + usat,
        hour=Counted(hour, _within(key.hour, hour) + usat),
        day=Counted(day, _within(key.day, day) + usat),
        used_wall_ms=wall_ms,
    )


SEPARATOR = "/"
"""Between a gate, or an address, and the key on whose behalf it sets money aside or pays."""


def address_of(account: str) -> str:
    """The wallet of an account: `ADDRESS`, or `ADDRESS/key_...` for what a key spends."""
    return account.partition(SEPARATOR)[0]


def account_of(address: str, key_id: str) -> str:
    """A wallet's account: its own, or a key's."""
    return f"{address}{SEPARATOR}{key_id}" if key_id else address


def allowance_name(gate_id: str, account: str) -> str:
    """What a gate sets aside for an account is named so in the wallet."""
    return account_of(gate_id, key_of(account))


def key_of(name: str) -> str:
    """The key's id in the name of an allowance (`gate_1/key_...`) or an account (`ADDRESS/key_...`); empty without one."""
    return name.partition(SEPARATOR)[2]


def aside_for(key_id: str, allowances: Iterable[Allowance]) -> int:
    """All that gates have set aside for a key."""
    return sum(one.usat for one in allowances if key_of(one.gate_id) == key_id)
