"""A `SandboxNode` in memory: for tests and the simulator. Starts at once, takes its time from the caller, and fails,
loses runtimes and runs out of room on demand. It passes the contract suite of the real node.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections import deque
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from sandboxes.node.capacity import CapacityBook
from sandboxes.protocol import (
    Beat,
    Capacity,
    MeterCounts,
    PauseState,
    Reservation,
    Runtime,
    RuntimeGone,
    RuntimeInfo,
    RuntimeLost,
    SandboxError,
    SnapshotInfo,
    StartFailed,
    StartFileEnded,
    StartRequest,
    Stopped,
    StopRequest,
    WatchEvent,
)

DEFAULT_SLOTS = {"nano": 64, "small": 32, "medium": 8}
WATCHER_QUEUE_MAX = 65_536
SNAPSHOTS_KEPT = 3


@dataclass(frozen=True, slots=True)
class _Entry:
    request: StartRequest
    runtime: Runtime
    lost: RuntimeLost | None = None
    start_file: StartFileEnded | None = None
    is_paused: bool = False
    pause_changed_at_ms: int = 0


class SimulatedNode:
    """One pretended machine. `clock_ms` gives boottime milliseconds."""

    def __init__(
        self,
        clock_ms: Callable[[], int],
        *,
        node_id: str = "node-simulated",
        boot_id: str = "boot-simulated",
        slots: Mapping[str, int] = DEFAULT_SLOTS,
    ) -> None:
        self.node_id = node_id
        self.boot_id = boot_id
        self._clock_ms = clock_ms
        self._totals = dict(slots)
        self._capacity = CapacityBook(self._totals, clock_ms)
        self._entries: dict[str, _Entry] = {}
        self._stopped: dict[str, Stopped] = {}
        self._snapshots: dict[str, list[str]] = {}
        self._named: dict[str, list[SnapshotInfo]] = {}
        self._newest: dict[str, str] = {}
        self._failures: deque[SandboxError] = deque()
        self._watchers: dict[asyncio.Queue[WatchEvent | None], None] = {}
        self._sequence = 0
        self._last_beat_ms = clock_ms()

        self._counts: dict[str, dict[str, int]] = {}

    # What a test or the simulator does to it

    def use(self, runtime_id: str, meter: str, more: int) -> None:
        """A running runtime uses so much more of what a meter counts."""
        entry = self._entries.get(runtime_id)
        if entry is None or entry.lost is not None:
            return
        counts = self._counts.setdefault(runtime_id, {})
        counts[meter] = counts.get(meter, 0) + more

    def used(self, runtime_id: str) -> dict[str, int]:
        """All it has used."""
        return dict(self._counts.get(runtime_id, {}))

    def fail_next_start(self, error: SandboxError) -> None:
        """The next start that would work raises `error` instead. Repeated calls queue up."""
        self._failures.append(error)

    def lose(self, runtime_id: str, reason: str = "exited", lost_at_ms: int | None = None) -> None:
        """A runtime ends unasked, now or at an earlier moment."""
        entry = self._entries[runtime_id]
        at_ms = self._clock_ms() if lost_at_ms is None else lost_at_ms
        lost = RuntimeLost(runtime_id, entry.runtime.boot_id, max(at_ms, entry.runtime.healthy_at_ms), reason)
        self._entries[runtime_id] = replace(entry, lost=lost)
        self._publish(lost)

    def end_start_file(self, runtime_id: str, exit_code: int) -> None:
        """The start file of a runtime's workspace fails for good."""
        ended = StartFileEnded(runtime_id, exit_code, None, "p1")
        self._entries[runtime_id] = replace(self._entries[runtime_id], start_file=ended)
        self._publish(ended)

    def restart(self, new_boot_id: str | None = None) -> None:
        """The node process dies and restarts, after a reboot when a boot id is given: streams end, reservations are
        forgotten, every runtime is lost at the last beat.
        """
        reason = "node_restart" if new_boot_id is None else "reboot"
        watchers, self._watchers = self._watchers, {}
        for runtime_id, entry in self._entries.items():
            if entry.lost is None:
                self.lose(runtime_id, reason, self._last_beat_ms)
        for queue in watchers:
            queue.put_nowait(None)
        self.boot_id = new_boot_id or self.boot_id
        self._capacity = CapacityBook(self._totals, self._clock_ms)
        self._capacity.adopt((runtime_id, entry.request.size_class) for runtime_id, entry in self._entries.items())

    def tick(self) -> Beat:
        """What the real node does every second: a beat for every watcher."""
        beat = self._beat()
        self._publish(beat)
        return beat

    def _publish(self, event: WatchEvent) -> None:
        for queue in list(self._watchers):
            queue.put_nowait(event)

    def _beat(self) -> Beat:
        self._sequence += 1
        self._last_beat_ms = self._clock_ms()
        losses = tuple(entry.lost for entry in self._entries.values() if entry.lost is not None)
        alive = len(self._entries) - len(losses)
        return Beat(self.node_id, self.boot_id, self._last_beat_ms, self._sequence, alive, losses)

    # SandboxNode

    async def start(self, request: StartRequest) -> Runtime:
        """See `SandboxNode.start`."""
        entry = self._entries.get(request.runtime_id)
        if entry is not None and entry.lost is None:
            return entry.runtime
        if entry is not None or request.runtime_id in self._stopped:
            state = "lost" if entry is not None else "stopped"
            raise StartFailed(f"runtime_{state}", f"this runtime id is used up ({state})", retryable=False)
        if request.image != "base":
            raise StartFailed("unknown_image", f"no image {request.image!r}", retryable=False)
        if request.snapshot_digest is not None and not self._has(request.snapshot_digest):
            raise StartFailed("snapshot_unknown", "the snapshot is not on this node", retryable=False)
        self._capacity.take(request.runtime_id, request.size_class, request.address)
        if self._failures:
            self._capacity.give_back(request.runtime_id)
            raise self._failures.popleft()
        taken = {entry.runtime.slot for entry in self._entries.values()}
        slot = next(number for number in range(len(taken) + 1) if number not in taken)
        runtime = Runtime(request.runtime_id, self.node_id, self.boot_id, slot, self._clock_ms())
        self._entries[request.runtime_id] = _Entry(request, runtime)
        self._newest[request.address] = request.runtime_id
        return runtime

    async def stop(self, request: StopRequest) -> Stopped:
        """See `SandboxNode.stop`."""
        done = self._stopped.get(request.runtime_id)
        if done is not None:
            address = next((owner for owner, newest in self._newest.items() if newest == request.runtime_id), None)
            if done.snapshot_digest is not None and not request.snapshot and address is not None:
                await self.forget(address)
                done = self._stopped[request.runtime_id] = replace(done, snapshot_digest=None, snapshot_bytes=0)
            return done
        entry = self._entries.pop(request.runtime_id, None)
        if entry is None:
            stopped = Stopped(request.runtime_id, False, self.boot_id, None, None, 0, "unknown")
        else:
            lost = entry.lost
            at_ms = self._clock_ms() if lost is None else lost.lost_at_ms
            reason = "stopped" if lost is None else lost.reason
            digest, size = None, 0
            if request.snapshot:
                digest, size = self._snapshot(entry.request)
            elif self._newest.get(entry.request.address) == request.runtime_id:
                await self.forget(entry.request.address)
            counts = self.used(request.runtime_id)
            stopped = Stopped(
                request.runtime_id, True, entry.runtime.boot_id, at_ms, digest, size, reason, counts=counts
            )
            self._capacity.give_back(request.runtime_id)
        self._stopped[request.runtime_id] = stopped
        return stopped

    def _snapshot(self, request: StartRequest) -> tuple[str, int]:
        digest = hashlib.sha256(request.runtime_id.encode()).hexdigest()
        kept = self._snapshots.setdefault(request.address, [])
        kept.append(digest)
        del kept[:-SNAPSHOTS_KEPT]
        return digest, 1024

    def _has(self, digest: str) -> bool:
        named = (item.digest for items in self._named.values() for item in items)
        return any(digest in kept for kept in self._snapshots.values()) or digest in named

    async def snapshot(self, runtime_id: str, name: str) -> SnapshotInfo:
        """See `SandboxNode.snapshot`."""
        entry = self._entries.get(runtime_id)
        if entry is None or entry.lost is not None:
            raise RuntimeGone("this runtime is not running here (any more)")
        digest = hashlib.sha256(f"{runtime_id} {name}".encode()).hexdigest()
        made = SnapshotInfo(digest, 1024, name, self._clock_ms())
        self._named.setdefault(entry.request.address, []).insert(0, made)
        return made

    async def snapshots(self, address: str) -> list[SnapshotInfo]:
        """See `SandboxNode.snapshots`."""
        left = [SnapshotInfo(digest, 1024, "", 0) for digest in reversed(self._snapshots.get(address, []))]
        return [*self._named.get(address, []), *left]

    async def drop_snapshot(self, address: str, digest: str) -> None:
        """See `SandboxNode.drop_snapshot`."""
        if digest not in [item.digest for item in await self.snapshots(address)]:
            raise SandboxError("the address has no such snapshot", code="snapshot_not_found")
        self._named[address] = [item for item in self._named.get(address, []) if item.digest != digest]
        self._snapshots[address] = [kept for kept in self._snapshots.get(address, []) if kept != digest]

    async def pause(self, runtime_id: str, paused: bool) -> PauseState:
        """See `SandboxNode.pause`."""
        entry = self._entries.get(runtime_id)
        if entry is None or entry.lost is not None:
            raise RuntimeGone("this runtime is not running here (any more)")
        if entry.is_paused != paused:
            entry = replace(entry, is_paused=paused, pause_changed_at_ms=self._clock_ms())
            self._entries[runtime_id] = entry
        return PauseState(runtime_id, entry.runtime.boot_id, entry.is_paused, entry.pause_changed_at_ms)

    async def forget(self, address: str) -> None:
        """See `SandboxNode.forget`."""
        self._snapshots.pop(address, None)
        self._named.pop(address, None)

    async def meters(self, runtime_ids: Sequence[str]) -> list[MeterCounts]:
        """See `SandboxNode.meters`."""
        running = [self._entries.get(runtime_id) for runtime_id in runtime_ids]
        up = [entry.runtime.runtime_id for entry in running if entry is not None and entry.lost is None]
        return [MeterCounts(runtime_id, self._clock_ms(), self.used(runtime_id)) for runtime_id in up]

    async def beat(self) -> Beat:
        """See `SandboxNode.beat`."""
        return self._beat()

    async def watch(self) -> AsyncGenerator[WatchEvent, None]:
        """See `SandboxNode.watch`; beats come with `tick`. Ends when the node restarts."""
        queue: asyncio.Queue[WatchEvent | None] = asyncio.Queue(WATCHER_QUEUE_MAX)
        self._watchers[queue] = None
        try:
            for entry in list(self._entries.values()):
                if entry.lost is not None:
                    yield entry.lost
                elif entry.start_file is not None:
                    yield entry.start_file
            yield self._beat()
            while (event := await queue.get()) is not None:
                yield event
        finally:
            self._watchers.pop(queue, None)

    async def reserve(self, reservation: Reservation) -> None:
        """See `SandboxNode.reserve`."""
        self._capacity.reserve(reservation)

    async def release(self, address: str, holder: str = "") -> None:
        """See `SandboxNode.release`."""
        self._capacity.release(address, holder)

    async def runtimes(self) -> list[RuntimeInfo]:
        """See `SandboxNode.runtimes`."""
        return [
            RuntimeInfo(
                runtime_id, entry.request.address, entry.request.size_class, entry.request.image, entry.runtime.slot,
                "running" if entry.lost is None else "lost", entry.runtime.boot_id, entry.runtime.healthy_at_ms,
            )
            for runtime_id, entry in sorted(self._entries.items())
        ]  # fmt: skip

    async def capacity(self) -> Capacity:
        """See `SandboxNode.capacity`."""
        return self._capacity.capacity()
