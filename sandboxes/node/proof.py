"""Proof of life: beats on disk and to watchers, and the losses that end it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from pathlib import Path

import structlog

from sandboxes.node.heartbeat import HeartbeatFile, LastBeat
from sandboxes.protocol import Beat, NoCapacity, RuntimeLost, StartFileEnded, WatchEvent

BEAT_SECONDS = 1.0
WATCHER_QUEUE_MAX = 4096


class Heartbeats:
    """Counts beats, remembers losses until they are dealt with, tells watchers of both."""

    def __init__(
        self,
        path: Path,
        node_id: str,
        boot_id: str,
        clock_ms: Callable[[], int],
        runtimes: Callable[[], int],
        watchers_max: int,
    ) -> None:
        self.losses: dict[str, RuntimeLost] = {}
        self._start_files: dict[str, StartFileEnded] = {}
        self._file = HeartbeatFile(path)
        self._node_id = node_id
        self._boot_id = boot_id
        self._clock_ms = clock_ms
        self._runtimes = runtimes
        self._watchers_max = watchers_max
        self._watchers: set[asyncio.Queue[WatchEvent]] = set()
        self._sequence = 0

    def last(self) -> LastBeat | None:
        """The last beat on disk: at opening, an earlier process's."""
        return self._file.read()

    def beat(self) -> Beat:
        """A fresh proof, on disk."""
        self._sequence += 1
        now = self._clock_ms()
        self._file.write(LastBeat(self._boot_id, now))
        return Beat(self._node_id, self._boot_id, now, self._sequence, self._runtimes(), tuple(self.losses.values()))

    async def beat_for_ever(self) -> None:
        """A beat every second, to disk and to every watcher."""
        while True:
            await asyncio.sleep(BEAT_SECONDS)
            try:
                beat = self.beat()
            except (
                OSError
            ) as error:  # report only what is on disk: nothing is charged that could not be proven after a restart
                structlog.get_logger().error("node.beat_not_written", error=str(error))
                continue
            self._publish(beat)

    def lost(self, loss: RuntimeLost) -> None:
        """Tell every watcher now, and every later one until the loss is taken off `losses`."""
        self.losses[loss.runtime_id] = loss
        self._publish(loss)

    def start_file_ended(self, ended: StartFileEnded) -> None:
        """Tell every watcher now, and every later one until the runtime ends (`forget_start_file`)."""
        self._start_files[ended.runtime_id] = ended
        self._publish(ended)

    def forget_start_file(self, runtime_id: str) -> None:
        """Its runtime has ended."""
        self._start_files.pop(runtime_id, None)

    def _publish(self, event: WatchEvent) -> None:
        for queue in list(self._watchers):
            try:
                queue.put_nowait(event)
            except asyncio.QueueFull:
                self._watchers.discard(queue)  # its reader sees the end of the stream and subscribes again

    async def watch(self) -> AsyncGenerator[WatchEvent, None]:
        """See `SandboxNode.watch`. A reader that falls far behind is cut off. Raises NoCapacity."""
        if len(self._watchers) >= self._watchers_max:
            raise NoCapacity("too many watchers")
        queue: asyncio.Queue[WatchEvent] = asyncio.Queue(WATCHER_QUEUE_MAX)
        self._watchers.add(queue)
        try:
            for loss in list(self.losses.values()):
                yield loss
            for ended in list(self._start_files.values()):
                yield ended
            yield self.beat()
            while queue in self._watchers:
                yield await queue.get()
        finally:
            self._watchers.discard(queue)

    def close(self) -> None:
        """Let go of the file."""
        self._file.close()
