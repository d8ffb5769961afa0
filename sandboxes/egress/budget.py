"""What one sandbox may send and fetch: so many bytes a second, and so many in its life. Pure but for the clock given."""

from __future__ import annotations

from collections.abc import Callable


class TokenBucket:
    """`rate` bytes a second after a burst of one second's worth. Taking more than there is makes a debt, to be waited off."""

    def __init__(self, rate: float, clock: Callable[[], float]) -> None:
        self._rate = rate
        self._clock = clock
        self._tokens = rate
        self._at = clock()

    def take(self, size: int) -> float:
        """Take `size` bytes; seconds to wait before the next are taken."""
        now = self._clock()
        self._tokens = min(self._rate, self._tokens + (now - self._at) * self._rate) - size
        self._at = now
        return max(0.0, -self._tokens / self._rate)


class Meter:
    """Bytes of one runtime in both directions, seen from inside: `out_bytes` left it, `in_bytes` came to it."""

    def __init__(self, rate: float, bytes_max: int | None, clock: Callable[[], float]) -> None:
        self.in_bytes = 0
        self.out_bytes = 0
        self._bytes_max = bytes_max
        self._in, self._out = TokenBucket(rate, clock), TokenBucket(rate, clock)

    @property
    def is_spent(self) -> bool:
        """Whether nothing more may pass in this runtime's life."""
        return self._bytes_max is not None and self.in_bytes + self.out_bytes >= self._bytes_max

    def count_in(self, size: int) -> float:
        """Bytes that came in; seconds to wait."""
        self.in_bytes += size
        return self._in.take(size)

    def count_out(self, size: int) -> float:
        """Bytes that went out; seconds to wait."""
        self.out_bytes += size
        return self._out.take(size)
