"""Boot into a slot and clear it again, for a requested runtime or for the warm pool."""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable

from sandboxes.node.driver import Launch, Running, SlotPlace
from sandboxes.node.machine import Machine
from sandboxes.node.spawner_client import SpawnerGone
from sandboxes.node.terminals import machine_terminals, per_sandbox

BACKSTOP = 4
"""How far above the cgroup's limit of processes the resource limit lies. The cgroup has to be the one that is hit: the other
refuses so early that the sandbox pays for little of the work, 90,000 times a second, and the kernel clears up after each on
nobody's account; and it tells nobody.
"""


class Boots:
    """Owns the slot numbers. A number is taken from `claim` or `adopt` until `discard` or `give_back`."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self._taken: set[int] = set()

    def claim(self) -> int:
        """A free slot, its volume wiped. There always is one: slots are counted by class before."""
        slot = next(number for number in range(self._machine.settings.slots_total) if number not in self._taken)
        self._taken.add(slot)
        self._machine.remove_volume(slot)
        return slot

    def adopt(self, slot: int) -> None:
        """A slot that an earlier process left with something in it."""
        self._taken.add(slot)

    def give_back(self, slot: int) -> None:
        """A slot with nothing left in it."""
        self._taken.discard(slot)

    def sweep_volumes(self) -> None:
        """Remove volumes of slots nobody holds: an earlier process's warm pool, or half-made ones."""
        held = {self._machine.volume_path(slot) for slot in self._taken}
        for path in (self._machine.state / "volumes").iterdir():
            if path not in held:
                path.unlink()

    async def boot(
        self, slot: int, size_class: str, image: str, fill: Callable[[SlotPlace], Awaitable[None]] | None = None
    ) -> Running:
        """Bring a sandbox up in a claimed slot; `fill` is called with the mounted, empty volume first."""
        machine = self._machine
        limits = machine.settings.size_classes[size_class]
        place = machine.place(
            slot, size_class, tuple(machine.cgroups.create(machine.group(slot), machine.driver.with_overhead(limits)))
        )
        terminals = per_sandbox(machine.settings, machine_terminals())
        rlimit = limits.processes * (BACKSTOP if "pids" in machine.cgroups.controllers else 1)
        launch = Launch(f"slot-{slot}", place, limits, machine.images[image], terminals, machine.egress.listen, rlimit)
        with machine.room.volume(machine.volume_path(slot), limits.disk_bytes):
            if fill is not None:
                await machine.driver.mount(place)
                await fill(place)
            return await machine.driver.launch(launch)

    async def discard(self, slot: int, size_class: str, running: Running | None) -> None:
        """Kill what runs in the slot, wipe it, free its number."""
        machine = self._machine
        if running is not None:
            running.hang_up()
            with contextlib.suppress(SpawnerGone):
                await machine.driver.kill(running)
        await machine.clear_group(slot)
        await machine.unmount(machine.place(slot, size_class))
        machine.remove_volume(slot)
        self._taken.discard(slot)
