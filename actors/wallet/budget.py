"""When an owner's budget for the hour is used up. Node milliseconds; pure, like `lifecycle`.

The hours follow one another from the moment the budget was set, so two of them beside each other may hold twice the
budget within sixty minutes, and never more. A sandbox is frozen early enough that what a frozen one pays until the end of
the hour still fits; one that is frozen already, or can't be, is stopped when the budget is used up.
"""

from dataclasses import replace

from actors.wallet.metering import MS_PER_SECOND, lasts_ms
from actors.wallet.meters import CLOCK, TOTAL, Budget, Hour, of, plus
from actors.wallet.state import WalletState

HOUR_MS = 3_600_000
MARGIN_MS = 10_000
"""So much earlier is frozen than would just do: alarms and nodes take a moment, and a late one would end in a stop."""


def spent_usat(hour: Hour, name: str) -> int:
    """What was spent on a meter in this hour, or on all of them."""
    return sum(usat for _, usat in hour.spent) if name == TOTAL else of(hour.spent, name)


def with_spent(hour: Hour | None, name: str, usat: int) -> Hour | None:
    """The hour with so much more spent; without a budget there is none."""
    return None if hour is None else replace(hour, spent=plus(hour.spent, name, usat))


def hour_from(budget: Budget, hour: Hour | None, boot_id: str, at_ms: int) -> Hour | None:
    """The hour at `at_ms`: the one under way, or a new one; None without caps."""
    if not budget.caps:
        return None
    if hour is not None and hour.boot_id == boot_id and hour.began_ms <= at_ms < hour.began_ms + HOUR_MS:
        return hour
    return Hour(boot_id, at_ms)


def ends_at_ms(state: WalletState) -> int | None:
    """When the present hour is over; None without a budget."""
    return None if state.hour is None else state.hour.began_ms + HOUR_MS


def _reached_ms(state: WalletState, name: str, cap: int) -> int | None:
    """When one cap asks for something."""
    hour, runtime = state.hour, state.runtime
    assert hour is not None
    assert runtime is not None
    left = cap - spent_usat(hour, name)
    through = runtime.metered_through_ms
    if name not in (CLOCK, TOTAL):
        return through if left <= 0 and not state.is_held else None
    rate, paused = state.burn_usat_per_second, state.paused_rate_usat_per_second
    if left <= 0 or state.is_held or runtime.is_paused or rate <= paused:
        lasts = lasts_ms(rate, max(0, left), state.remainder)
        return None if lasts is None else through + lasts
    frozen_ms = max(0, hour.began_ms + HOUR_MS - through)
    missing = left * MS_PER_SECOND - state.remainder - paused * frozen_ms
    return through + max(0, -(-missing // (rate - paused)) - MARGIN_MS)


def reached_at(state: WalletState) -> tuple[int, str] | None:
    """When the budget is next used up, and which cap it is; None while nothing can use it up, or while the node is
    freezing what is to be held.
    """
    is_up = state.runtime is not None and state.runtime.is_healthy
    if state.hour is None or not is_up or (state.is_held and state.runtime is not None and not state.runtime.is_paused):
        return None
    found = [(at, name) for name, cap in state.budget.caps if (at := _reached_ms(state, name, cap)) is not None]
    return min(found) if found else None
