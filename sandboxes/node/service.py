"""The node: starts, stops, proves, and answers for what an earlier process of it left behind."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncGenerator, Callable, Coroutine, Iterator, Sequence
from weakref import WeakValueDictionary

import structlog

from sandboxes.node.boots import Boots
from sandboxes.node.capacity import CapacityBook
from sandboxes.node.cgroups import sweep
from sandboxes.node.connection import ProtocolBroken
from sandboxes.node.endings import Endings, loss_of
from sandboxes.node.freezing import RuntimePaused, set_frozen, still
from sandboxes.node.heartbeat import LastBeat
from sandboxes.node.live import Live
from sandboxes.node.lock_floods import LockFloods
from sandboxes.node.machine import Machine
from sandboxes.node.metering import StorageMeters
from sandboxes.node.pool import WarmPool
from sandboxes.node.proof import Heartbeats
from sandboxes.node.slots import Row
from sandboxes.node.snapshots import SnapshotFolder
from sandboxes.node.starts import Starts
from sandboxes.node.usage_history import SAMPLE_SECONDS
from sandboxes.node.workspaces import Workspaces
from sandboxes.protocol import (
    Beat,
    Capacity,
    MeterCounts,
    PauseState,
    Reservation,
    Runtime,
    RuntimeGone,
    RuntimeInfo,
    SnapshotInfo,
    StartFailed,
    StartRequest,
    Stopped,
    StopRequest,
    WatchEvent,
)


class SandboxService:
    """Implements `SandboxNode` on this machine. `open` before use, `close` after."""

    def __init__(self, machine: Machine, clock_ms: Callable[[], int], boot_id: str) -> None:
        self.settings = settings = machine.settings
        self.boot_id = boot_id
        self._machine = machine
        self._slots = machine.slots
        self._driver = machine.driver
        self._clock_ms = clock_ms
        self._live: dict[str, Live] = {}
        self._proof = Heartbeats(
            machine.state / "heartbeat", settings.node_id, boot_id, clock_ms, lambda: len(self._live),
            settings.watchers_max,
        )  # fmt: skip
        self._workspaces = Workspaces(machine, SnapshotFolder(machine.state / "snapshots"))
        self._storage = StorageMeters(time.time_ns() // 1_000_000)
        self._capacity = CapacityBook(settings.slots, clock_ms)
        self._boots = Boots(machine)
        self._pool = WarmPool(machine, self._boots)
        self._starts = Starts(
            machine, self._boots, self._pool, self._workspaces, self.distrusting, self._proof.start_file_ended, clock_ms,
            boot_id,
        )  # fmt: skip
        self._endings = Endings(
            machine, self._live, self._proof, self._workspaces, self._boots, self._capacity, clock_ms, boot_id
        )
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._tasks: set[asyncio.Task[None]] = set()
        self._closing = False

    # Opening and closing

    async def open(self) -> None:
        """Read the slot table, settle what an earlier process left, begin to beat."""
        (self._machine.state / "volumes").mkdir(exist_ok=True, mode=0o700)
        await self._slots.open()
        last = self._proof.last()
        for row in await self._slots.rows():
            await self._settle(row, last)
        self._boots.sweep_volumes()
        await self._workspaces.open()
        await self._slots.prune(self.settings.stopped_rows_max)
        self._machine.egress.open()
        self._proof.beat()
        self._spawn(self._proof.beat_for_ever())
        self._spawn(self._sample_for_ever())
        self._spawn(self._machine.storms.look_for_ever())
        floods = LockFloods(self._groups, self._machine.cgroups.processes, self._end_flood)
        self._spawn(floods.look_for_ever())
        self._pool.open()

    async def _settle(self, row: Row, last: LastBeat | None) -> None:
        """One row of an earlier process: nothing of it runs any more; say since when."""
        if row.state == "starting":
            # Never promised to anyone: the same id may start again. Its half-made volume goes.
            self._machine.remove_volume(row.slot)
            await self._slots.forget(row.runtime_id)
            return
        if row.state == "running":
            healthy = row.healthy_at_ms or 0
            proven = last.at_ms if last is not None and last.boot_id == row.boot_id else healthy
            reason = "node_restart" if row.boot_id == self.boot_id else "reboot"
            row = await self._endings.record_loss(row, max(healthy, proven), reason)
        self._proof.losses[row.runtime_id] = loss_of(row)
        self._boots.adopt(row.slot)
        self._capacity.adopt([(row.runtime_id, row.size_class)])

    async def close(self) -> None:
        """Stop every sandbox with a snapshot within a bounded time, then let go. What does not make it in time is found
        and salvaged by the next process.
        """
        self._closing = True
        await self._pool.close()
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
        self._proof.beat()
        await self._machine.egress.close()
        await self._driver.close()
        with contextlib.suppress(TimeoutError):  # what does not empty now is swept at the next start
            await asyncio.to_thread(sweep, self._machine.cgroups, self.settings.kill_seconds_max)
        self._machine.cgroups.close()
        await self._slots.close()
        self._proof.close()

    async def _stop_for_shutdown(self, request: StopRequest) -> None:
        async with self._locked(request.runtime_id):
            live = self._live.get(request.runtime_id)
            if live is not None:
                await self._endings.shut_down(live, request.pre_stop_seconds)

    def _spawn(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    # Proof of life

    async def beat(self) -> Beat:
        """See `SandboxNode.beat`."""
        return self._proof.beat()

    def watch(self) -> AsyncGenerator[WatchEvent, None]:
        """See `SandboxNode.watch`. A reader that falls far behind is cut off."""
        return self._proof.watch()

    # Capacity

    def warm(self) -> dict[str, int]:
        """Warm slots per size class, ready to be given away."""
        return self._pool.sizes()

    def egress_state(self) -> str:
        """`off`, `ready`, or `starting` while sandboxes' connections wait for a proxy."""
        return self._machine.egress.state

    async def reserve(self, reservation: Reservation) -> None:
        """See `SandboxNode.reserve`."""
        size_class = self.settings.size_classes.get(reservation.size_class)
        self._machine.room.require(0 if size_class is None else size_class.disk_bytes)
        self._capacity.reserve(reservation)

    async def release(self, address: str, holder: str = "") -> None:
        """See `SandboxNode.release`."""
        self._capacity.release(address, holder)

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
            if request.image not in self._machine.images:
                raise StartFailed("unknown_image", self._machine.why_no_image(request.image), retryable=False)
            self._machine.require_needs(request.image)
            self._machine.room.require()
            self._capacity.take(request.runtime_id, request.size_class, request.address)
            try:
                live = await self._starts.start(request)
            except BaseException:
                self._capacity.give_back(request.runtime_id)
                raise
            self._live[request.runtime_id] = live
            live.running.exited.add_done_callback(lambda _future: self._spawn(self._on_exit(live)))
            return self._runtime(live.row)

    def _locked(self, runtime_id: str) -> asyncio.Lock:
        """The lock of one runtime id; it lives as long as someone holds or awaits it."""
        lock = self._locks.get(runtime_id)
        if lock is None:
            lock = self._locks[runtime_id] = asyncio.Lock()
        return lock

    def _runtime(self, row: Row) -> Runtime:
        assert row.healthy_at_ms is not None
        return Runtime(row.runtime_id, self.settings.node_id, row.boot_id, row.slot, row.healthy_at_ms)

    # Loss

    async def _on_exit(self, live: Live) -> None:
        """A sandbox ended. A requested stop is handled by its request; otherwise it is lost, and its owner gets a report."""
        if live.stopping:
            return
        at_ms = self._clock_ms()
        async with self._locked(live.row.runtime_id):
            if live.stopping:
                return
            await self._endings.exited(live, at_ms)

    # Stop

    async def stop(self, request: StopRequest) -> Stopped:
        """See `SandboxNode.stop`."""
        async with self._locked(request.runtime_id):
            return await self._endings.stop(request)

    async def forget(self, address: str) -> None:
        """See `SandboxNode.forget`."""
        await self._workspaces.forget(address)

    async def pause(self, runtime_id: str, paused: bool) -> PauseState:
        """See `SandboxNode.pause`."""
        async with self._locked(runtime_id):
            live = self.up(runtime_id)
            if live.is_paused != paused:
                await set_frozen(self._machine, live, paused)
                live.is_paused = paused
                live.pause_changed_at_ms = self._clock_ms()
            return PauseState(runtime_id, live.row.boot_id, live.is_paused, live.pause_changed_at_ms)

    def metrics(self, runtime_id: str, seconds: float) -> dict[str, object]:
        """What a running or paused runtime uses, now and in samples of the last `seconds`. Raises RuntimeGone."""
        live, now_ms = self.up(runtime_id), self._clock_ms()
        return {"at_ms": now_ms, "now": live.usage(), "samples": live.history.since(now_ms - int(seconds * 1000))}

    async def meters(self, runtime_ids: Sequence[str]) -> list[MeterCounts]:
        """See `SandboxNode.meters`."""
        found = [self._live.get(runtime_id) for runtime_id in runtime_ids]
        return [self._counted(live) for live in found if live is not None and not live.stopping]

    def _counted(self, live: Live) -> MeterCounts:
        stored = self._storage.count(live.row.address)
        counts = {**live.counts(), "snapshot_storage": stored}
        return MeterCounts(live.row.runtime_id, self._clock_ms(), counts, self._storage.period)

    async def _sample_for_ever(self) -> None:
        while True:
            self._look_at_volumes()
            for live in list(self._live.values()):
                if not live.stopping:
                    live.sample(self._clock_ms())
                    await asyncio.sleep(0)  # many sandboxes are looked at between other work
            self._storage.saw(self._clock_ms(), await self._slots.kept_bytes())
            await asyncio.sleep(SAMPLE_SECONDS)

    def _look_at_volumes(self) -> None:
        """A sandbox whose volume can't be written is of no use, and is not charged: it is lost since it last could."""
        read_only, now_ms = self._driver.read_only_slots(), self._clock_ms()
        for live in list(self._live.values()):
            if live.row.slot not in read_only:
                live.writable_at_ms = now_ms
            elif not live.stopping:
                self._spawn(self._lose_volume(live))

    def _groups(self) -> dict[str, Live]:
        """The sandboxes that run, by the names of their cgroups."""
        return {self._machine.group(live.row.slot): live for live in self._live.values() if not live.stopping}

    def _end_flood(self, group: str) -> None:
        """A sandbox fills the host's memory with file locks: it ends as one that used up its own."""
        live = self._groups().get(group)
        if live is not None and not live.floods:
            structlog.get_logger().warning("sandbox.lock_flood", runtime_id=live.row.runtime_id, group=group)
            live.floods = True
            self._spawn(self._driver.kill(live.running))  # `_on_exit` does the rest

    async def _lose_volume(self, live: Live) -> None:
        async with self._locked(live.row.runtime_id):
            if not live.stopping:
                await self._endings.volume_lost(live)

    # Snapshots

    async def snapshot(self, runtime_id: str, name: str) -> SnapshotInfo:
        """See `SandboxNode.snapshot`."""
        async with self._locked(runtime_id):
            live = self.up(runtime_id)
            place = self._machine.place(live.row.slot, live.row.size_class)
            async with still(self._machine, live):
                return await self._workspaces.keep(live.row, place, name)

    async def snapshots(self, address: str) -> list[SnapshotInfo]:
        """See `SandboxNode.snapshots`."""
        return await self._workspaces.all_of(address)

    async def drop_snapshot(self, address: str, digest: str) -> None:
        """See `SandboxNode.drop_snapshot`."""
        await self._workspaces.drop(address, digest)

    # Data plane

    def live(self, runtime_id: str) -> Live:
        """The running runtime of this id. Raises RuntimeGone: an old id never reaches its successor; and RuntimePaused."""
        live = self.up(runtime_id)
        if live.is_paused:
            raise RuntimePaused("the sandbox is paused; resume it first")
        return live

    def up(self, runtime_id: str) -> Live:
        """The runtime of this id, running or paused. Raises RuntimeGone."""
        live = self._live.get(runtime_id)
        if live is None or live.stopping:
            raise RuntimeGone("this runtime is not running here (any more)")
        return live

    @contextlib.contextmanager
    def distrusting(self, live: Live) -> Iterator[None]:
        """Around a conversation with a supervisor: one that breaks the protocol loses its sandbox, and only that."""
        try:
            yield
        except ProtocolBroken:
            if not live.stopping and not live.broken:
                live.broken = True
                self._spawn(self._driver.kill(live.running))  # `_on_exit` does the rest
            raise
