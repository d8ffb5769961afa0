"""How a runtime ends: because its owner stops it, because the node does, or by itself; and what is kept of it."""

from __future__ import annotations

import contextlib
import json
from asyncio import timeout
from collections.abc import Callable
from dataclasses import replace

import structlog

from sandboxes.node.boots import Boots
from sandboxes.node.capacity import CapacityBook
from sandboxes.node.freezing import set_frozen
from sandboxes.node.live import Live
from sandboxes.node.machine import Machine
from sandboxes.node.proof import Heartbeats
from sandboxes.node.slots import Row
from sandboxes.node.workspaces import Workspaces
from sandboxes.protocol import RuntimeLost, SandboxError, Stopped, StopRequest
from storage.errors import StorageError
from storage.full_disk import is_full

TERMINATE_SECONDS = 0.5
PRE_STOP_HOOK = "/workspace/.satbox/pre-stop"


def loss_of(row: Row) -> RuntimeLost:
    """The report to the owner of a row's runtime."""
    return RuntimeLost(row.runtime_id, row.boot_id, row.ended_at_ms or 0, row.reason)


def changed(row: Row, **changes: object) -> Row:
    """The row with other values."""
    return replace(row, **changes)  # type: ignore[arg-type]


class Endings:
    """Works under the lock of the runtime id, which is the caller's; `live` is the service's own table."""

    def __init__(
        self, machine: Machine, live: dict[str, Live], proof: Heartbeats, workspaces: Workspaces, boots: Boots,
        capacity: CapacityBook, clock_ms: Callable[[], int], boot_id: str,
    ) -> None:  # fmt: skip
        self._machine = machine
        self._slots = machine.slots
        self._live = live
        self._proof = proof
        self._workspaces = workspaces
        self._boots = boots
        self._capacity = capacity
        self._clock_ms = clock_ms
        self._boot_id = boot_id

    # Nobody asked for it

    async def exited(self, live: Live, at_ms: int) -> None:
        """A sandbox ended by itself: it is lost, and its owner gets a report."""
        reason = "exited"
        if live.broken:
            reason = "protocol_broken"
        elif live.floods or self._machine.oom_kills(live.row.slot) > 0:
            reason = "oom_killed"
        live.stopping = True
        self._live.pop(live.row.runtime_id, None)
        self._proof.forget_start_file(live.row.runtime_id)
        live.row = changed(live.row, counts=json.dumps(live.counts()))
        await live.close()
        row = await self.record_loss(live.row, at_ms, reason)
        self._proof.lost(loss_of(row))
        await self._machine.clear_group(row.slot)

    async def volume_lost(self, live: Live) -> None:
        """The kernel made a sandbox's volume read-only: the host's disk is full or broken. Its stop repairs and packs it."""
        structlog.get_logger().error("runtime.volume_read_only", runtime_id=live.row.runtime_id, slot=live.row.slot)
        await self._end(live)
        row = await self.record_loss(live.row, live.writable_at_ms, "volume_read_only")
        self._proof.lost(loss_of(row))

    async def shut_down(self, live: Live, pre_stop_seconds: float) -> None:
        """The owner did not ask for this stop, so the runtime stays on record as lost, with its volume packed away."""
        await self._pre_stop(live, pre_stop_seconds)
        await self._end(live)
        await self.record_loss(live.row, self._clock_ms(), "node_restart")
        await self._machine.unmount(self._machine.place(live.row.slot, live.row.size_class))

    async def record_loss(self, row: Row, at_ms: int, reason: str) -> Row:
        """Write down that a runtime is lost, since when and why."""
        row = changed(row, state="lost", ended_at_ms=at_ms, reason=reason)
        self._proof.losses[row.runtime_id] = loss_of(row)
        try:
            await self._slots.update(row.runtime_id, state="lost", ended_at_ms=at_ms, reason=reason, counts=row.counts)
        except StorageError as error:
            if not is_full(error):
                raise
            # Known while this process lives; the next one finds a row that runs no more, and records it then.
            structlog.get_logger().error("runtime.loss_not_recorded", runtime_id=row.runtime_id, error=str(error))
        return row

    # Its owner asked for it

    async def stop(self, request: StopRequest) -> Stopped:
        """See `SandboxNode.stop`. Repeatable at each step."""
        row = await self._slots.get(request.runtime_id)
        if row is None:
            return await self._stop_unknown(request.runtime_id)
        if row.state == "stopped":
            if not request.snapshot and row.snapshot_digest is not None:
                row = await self._give_up(row)
            return _stopped(row)
        live = self._live.get(request.runtime_id)
        if live is not None:
            await self._pre_stop(live, request.pre_stop_seconds)
            await self._end(live)
            ended_at_ms = self._clock_ms()
            row = changed(live.row, state="stopping", ended_at_ms=ended_at_ms, reason="stopped")
            await self._slots.update(
                row.runtime_id, state="stopping", ended_at_ms=ended_at_ms, reason="stopped", counts=row.counts
            )
            self._proof.losses[row.runtime_id] = loss_of(row)
        return _stopped(await self._finalise(row, request.snapshot))

    async def _give_up(self, row: Row) -> Row:
        """A stopped runtime is stopped again, this time for good: its address's last one takes the snapshots along."""
        if not await self._slots.is_last(row):
            return row
        changes: dict[str, object] = {"snapshot_digest": None, "snapshot_bytes": 0}
        await self._workspaces.record(row, changes)
        return changed(row, **changes)

    async def _stop_unknown(self, runtime_id: str) -> Stopped:
        """An id never started here, or whose start came to nothing: used up from now on, so that a start request still
        on its way finds the door closed.
        """
        row = Row(runtime_id, "", "", "", -1, "stopped", self._boot_id, reason="unknown", known=0)
        await self._slots.insert(row)
        return _stopped(row)

    async def _pre_stop(self, live: Live, seconds: float) -> None:
        """The polite part: the tenant's own hook, then SIGTERM, together within `seconds`."""
        if seconds <= 0:
            return
        try:
            async with timeout(seconds):
                await self._thaw(live)
                await live.supervisor.run_hook(PRE_STOP_HOOK, live.environment, seconds)
                await live.supervisor.terminate(min(seconds, TERMINATE_SECONDS))
        except (SandboxError, OSError, TimeoutError) as error:
            reason = "out of time" if isinstance(error, TimeoutError) else str(error)[:200]
            structlog.get_logger().warning("runtime.pre_stop_failed", runtime_id=live.row.runtime_id, reason=reason)

    async def _thaw(self, live: Live) -> None:
        if live.is_paused:
            await set_frozen(self._machine, live, frozen=False)
            live.is_paused = False

    async def _end(self, live: Live) -> None:
        """Kill the tree and wait until the host sees nothing of it."""
        live.stopping = True
        live.row = changed(live.row, counts=json.dumps(live.counts()))  # before its counters go
        await live.close()
        with contextlib.suppress(SandboxError):  # the group's kill thaws too
            await self._thaw(live)
        await self._machine.driver.kill(live.running)
        await self._machine.clear_group(live.row.slot)
        self._live.pop(live.row.runtime_id, None)
        self._proof.forget_start_file(live.row.runtime_id)

    async def _finalise(self, row: Row, snapshot: bool) -> Row:
        """Pack the quiet volume if asked, wipe it, free the slot. Repeatable up to the last line."""
        place = self._machine.place(row.slot, row.size_class)
        changes: dict[str, object] = {"state": "stopped", "snapshot_digest": None, "snapshot_bytes": 0}
        if snapshot and self._machine.has_volume(row.slot):
            await self._machine.driver.mount(place)
            changes |= await self._workspaces.save(row, place)
        await self._machine.driver.unmount(place)
        await self._workspaces.record(row, changes)
        self._machine.remove_volume(row.slot)
        self._proof.losses.pop(row.runtime_id, None)
        self._boots.give_back(row.slot)
        self._capacity.give_back(row.runtime_id)
        return changed(row, **changes)


def _stopped(row: Row) -> Stopped:
    return Stopped(
        row.runtime_id,
        bool(row.known),
        row.boot_id,
        row.ended_at_ms,
        row.snapshot_digest,
        row.snapshot_bytes,
        row.reason,
        row.skipped,
        tuple(json.loads(row.skipped_examples)),
        json.loads(row.counts),
    )
