"""How often one caller may use one route: a token bucket for each, at this gate."""

import math
from collections import OrderedDict

from operations.errors import SatboxError

KEPT_MAX = 50_000
MS_PER_MINUTE = 60_000


class CallRates:
    """Token buckets by wallet, route and caller."""

    def __init__(self) -> None:
        self._left: OrderedDict[tuple[str, int, str], tuple[float, int]] = OrderedDict()

    def take(self, key: tuple[str, int, str], per_minute: int, now_ms: int, *, calls: int = 1) -> None:
        """Count one call; rate_limited, with when to come again, when there were too many. With 0 `calls` only that is looked
        at: for callers whose name is not proven yet, since whoever only names somebody must use up nothing of theirs.
        """
        left, at_ms = self._left.pop(key, (float(per_minute), now_ms))
        left = min(float(per_minute), left + (now_ms - at_ms) * per_minute / MS_PER_MINUTE)
        is_over = left < 1
        self._left[key] = (left if is_over else left - calls, now_ms)
        while len(self._left) > KEPT_MAX:
            self._left.popitem(last=False)
        if is_over:
            retry_after = max(1, math.ceil((1 - left) * 60 / per_minute))
            raise SatboxError("rate_limited", details={"per_minute": per_minute}, retry_after=retry_after)
