"""What a till knows of one payer's allowance."""

import asyncio
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

from actors.wallet.calls import LoggedOrder

POST_PAUSE_MS = 1_000
"""Of a wallet that is called all the time, the orders of so long are posted together, at the same moment as other wallets': they
share a commit in each wallet, and one hop to each host. The first order after a pause waits for nothing.
"""


@dataclass(slots=True)
class TillPurse:
    """What the wallet said last, and what was paid from it since."""

    usat: int = 0
    version: int = -1
    bucket_usat: int = 0
    unposted: deque[LoggedOrder] = field(default_factory=deque)
    unposted_usat: int = 0
    under_way_usat: int = 0
    under_way: int = 0
    used_ms: int = 0
    is_named: bool = False
    """The log may name this payer."""
    is_noted: bool = False
    """It does, durably."""
    may_hold: bool = False
    """The wallet may have something set aside: it was asked to, and has not refused."""
    asking: asyncio.Lock = field(default_factory=asyncio.Lock)
    posting: "asyncio.Task[None] | None" = None
    told: "asyncio.Future[None] | None" = None
    """Done when the wallet has answered the post that is under way."""
    posted_ms: int = -POST_PAUSE_MS

    @property
    def needed_usat(self) -> int:
        """What the allowance must cover: calls paid and not posted yet, and calls under way."""
        return self.unposted_usat + self.under_way_usat

    @property
    def is_idle(self) -> bool:
        """Whether nothing hangs on it."""
        return not (self.under_way or self.unposted or self.posting or self.asking.locked())

    def go_on_with(self, orders: Sequence[LoggedOrder]) -> None:
        """These are what its wallet has not posted."""
        self.unposted = deque(orders)
        self.unposted_usat = sum(one.usat for one in orders)

    def was_posted(self, count: int) -> None:
        """The oldest ones are."""
        for _ in range(count):
            self.unposted_usat -= self.unposted.popleft().usat
