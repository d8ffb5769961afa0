"""How much one wallet may have under way at once, so that nobody fills the service's connections and waits alone."""

import contextlib
from collections import Counter
from collections.abc import Iterator

from operations.errors import SatboxError


class Crowd:
    """Requests under way by wallet. Status is left out: it is answered from a snapshot and holds nothing."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._under_way: Counter[str] = Counter()

    @contextlib.contextmanager
    def entered(self, address: str) -> Iterator[None]:
        """Count one request of `address` while it lasts; rate_limited when there are too many."""
        if self._under_way[address] >= self._limit:
            raise SatboxError("rate_limited", details={"requests_at_once": self._limit}, retry_after=1)
        self._under_way[address] += 1
        try:
            yield
        finally:
            self._under_way[address] -= 1
            if not self._under_way[address]:
                del self._under_way[address]
