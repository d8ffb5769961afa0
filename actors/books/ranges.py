"""Which part of a journal is meant, and where it begins and ends. A journal only grows, so a reader that remembers the end
it began with reads a consistent copy page by page.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Range:
    """Which part of a journal is meant: by number (`after` excluded, `up_to` included) and by wall time (`since_ms` included,
    `until_ms` excluded). It is always one unbroken run of entries, so that its chain can be checked.
    """

    after: int = 0
    up_to: int | None = None
    since_ms: int | None = None
    until_ms: int | None = None


@dataclass(frozen=True, slots=True)
class Bounds:
    """Where a range begins and ends: the entry before it, its last entry, and the balances after both."""

    after: int
    last: int
    opening_usat: int
    opening_head: str
    closing_usat: int
    closing_head: str
