"""How a sandbox comes up: in a warm slot or from cold, empty or from a snapshot, and what is undone when it does not."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AbstractContextManager

from sandboxes.node.boots import Boots
from sandboxes.node.driver import DriverError, Running, SlotPlace
from sandboxes.node.endings import changed
from sandboxes.node.live import Live
from sandboxes.node.machine import Machine
from sandboxes.node.pool import WarmPool
from sandboxes.node.slots import Row
from sandboxes.node.spawner_client import SpawnerGone
from sandboxes.node.supervisor_client import SupervisorClient
from sandboxes.node.workspaces import Workspaces
from sandboxes.protocol import StartFailed, StartFileEnded, StartRequest


class Starts:
    """Of one node. `distrusting` stands around every conversation with a supervisor."""

    def __init__(
        self,
        machine: Machine,
        boots: Boots,
        pool: WarmPool,
        workspaces: Workspaces,
        distrusting: Callable[[Live], AbstractContextManager[None]],
        start_file_ended: Callable[[StartFileEnded], None],
        clock_ms: Callable[[], int],
        boot_id: str,
    ) -> None:
        self._machine = machine
        self._slots = machine.slots
        self._boots = boots
        self._pool = pool
        self._workspaces = workspaces
        self._distrusting = distrusting
        self._start_file_ended = start_file_ended
        self._clock_ms = clock_ms
        self._boot_id = boot_id

    async def start(self, request: StartRequest) -> Live:
        """In a warm slot if there is one, else from cold. Either way a row is on disk before anything of the wallet's is
        in the slot or runs there.
        """
        with self._pool.giving_way():
            warm = self._pool.take(request.size_class, request.image)
            slot = self._boots.claim() if warm is None else warm.slot
            running = None if warm is None else warm.running
            row = Row(
                request.runtime_id, request.address, request.size_class, request.image, slot, "starting", self._boot_id
            )  # fmt: skip
            definition, live = self._machine.images[row.image].definition, None
            try:
                if request.snapshot_digest is not None or definition.starts_something:
                    await self._slots.insert(row)
                if request.snapshot_digest is not None:
                    running = await self._boot(row, request.snapshot_digest, running)
                elif running is None:
                    running = await self._boots.boot(slot, request.size_class, request.image)
                live = self._make_live(row, running, request)
                await live.begin(definition, None if request.snapshot_digest is None else self._start_file_ended)
                # An empty sandbox is nobody's until this row, and after it nobody else's.
                live.row = row = changed(row, state="running", healthy_at_ms=self._clock_ms())
                await self._slots.put(row)
                if running.exited.done():
                    raise DriverError("the sandbox ended while it was given away")
            except BaseException as error:
                await asyncio.shield(self._undo_start(row, running, live))
                if isinstance(error, DriverError | SpawnerGone | OSError):
                    raise StartFailed("start_failed", str(error)[:500], retryable=True) from error
                raise
        live.pause_changed_at_ms = live.writable_at_ms = row.healthy_at_ms or 0
        return live

    def _make_live(self, row: Row, running: Running, request: StartRequest) -> Live:
        definition = self._machine.images[row.image].definition
        outward = self._machine.egress.attach(row, running.listener)
        environment = {**definition.environment, **outward, **request.environment}
        supervisor, shell = SupervisorClient(running.control), definition.shell or "/bin/sh"
        return Live(row, running, supervisor, environment, shell, self._machine, self._distrusting, self._clock_ms)

    async def _boot(self, row: Row, digest: str, warm: Running | None) -> Running:
        """With a snapshot: in the volume before a cold boot, or in a warm slot's mounted and untouched workspace."""

        async def fill(place: SlotPlace) -> None:
            await self._workspaces.restore(digest, row, place)

        if warm is None:
            return await self._boots.boot(row.slot, row.size_class, row.image, fill)
        await fill(self._machine.place(row.slot, row.size_class))
        return warm

    async def _undo_start(self, row: Row, running: Running | None, live: Live | None) -> None:
        if live is not None:
            await live.close()
        await self._boots.discard(row.slot, row.size_class, running)
        await self._slots.undo(row.runtime_id)
