"""What a stretch of uptime costs, in integers.

A rate is micro-sats per second, a span is milliseconds, so `rate * elapsed` counts usat-milliseconds. A charge is the
whole part of that over 1000; the remainder (0..999) is carried into the next span. Any way of splitting a span
therefore charges the same total.
"""

MS_PER_SECOND = 1000


def charge(rate_usat_per_second: int, elapsed_ms: int, remainder: int) -> tuple[int, int]:
    """The micro-sats due for `elapsed_ms`, and the remainder to carry.

    >>> charge(1, 1500, 0)
    (1, 500)
    >>> charge(1, 500, 500)
    (1, 0)
    """
    assert rate_usat_per_second >= 0
    assert elapsed_ms >= 0
    assert 0 <= remainder < MS_PER_SECOND
    return divmod(rate_usat_per_second * elapsed_ms + remainder, MS_PER_SECOND)


def lasts_ms(rate_usat_per_second: int, available_usat: int, remainder: int) -> int | None:
    """The first elapsed millisecond at which the charge reaches `available_usat`; None when nothing is ever due."""
    assert available_usat >= 0
    if rate_usat_per_second == 0:
        return None
    missing = available_usat * MS_PER_SECOND - remainder
    return max(0, -(-missing // rate_usat_per_second))


def cost_usat(rate_usat_per_second: int, seconds: int) -> int:
    """What whole seconds cost."""
    return rate_usat_per_second * seconds


def seconds_for(rate_usat_per_second: int, usat: int) -> int:
    """The whole seconds that `usat` buys, rounded down."""
    return usat // rate_usat_per_second if rate_usat_per_second else 366 * 86_400
