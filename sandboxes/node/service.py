"""The node: starts, stops, proves, and answers for what an earlier process of it left behind."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncGenerator, Callable, Coroutine
from dataclasses import replace
from pathlib import Path
from weakref import WeakValueDictionary

from images import PreparedImage
from sandboxes.node.capacity import CapacityBook
from sandboxes.node.cgroups import Cgroups, sweep
from sandboxes.node.driver import Driver, DriverError, Launch, Place, Running
from sandboxes.node.heartbeat import HeartbeatFile, LastBeat
from sandboxes.node.settings import UIDS_PER_SLOT, NodeSettings
from sandboxes.node.slots import Row, SlotTable
from sandboxes.node.snapshots import SnapshotStore
from sandboxes.node.spawner_client import SpawnerGone
from sandboxes.node.supervisor_client import SupervisorClient
from sandboxes.protocol import (
    Beat,
    Capacity,
    NoCapacity,
    Reservation,
    Runtime,
    RuntimeGone,
    RuntimeInfo,
    RuntimeLost,
    SandboxError,
    StartFailed,
    StartRequest,
    Stopped,
    StopRequest,
)
from sandboxes.supervisor.tenant import TENANT_ID

BEAT_SECONDS = 1.0
WATCHER_QUEUE_MAX = 4096
TERMINATE_SECONDS = 0.5
PRE_STOP_HOOK = "/workspace/.satbox/pre-stop"


class Live:
    """A runtime whose process tree exists in this node process."""

    def __init__(self, row: Row, running: Running, supervisor: SupervisorClient, environment: dict[str, str]) -> None:
        self.row = row
        self.running = running
        self.supervisor = supervisor
        self.environment = environment
        self.stopping = False
        self.commands = 0


class SandboxService:
    """Implements `SandboxNode` on this machine. Built from parts; `open` before use, `close` after."""

    def __init__(
        self,
        settings: NodeSettings,
        state: Path,
        driver: Driver,
        cgroups: Cgroups,
        images: dict[str, PreparedImage],
        clock_ms: Callable[[], int],
        boot_id: str,
    ) -> None:
        self.settings = settings
        self.boot_id = boot_id
        self.cgroups = cgroups
        self._state = state
        self._driver = driver
        self._images = images
        self._clock_ms = clock_ms
        self._slots = SlotTable(state / "slots.sqlite")
        self._heartbeat = HeartbeatFile(state / "heartbeat")
        self._snapshots = SnapshotStore(state / "snapshots")
        self._capacity = CapacityBook(settings.slots, clock_ms)
        self._live: dict[str, Live] = {}
        self._lost: dict[str, RuntimeLost] = {}
        self._slots_taken: set[int] = set()
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._watchers: set[asyncio.Queue[Beat | RuntimeLost]] = set()
        self._sequence = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self._closing = False

    # Opening and closing

    async def open(self) -> None:
        """Read the slot table, settle what an earlier process left, begin to beat."""
        (self._state / "volumes").mkdir(exist_ok=True, mode=0o700)
        await self._slots.open()
        last = self._heartbeat.read()
        for row in await self._slots.rows():
            await self._settle(row, last)
        await self._slots.prune(self.settings.stopped_rows_max)
        self._beat_now()
        self._spawn(self._beat_for_ever())

    async def _settle(self, row: Row, last: LastBeat | None) -> None:
        """One row of an earlier process: nothing of it runs any more; say since when."""
        if row.state == "starting":
            # Never promised to anyone: the same id may start again. Its half-made volume goes.
            self._remove_volume(row.slot)
            await self._slots.forget(row.runtime_id)
            return
        if row.state == "running":
            healthy = row.healthy_at_ms or 0
            proven = last.at_ms if last is not None and last.boot_id == row.boot_id else healthy
            reason = "node_restart" if row.boot_id == self.boot_id else "reboot"
            row = await self._record_loss(row, max(healthy, proven), reason)
        self._lost[row.runtime_id] = _loss(row)
        self._slots_taken.add(row.slot)
        self._capacity.adopt([(row.runtime_id, row.size_class)])

    async def close(self) -> None:
        """Stop every sandbox with a snapshot within a bounded time, then let go. What does not make it in time is found
        and salvaged by the next process.
        """
        self._closing = True
        requests = [StopRequest(runtime_id, snapshot=True, pre_stop_seconds=1.0) for runtime_id in self._live]
        stops = [asyncio.ensure_future(self._stop_for_shutdown(request)) for request in requests]
        if stops:
            _done, late = await asyncio.wait(stops, timeout=self.settings.shutdown_seconds_max)
            for stop in late:
                stop.cancel()
            await asyncio.gather(*stops, return_exceptions=True)
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._beat_now()
        await self._driver.close()
        with contextlib.suppress(TimeoutError):  # what does not empty now is swept at the next start
            await asyncio.to_thread(sweep, self.cgroups, self.settings.kill_seconds_max)
        self.cgroups.close()
        await self._slots.close()
        self._heartbeat.close()

    async def _stop_for_shutdown(self, request: StopRequest) -> None:
        """The owner did not ask for this stop, so the runtime stays on record as lost, with its volume packed away."""
        async with self._locked(request.runtime_id):
            live = self._live.get(request.runtime_id)
            if live is None:
                return
            await self._pre_stop(live, request.pre_stop_seconds)
            await self._end(live)
            await self._record_loss(live.row, self._clock_ms(), "node_restart")
            await self._quiet_unmount(live.row)

    def _spawn(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    # Proof of life

    async def _beat_for_ever(self) -> None:
        while True:
            await asyncio.sleep(BEAT_SECONDS)
            self._publish(self._beat_now())

    def _beat_now(self) -> Beat:
        self._sequence += 1
        now = self._clock_ms()
        self._heartbeat.write(LastBeat(self.boot_id, now))
        return Beat(self.settings.node_id, self.boot_id, now, self._sequence, len(self._live))

    def _publish(self, event: Beat | RuntimeLost) -> None:
        for queue in list(self._watchers):
            try:
                queue.put_nowait(event)
            except asyncio.QueueFull:
                self._watchers.discard(queue)  # its reader sees the end of the stream and subscribes again

    async def beat(self) -> Beat:
        """See `SandboxNode.beat`."""
        return self._beat_now()

    async def watch(self) -> AsyncGenerator[Beat | RuntimeLost, None]:
        """See `SandboxNode.watch`. A reader that falls far behind is cut off."""
        if len(self._watchers) >= self.settings.watchers_max:
            raise NoCapacity("too many watchers")
        queue: asyncio.Queue[Beat | RuntimeLost] = asyncio.Queue(WATCHER_QUEUE_MAX)
        self._watchers.add(queue)
        try:
            for lost in list(self._lost.values()):
                yield lost
            yield self._beat_now()
            while queue in self._watchers:
                yield await queue.get()
        finally:
            self._watchers.discard(queue)

    # Capacity

    async def reserve(self, reservation: Reservation) -> None:
        """See `SandboxNode.reserve`."""
        self._capacity.reserve(reservation)

    async def release(self, address: str) -> None:
        """See `SandboxNode.release`."""
        self._capacity.release(address)

    async def capacity(self) -> Capacity:
        """See `SandboxNode.capacity`."""
        return self._capacity.capacity()

    async def runtimes(self) -> list[RuntimeInfo]:
        """See `SandboxNode.runtimes`."""
        return [
            RuntimeInfo(
                row.runtime_id, row.address, row.size_class, row.image, row.slot,
                "running" if row.state == "running" else "lost", row.boot_id, row.healthy_at_ms,
            )
            for row in await self._slots.rows()
            if row.state != "starting"
        ]  # fmt: skip

    # Start

    async def start(self, request: StartRequest) -> Runtime:
        """See `SandboxNode.start`."""
        async with self._locked(request.runtime_id):
            live = self._live.get(request.runtime_id)
            if live is not None:
                return self._runtime(live.row)
            row = await self._slots.get(request.runtime_id)
            if row is not None:
                state = "stopped" if row.state == "stopped" else "lost"
                raise StartFailed(f"runtime_{state}", f"this runtime id is used up ({state})", retryable=False)
            if self._closing:
                raise StartFailed("node_stopping", "the node is stopping", retryable=True)
            if request.image not in self._images:
                raise StartFailed("unknown_image", f"no image {request.image!r}", retryable=False)
            self._capacity.take(request.runtime_id, request.size_class, request.address)
            try:
                return await self._start(request)
            except BaseException:
                self._capacity.give_back(request.runtime_id)
                raise

    def _locked(self, runtime_id: str) -> asyncio.Lock:
        """The lock of one runtime id; it lives as long as someone holds or awaits it."""
        lock = self._locks.get(runtime_id)
        if lock is None:
            lock = self._locks[runtime_id] = asyncio.Lock()
        return lock

    async def _start(self, request: StartRequest) -> Runtime:
        slot = next(number for number in range(sum(self.settings.slots.values())) if number not in self._slots_taken)
        self._slots_taken.add(slot)
        row = Row(
            request.runtime_id, request.address, request.size_class, request.image, slot, "starting", self.boot_id
        )  # fmt: skip
        running: Running | None = None
        try:
            self._remove_volume(slot)
            await self._slots.insert(row)
            running = await self._launch(row, request)
            healthy_at_ms = self._clock_ms()
            row = _changed(row, state="running", healthy_at_ms=healthy_at_ms)
            await self._slots.update(row.runtime_id, state="running", healthy_at_ms=healthy_at_ms)
        except BaseException as error:
            await asyncio.shield(self._undo_start(row, running))
            if isinstance(error, DriverError | SpawnerGone | OSError):
                raise StartFailed("start_failed", str(error)[:500], retryable=True) from error
            raise
        environment = {**self._images[row.image].definition.environment, **request.environment}
        live = Live(row, running, SupervisorClient(running.control), environment)
        self._live[row.runtime_id] = live
        running.exited.add_done_callback(lambda _future: self._spawn(self._on_exit(live)))
        return self._runtime(row)

    async def _launch(self, row: Row, request: StartRequest) -> Running:
        limits = self.settings.size_classes[row.size_class]
        files = self.cgroups.create(self._group(row.slot), limits)
        place = self._place(row, tuple(files))
        if request.snapshot_digest is not None:
            await self._driver.mount(place)
            await self._snapshots.restore(request.snapshot_digest, self._driver, place, self._snapshot_limits(row))
        return await self._driver.launch(Launch(row.runtime_id, place, limits, self._images[row.image]))

    async def _undo_start(self, row: Row, running: Running | None) -> None:
        if running is not None:
            running.control.close()
            with contextlib.suppress(SpawnerGone):
                await self._driver.kill(running)
        await self._clear_group(row.slot)
        with contextlib.suppress(DriverError, SpawnerGone):
            await self._driver.unmount(self._place(row))
        self._remove_volume(row.slot)
        await self._slots.forget(row.runtime_id)
        self._slots_taken.discard(row.slot)

    def _runtime(self, row: Row) -> Runtime:
        assert row.healthy_at_ms is not None
        return Runtime(row.runtime_id, self.settings.node_id, row.boot_id, row.slot, row.healthy_at_ms)

    @staticmethod
    def _group(slot: int) -> str:
        return f"slot-{slot}"

    def _volume_path(self, slot: int) -> Path:
        return self._state / "volumes" / f"slot-{slot}.ext4"

    def _has_volume(self, slot: int) -> bool:
        return self._volume_path(slot).exists()

    def _remove_volume(self, slot: int) -> None:
        self._volume_path(slot).unlink(missing_ok=True)

    def _place(self, row: Row, cgroup_files: tuple[str, ...] = ()) -> Place:
        slot_uid = self.settings.slot_uid_base + row.slot * UIDS_PER_SLOT
        return Place(
            slot=row.slot,
            slot_uid=slot_uid,
            tenant_uid=slot_uid + TENANT_ID,
            volume_image=str(self._volume_path(row.slot)),
            volume_template=str(self._state / "templates" / f"{row.size_class}.ext4"),
            cgroup_files=cgroup_files,
        )

    def _snapshot_limits(self, row: Row) -> dict[str, int]:
        limits = self.settings.size_classes[row.size_class]
        return {
            "bytes_max": limits.disk_bytes * self.settings.snapshot_bytes_max_factor,
            "entries_max": limits.inodes,
        }

    # Loss

    async def _on_exit(self, live: Live) -> None:
        """A sandbox ended. Asked for, `_end` deals with it; otherwise it is lost, and its owner hears of it."""
        if live.stopping:
            return
        at_ms = self._clock_ms()
        async with self._locked(live.row.runtime_id):
            if live.stopping:
                return
            oom = self.cgroups.usage(self._group(live.row.slot)).oom_kills > 0
            live.stopping = True
            self._live.pop(live.row.runtime_id, None)
            live.supervisor.close()
            row = await self._record_loss(live.row, at_ms, "oom_killed" if oom else "exited")
            self._publish(_loss(row))
            await self._clear_group(row.slot)

    async def _record_loss(self, row: Row, at_ms: int, reason: str) -> Row:
        row = _changed(row, state="lost", ended_at_ms=at_ms, reason=reason)
        await self._slots.update(row.runtime_id, state="lost", ended_at_ms=at_ms, reason=reason)
        self._lost[row.runtime_id] = _loss(row)
        return row

    # Stop

    async def stop(self, request: StopRequest) -> Stopped:
        """See `SandboxNode.stop`."""
        async with self._locked(request.runtime_id):
            row = await self._slots.get(request.runtime_id)
            if row is None:
                return await self._stop_unknown(request.runtime_id)
            if row.state == "stopped":
                return self._stopped(row)
            live = self._live.get(request.runtime_id)
            if live is not None:
                await self._pre_stop(live, request.pre_stop_seconds)
                await self._end(live)
                ended_at_ms = self._clock_ms()
                row = _changed(live.row, state="stopping", ended_at_ms=ended_at_ms, reason="stopped")
                await self._slots.update(row.runtime_id, state="stopping", ended_at_ms=ended_at_ms, reason="stopped")
                self._lost[row.runtime_id] = _loss(row)
            return self._stopped(await self._finalise(row, request.snapshot))

    async def _stop_unknown(self, runtime_id: str) -> Stopped:
        """An id never started here, or whose start came to nothing: used up from now on, so that a start request still
        on its way finds the door closed.
        """
        row = Row(runtime_id, "", "", "", -1, "stopped", self.boot_id, reason="unknown", known=0)
        await self._slots.insert(row)
        return self._stopped(row)

    def _stopped(self, row: Row) -> Stopped:
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
        )

    async def _pre_stop(self, live: Live, seconds: float) -> None:
        """The polite part: the tenant's own hook, then SIGTERM, together within `seconds`."""
        if seconds <= 0:
            return
        with contextlib.suppress(Exception):
            async with asyncio.timeout(seconds):
                await live.supervisor.run_hook(PRE_STOP_HOOK, live.environment, seconds)
                await live.supervisor.terminate(min(seconds, TERMINATE_SECONDS))

    async def _end(self, live: Live) -> None:
        """Kill the tree and wait until the host sees nothing of it."""
        live.stopping = True
        live.supervisor.close()
        await self._driver.kill(live.running)
        await self._clear_group(live.row.slot)
        self._live.pop(live.row.runtime_id, None)

    async def _clear_group(self, slot: int) -> None:
        name = self._group(slot)
        deadline = asyncio.get_running_loop().time() + self.settings.kill_seconds_max
        while not self.cgroups.remove(name):
            self.cgroups.kill(name)
            if asyncio.get_running_loop().time() > deadline:
                raise TimeoutError(f"cgroup {name} does not empty")
            await asyncio.sleep(0.002)

    async def _finalise(self, row: Row, snapshot: bool) -> Row:
        """Pack the quiet volume if asked, wipe it, free the slot. Repeatable up to the last line."""
        place = self._place(row)
        changes: dict[str, object] = {"state": "stopped", "snapshot_digest": None, "snapshot_bytes": 0}
        if snapshot and self._has_volume(row.slot):
            await self._driver.mount(place)
            try:
                saved = await self._snapshots.save(self._driver, place, self._snapshot_limits(row))
            except (DriverError, OSError) as error:
                # The volume stays as it is: the caller may try again, or give the workspace up with snapshot=False.
                raise SandboxError(str(error)[:500], code="snapshot_failed", retryable=True) from error
            changes |= {
                "snapshot_digest": saved.digest,
                "snapshot_bytes": saved.size_bytes,
                "skipped": saved.skipped,
                "skipped_examples": json.dumps(saved.skipped_examples),
            }
        await self._driver.unmount(place)
        await self._slots.update(row.runtime_id, **changes)
        self._remove_volume(row.slot)
        self._lost.pop(row.runtime_id, None)
        self._slots_taken.discard(row.slot)
        self._capacity.give_back(row.runtime_id)
        return _changed(row, **changes)

    async def _quiet_unmount(self, row: Row) -> None:
        with contextlib.suppress(DriverError, SpawnerGone):
            await self._driver.unmount(self._place(row))

    # Data plane

    def live(self, runtime_id: str) -> Live:
        """The running runtime of this id. Raises RuntimeGone: an old id never reaches its successor."""
        live = self._live.get(runtime_id)
        if live is None or live.stopping:
            raise RuntimeGone("this runtime is not running here (any more)")
        return live

    def oom_kills(self, live: Live) -> int:
        """How often the host's cgroup has killed for memory in this runtime's slot."""
        return self.cgroups.usage(self._group(live.row.slot)).oom_kills


def _loss(row: Row) -> RuntimeLost:
    return RuntimeLost(row.runtime_id, row.boot_id, row.ended_at_ms or 0, row.reason)


def _changed(row: Row, **changes: object) -> Row:
    return replace(row, **changes)  # type: ignore[arg-type]
