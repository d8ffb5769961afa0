"""The orders that one gate remembers as used, so that it forwards none of them twice. What is paid twice the log decides."""

from collections.abc import Callable

from relay_client.orders import ORDER_SECONDS_MAX

USED_MAX = 200_000
ANSWERED_WITHIN_MS = 360_000
"""Longer than a call takes from its order to its answer: a wake, and `ANSWER_SECONDS_MAX` of the proxy."""
REMEMBERED_MS = (ORDER_SECONDS_MAX + 60) * 1_000 + ANSWERED_WITHIN_MS
"""From when an order comes: longer than it can be shown, unless the wall clock is set back."""


class UsedOrders:
    """Forgets by monotonic time, which no step of the wall clock reaches, and keeps the highest expiry of what it forgot: an
    order that expires no later may be one of those.
    """

    def __init__(self, now_ms: int, logged: Callable[[int], list[tuple[str, int]]] | None = None) -> None:
        """`logged` reads the log: so many orders at most, with their expiry, the last to expire last."""
        self._orders: dict[str, tuple[int, int]] = {}
        self._forgotten_ms = 0
        for order_id, expires_ms in logged(USED_MAX + 1) if logged is not None else ():
            self.add(order_id, expires_ms, now_ms)

    def __contains__(self, order_id: str) -> bool:
        return order_id in self._orders

    def add(self, order_id: str, expires_ms: int, now_ms: int) -> None:
        """`expires_ms`: until when it may be shown, by the wall clock. `now_ms`: monotonic."""
        self._orders[order_id] = now_ms + REMEMBERED_MS, expires_ms
        while len(self._orders) > USED_MAX:
            self._drop(next(iter(self._orders)))

    def discard(self, order_id: str) -> None:
        """It was not used after all."""
        self._orders.pop(order_id, None)

    def may_have_forgotten(self, expires_ms: int) -> bool:
        """Whether an order that expires then may be one that was remembered here."""
        return expires_ms <= self._forgotten_ms

    def sweep(self, now_ms: int) -> None:
        """Forget what is over."""
        while self._orders:
            order_id, (until_ms, _) = next(iter(self._orders.items()))
            if until_ms > now_ms:
                return
            self._drop(order_id)

    def _drop(self, order_id: str) -> None:
        _, expires_ms = self._orders.pop(order_id)
        self._forgotten_ms = max(self._forgotten_ms, expires_ms)
