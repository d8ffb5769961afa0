"""How often somebody outside is asked on behalf of anybody, and by how many at once."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from operations.errors import SatboxError

AT_ONCE_MAX = 8
ASKED_PER_SECOND_MAX = 20


class Turns:
    """No more than 20 a second, 8 at once; past that the caller is refused, `overloaded`."""

    def __init__(self, now_ms: Callable[[], int]) -> None:
        self._now_ms = now_ms
        self._second = 0
        self._asked = 0
        self._asking = 0

    def take(self) -> None:
        """One, which is given back when its answer is there. Raises overloaded."""
        second = self._now_ms() // 1000
        if second != self._second:
            self._second, self._asked = second, 0
        if self._asked >= ASKED_PER_SECOND_MAX or self._asking >= AT_ONCE_MAX:
            raise SatboxError("overloaded", retry_after=1)
        self._asked += 1
        self._asking += 1

    def give_back(self) -> None:
        """The answer is there, or there will be none."""
        self._asking -= 1

    @contextmanager
    def one(self) -> Iterator[None]:
        """One while it lasts. Raises overloaded."""
        self.take()
        try:
            yield
        finally:
            self.give_back()
