"""Limits on connections: how many there are, by peer and in all, and how much of request heads is held."""

from collections import Counter, OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from itertools import chain
from typing import Literal, Protocol

from operations.errors import SatboxError

CONNECTIONS_MAX = 4_096
HEAD_BYTES_MAX = 131_072
"""Of one request's line and headers together."""
HEADS_BYTES_MAX = 64 << 20
"""Of all unfinished heads together."""
KEPT_HEAD_BYTES_MAX = 16_384
"""A larger one ends its connection: while that waits for its next request, aiohttp keeps the last one whole."""
FREE_HEAD_BYTES = 8_192
"""A usual head, with a payment and a pass. The head of a connection's current request is not counted."""
HEAD_COPIES = 3
"""As bytes and as text, both with what Python adds, and on its way to a server inside: 2.1 to 2.3 were measured before that."""
MESSAGE_BYTES = 2_048
"""Of the smallest head."""
UNDER_WAY_BYTES_MAX = 128 << 20
"""Limit of the heads of all current and waiting requests, copies included."""
UNDER_WAY_SHARE = 4
"""A peer may hold a fourth of it."""
HEAD_SECONDS_MAX = 20.0
"""From a connection's beginning, or a head's first byte, until the head is complete."""
STALLED_SECONDS = 20.0
"""So long a peer that takes nothing of its answer keeps its place from others, as one that sends no head does."""
STALLED_SECONDS_MAX = 600.0
"""So long it keeps its connection where nobody needs its place: people look at the output of a pager."""
LINGER_SECONDS_MAX = 30.0
"""For the end of an answer to leave a connection that is closed; what its peer has not taken by then is dropped."""


@dataclass(frozen=True, slots=True)
class ConnectionLimits:
    """How many connections are kept at once."""

    total: int = CONNECTIONS_MAX
    per_peer: int = 0
    """0: no limit."""
    heads_bytes: int = HEADS_BYTES_MAX
    under_way_bytes: int = UNDER_WAY_BYTES_MAX
    head_seconds: float = HEAD_SECONDS_MAX
    stalled_seconds: float = STALLED_SECONDS
    stalled_seconds_max: float = STALLED_SECONDS_MAX
    linger_seconds: float = LINGER_SECONDS_MAX


@dataclass(frozen=True, slots=True)
class HeldHead:
    """The head of a current request, as it is counted."""

    peer: str
    size: int


class WaitingConnection(Protocol):
    """A connection as it is seen here."""

    def evict(self) -> None:
        """Close it: its place is needed."""


class Connections:
    """All connections of one gate. Idle ones are kept in the order in which they began to wait, and
    the first of them gives its place to a newcomer: who opens connections and sends nothing locks nobody out. After them
    those give theirs whose peers do not take their answers.
    """

    def __init__(self, limits: ConnectionLimits, is_exempt: Callable[[str], bool]) -> None:
        self._limits = limits
        self._is_exempt = is_exempt
        self._peers: Counter[str] = Counter()
        self._known: dict[WaitingConnection, str] = {}
        self._waiting: OrderedDict[WaitingConnection, int] = OrderedDict()
        self._stalled: OrderedDict[WaitingConnection, None] = OrderedDict()
        self._heads_bytes = 0
        self._under_way: Counter[str] = Counter()
        self._under_way_bytes = 0

    @property
    def under_way_bytes(self) -> int:
        """Bytes held for the heads of current requests."""
        return self._under_way_bytes

    @property
    def heads_bytes(self) -> int:
        """What is held of unfinished heads."""
        return self._heads_bytes

    def __len__(self) -> int:
        return len(self._known)

    def enter(self, connection: WaitingConnection, peer: str) -> None:
        """Count a new connection, which waits for its head. Raises rate_limited, and then nothing is counted."""
        limit = self._limits.per_peer
        if limit and not self._is_exempt(peer) and self._peers[peer] >= limit:
            raise _refused("connections_per_peer", limit)
        if len(self._known) >= self._limits.total and not self._make_room(connection):
            raise _refused("connections", self._limits.total)
        self._peers[peer] += 1
        self._known[connection] = peer
        self._waiting[connection] = 0

    def leave(self, connection: WaitingConnection) -> None:
        """Forget a connection; one that was never counted, too."""
        peer = self._known.pop(connection, None)
        self.busy(connection)
        self.flows(connection)
        if peer is not None:
            self._peers[peer] -= 1
            if not self._peers[peer]:
                del self._peers[peer]

    def busy(self, connection: WaitingConnection) -> None:
        """Its head is complete."""
        self._heads_bytes -= self._waiting.pop(connection, 0)

    def idle(self, connection: WaitingConnection) -> None:
        """It waits for a head again."""
        if connection in self._known:
            self._waiting.setdefault(connection, 0)

    def stalled(self, connection: WaitingConnection) -> None:
        """Its peer has taken nothing of an answer for a while."""
        if connection in self._known:
            self._stalled[connection] = None

    def flows(self, connection: WaitingConnection) -> None:
        """It takes some again."""
        self._stalled.pop(connection, None)

    def received(self, connection: WaitingConnection, size: int) -> Literal["ok", "too_large"]:
        """Count bytes of an unfinished head."""
        if connection not in self._known:
            return "ok"
        held = self._waiting.get(connection, 0)
        self._waiting[connection] = held + size  # its place stays: a byte now and then keeps nobody's
        self._heads_bytes += size
        while self._heads_bytes > self._limits.heads_bytes and self._make_room(connection):
            continue
        return "ok" if held + size <= HEAD_BYTES_MAX else "too_large"

    def hold(self, connection: WaitingConnection, size: int, *, waits: bool) -> HeldHead | None:
        """Count a whole head of `size` bytes until its request is answered; None for one that is free. One that `waits` behind
        another of its connection never is. Raises overloaded, and then nothing is counted.
        """
        if size <= FREE_HEAD_BYTES and not waits:
            return None
        peer, cost = self._known.get(connection, ""), HEAD_COPIES * size + MESSAGE_BYTES
        total = self._limits.under_way_bytes
        if self._under_way_bytes + cost > total:
            raise _no_room("heads_bytes", total)
        share = total // UNDER_WAY_SHARE
        if not self._is_exempt(peer) and self._under_way[peer] + cost > share:
            raise _no_room("heads_bytes_per_peer", share)
        self._under_way[peer] += cost
        self._under_way_bytes += cost
        return HeldHead(peer, cost)

    def let_go(self, held: HeldHead) -> None:
        """Its request is answered."""
        self._under_way_bytes -= held.size
        self._under_way[held.peer] -= held.size
        if not self._under_way[held.peer]:
            del self._under_way[held.peer]

    def _make_room(self, newcomer: WaitingConnection) -> bool:
        for connection in chain(self._waiting, self._stalled):
            if connection is not newcomer:
                self.leave(connection)
                connection.evict()
                return True
        return False


def _refused(name: str, limit: int) -> SatboxError:
    return SatboxError("rate_limited", "Too many connections.", details={name: limit}, retry_after=1)


def _no_room(name: str, limit: int) -> SatboxError:
    message = "Too much is held of the heads of requests under way."
    return SatboxError("overloaded", message, details={name: limit, "free_head_bytes": FREE_HEAD_BYTES}, retry_after=1)
