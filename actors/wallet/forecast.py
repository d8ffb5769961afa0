"""How long the bucket lasts, judged by what was burnt lately: the clock exactly, the other meters by their average.

Nothing is decided by a forecast but when to warn; deadlines go by the clock alone (`lifecycle`).
"""

from dataclasses import dataclass

from actors.wallet.metering import MS_PER_SECOND
from actors.wallet.meters import CLOCK, BurnSlot, Metered, plus
from actors.wallet.state import WalletPolicy, WalletState

MINUTE_MS = 60_000
WINDOW_MINUTES = 15
HOUR_MS = 3_600_000


@dataclass(frozen=True, slots=True)
class Forecast:
    """What burns, in micro-sats an hour by meter, the most first; and when that has emptied the bucket (node time)."""

    usat_per_hour: tuple[tuple[str, int], ...]
    exhausts_ms: int | None


def noted(metered: Metered, meter: str, usat: int, now_ms: int) -> Metered:
    """The meters with one more amount in the window; what has left it is forgotten."""
    minute = now_ms // MINUTE_MS
    slots = [slot for slot in metered.slots if minute - WINDOW_MINUTES < slot.minute <= minute]
    last = slots.pop() if slots and slots[-1].minute == minute else BurnSlot(minute, ())
    slots.append(BurnSlot(minute, plus(last.usat, meter, usat)))
    return Metered(metered.rates, metered.marks, metered.remainders, tuple(slots))


def recent_usat(state: WalletState, now_ms: int) -> tuple[dict[str, int], int]:
    """What the meters took within the window, by name, and how long the window is in ms. A frozen sandbox burns time
    alone, whatever it burnt before.
    """
    runtime = state.runtime
    if runtime is None or runtime.is_paused:
        return {}, MINUTE_MS
    minute, sums = now_ms // MINUTE_MS, dict[str, int]()
    for slot in state.meters.slots:
        if minute - WINDOW_MINUTES < slot.minute <= minute:
            for name, usat in slot.usat:
                sums[name] = sums.get(name, 0) + usat
    began_ms = max(runtime.healthy_at_ms, (minute - WINDOW_MINUTES + 1) * MINUTE_MS)
    return sums, max(MINUTE_MS, now_ms - began_ms)


def forecast(state: WalletState, now_ms: int) -> Forecast:
    """What a running sandbox burns, and when it has nothing left."""
    assert state.runtime is not None
    rate = state.burn_usat_per_second
    sums, window_ms = recent_usat(state, now_ms)
    per_hour = {CLOCK: rate * 3600, **{name: usat * HOUR_MS // window_ms for name, usat in sums.items()}}
    drivers = tuple(sorted(((n, u) for n, u in per_hour.items() if u), key=lambda each: (-each[1], each[0])))
    burn = rate * window_ms + sum(sums.values()) * MS_PER_SECOND
    if burn == 0:
        return Forecast(drivers, None)
    unposted_ms = max(0, now_ms - state.runtime.metered_through_ms)
    left = state.accounts.bucket * MS_PER_SECOND - state.remainder - rate * unposted_ms
    return Forecast(drivers, now_ms + max(0, -(-left * window_ms // burn)))


def thresholds(state: WalletState, policy: WalletPolicy) -> tuple[int, ...]:
    """When to warn, in seconds left, the most first: as the owner set, or else as the service does."""
    own = state.budget.warn_seconds
    return policy.runway_seconds if own is None else own
