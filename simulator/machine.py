"""The pretended machine that runs sandboxes, with the auditor looking at what really runs."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from sandboxes.protocol import Beat, Runtime, RuntimeLost, StartRequest, Stopped, StopRequest, WatchEvent
from sandboxes.simulated import SimulatedNode
from simulator.auditor import Auditor

SLOTS = {"nano": 4000, "small": 2000, "medium": 500}


class Machine(SimulatedNode):
    """The simulated node, with the auditor looking at what really runs."""

    def __init__(self, clock_ms: Callable[[], int], auditor: Auditor) -> None:
        super().__init__(clock_ms, slots=SLOTS)
        self._auditor = auditor
        self.ears: dict[str, asyncio.Queue[WatchEvent | None]] = {}
        self.proven_ms = clock_ms()
        auditor.proven_ms = lambda: self.proven_ms
        auditor.used = self.used

    async def start(self, request: StartRequest) -> Runtime:
        """See `SandboxNode.start`."""
        runtime = await super().start(request)
        self._auditor.started(runtime.runtime_id, request.address, runtime.boot_id, runtime.healthy_at_ms)
        return runtime

    async def stop(self, request: StopRequest) -> Stopped:
        """See `SandboxNode.stop`."""
        stopped = await super().stop(request)
        if stopped.stopped_at_ms is not None:
            self._auditor.ended(request.runtime_id, stopped.stopped_at_ms)
            self.proven_ms = max(self.proven_ms, stopped.stopped_at_ms)
        return stopped

    def lose(self, runtime_id: str, reason: str = "exited", lost_at_ms: int | None = None) -> None:
        """See `SimulatedNode.lose`."""
        super().lose(runtime_id, reason, lost_at_ms)
        lost = self._entries[runtime_id].lost
        assert lost is not None
        self._auditor.ended(runtime_id, lost.lost_at_ms)

    async def pause(self, runtime_id: str, paused: bool) -> Any:
        """See `SandboxNode.pause`: its answer proves the moment it names."""
        told = await super().pause(runtime_id, paused)
        self._auditor.seen(runtime_id, told.at_ms)
        return told

    def _beat(self) -> Beat:
        beat = super()._beat()
        self.proven_ms = beat.at_ms
        return beat

    def _publish(self, event: WatchEvent) -> None:
        for ear in self.ears.values():
            ear.put_nowait(event)

    def losses(self) -> list[RuntimeLost]:
        """Those not yet stopped."""
        return [entry.lost for entry in self._entries.values() if entry.lost is not None]
