"""Limits of one caller: parallel requests by wallet, and requests a second by peer where callers do not prove who they are."""

import contextlib
import functools
import ipaddress
import math
from collections import Counter, OrderedDict
from collections.abc import Iterator

from operations.errors import SatboxError


class Crowd:
    """Parallel requests by wallet. Status is not counted: it is answered from a view and holds nothing."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._under_way: Counter[str] = Counter()

    def is_full(self, address: str) -> bool:
        """Whether one more would be too many."""
        return self._under_way[address] >= self._limit

    @contextlib.contextmanager
    def entered(self, address: str) -> Iterator[None]:
        """Count one request of `address` while it lasts; rate_limited when there are too many."""
        if self.is_full(address):
            raise SatboxError("rate_limited", details={"requests_at_once": self._limit}, retry_after=1)
        self._under_way[address] += 1
        try:
            yield
        finally:
            self._under_way[address] -= 1
            if not self._under_way[address]:
                del self._under_way[address]


class Places:
    """Places at one wallet for callers who are known apart. One of them may hold as many as it leaves free: alone half of all,
    beside others less, so that a few who hold on leave some for everybody else.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._taken: Counter[str] = Counter()
        self._held: Counter[tuple[str, str]] = Counter()

    @contextlib.contextmanager
    def entered(self, address: str, who: str | None) -> Iterator[None]:
        """Count one request at `address` while it lasts; rate_limited when there are too many. Nobody's share is looked at
        where `who` is None.
        """
        free, key = self._limit - self._taken[address], (address, who or "")
        if free <= 0:
            raise SatboxError("rate_limited", details={"requests_at_once": self._limit}, retry_after=1)
        if who is not None and self._held[key] >= free:
            details = {"requests_at_once": self._limit, "of_one_caller": self._held[key]}
            raise SatboxError("rate_limited", details=details, retry_after=1)
        self._taken[address] += 1
        self._held[key] += 1
        try:
            yield
        finally:
            self._taken[address] -= 1
            self._held[key] -= 1
            if not self._held[key]:
                del self._held[key]
            if not self._taken[address]:
                del self._taken[address]


PEERS_MAX = 10_000
IPV6_SUBSCRIBER_BITS = 64
"""What one subscriber is given as a rule: counting single IPv6 addresses would count nobody."""


@functools.lru_cache(maxsize=4096)
def peer_of(remote: str | None) -> str:
    """Whom an address is counted as."""
    try:
        address = ipaddress.ip_address(remote or "")
    except ValueError:
        return ""  # a socket without addresses: all of those together
    if address.version == 6 and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    if address.version == 4:
        return str(address)
    return str(ipaddress.ip_network((address, IPV6_SUBSCRIBER_BITS), strict=False))


class Peers:
    """A token bucket for each peer, for operations that ask for no pass. A `per_second` of 0 means no limit.

    Behind a reverse proxy all callers are one peer: limit there, and switch this off.
    """

    def __init__(self, per_second: float, burst: int) -> None:
        self._per_ms = per_second / 1000
        self._burst = float(burst)
        self._left: OrderedDict[str, tuple[float, int]] = OrderedDict()

    def give_back(self, remote: str | None) -> None:
        """Undo the last `take`: that request does not count."""
        peer = peer_of(remote)
        if peer in self._left:
            left, at_ms = self._left[peer]
            self._left[peer] = (min(self._burst, left + 1), at_ms)

    def take(self, remote: str | None, now_ms: int, *, tokens: int = 1) -> None:
        """Count one request; rate_limited, with when to come again, once the peer's bucket is empty. With 0 `tokens` only that
        is looked at: for requests that are counted if they turn out bad.
        """
        if not self._per_ms:
            return
        peer = peer_of(remote)
        left, at_ms = self._left.pop(peer, (self._burst, now_ms))
        left = min(self._burst, left + (now_ms - at_ms) * self._per_ms)
        is_over = left < 1
        self._left[peer] = (left if is_over else left - tokens, now_ms)
        while len(self._left) > PEERS_MAX:
            self._left.popitem(last=False)  # heard of longest ago: its bucket is full again, or nearly
        if is_over:
            retry_after = math.ceil((1 - left) / self._per_ms / 1000)
            raise SatboxError(
                "rate_limited", details={"per_second": self._per_ms * 1000}, retry_after=max(1, retry_after)
            )
