"""Is there room for one more sandbox? Asked before a 402 is given, so that nobody pays for what cannot start."""

import asyncio
from collections.abc import Iterable
from dataclasses import fields

from actors.clock import Clock
from gate.parts.nodes import Nodes
from operations.errors import SatboxError
from sandboxes.protocol import Capacity, ClassCapacity, SandboxError

FRESH_MS = 250


class Room:
    """The nodes' capacity, asked at most four times a second."""

    def __init__(self, nodes: Nodes, clock: Clock) -> None:
        self._nodes = nodes
        self._clock = clock
        self._capacity: tuple[int, list[Capacity]] | None = None

    async def check(self, size_class: str) -> None:
        """Raises no_capacity when no slot of this class is free, and node_unavailable when no node answers."""
        now_ms = self._clock.monotonic_ms()
        if self._capacity is None or now_ms - self._capacity[0] > FRESH_MS:
            self._capacity = (now_ms, await self._asked())
        if not any(_is_free(capacity.classes.get(size_class)) for capacity in self._capacity[1]):
            raise SatboxError("no_capacity", retry_after=10)

    async def _asked(self) -> list[Capacity]:
        told = await asyncio.gather(*(node.capacity() for node in self._nodes.all()), return_exceptions=True)
        found: list[Capacity] = []
        silent: SandboxError | None = None
        for answer in told:
            if isinstance(answer, Capacity):
                found.append(answer)
            elif isinstance(answer, SandboxError):
                silent = answer
            else:
                raise answer
        if not found:
            message = "No node answers." if silent is None else silent.message
            raise SatboxError("node_unavailable", message, retry_after=2) from silent
        return found


def _is_free(slots: ClassCapacity | None) -> bool:
    return slots is not None and slots.used + slots.reserved < slots.total


def together(capacities: Iterable[Capacity]) -> dict[str, ClassCapacity]:
    """The capacity of several nodes by size class."""
    summed: dict[str, ClassCapacity] = {}
    for capacity in capacities:
        for name, slots in capacity.classes.items():
            before = summed.get(name)
            summed[name] = slots if before is None else _sum(before, slots)
    return summed


def _sum(one: ClassCapacity, other: ClassCapacity) -> ClassCapacity:
    return ClassCapacity(**{field.name: getattr(one, field.name) + getattr(other, field.name) for field in fields(one)})
