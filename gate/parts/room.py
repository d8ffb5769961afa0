"""Is there room for one more sandbox? Asked before a 402 is given, so that nobody pays for what cannot start."""

from actors.clock import Clock
from operations.errors import SatboxError
from sandboxes.client import NodeClient
from sandboxes.protocol import Capacity, SandboxError

FRESH_MS = 250


class Room:
    """The node's capacity, asked at most four times a second."""

    def __init__(self, node: NodeClient, clock: Clock) -> None:
        self._node = node
        self._clock = clock
        self._capacity: tuple[int, Capacity] | None = None

    async def check(self, size_class: str) -> None:
        """Raises no_capacity when no slot of this class is free."""
        now_ms = self._clock.monotonic_ms()
        if self._capacity is None or now_ms - self._capacity[0] > FRESH_MS:
            try:
                self._capacity = (now_ms, await self._node.capacity())
            except SandboxError as error:
                raise SatboxError("node_unavailable", error.message, retry_after=2) from error
        slots = self._capacity[1].classes.get(size_class)
        if slots is None or slots.used + slots.reserved >= slots.total:
            raise SatboxError("no_capacity", retry_after=10)
