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
        """Count one call. Raises rate_limited, with the time of the next try, when there were too many. 0 `calls` only checks: a
        caller whose address is not proven yet must not use up the limit of the address it names.
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
