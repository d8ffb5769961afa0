"""What a host knows of its sandbox node: its clock, its last heartbeat, and what it lost.

Heartbeats are the only proof of uptime. Between two of them the node's clock is estimated from our own monotonic clock,
for display and for timers; money is measured by heartbeats alone.
"""

import asyncio
import contextlib
import logging
import random
from collections.abc import Awaitable, Callable

from actors.clock import Clock
from actors.wallet.state import UptimeProof
from sandboxes.protocol import Beat, NodeUnavailable, RuntimeLost, SandboxNode, StartFileEnded

log = logging.getLogger(__name__)

RECONNECT_SECONDS_MAX = 5.0
BEAT_TIMEOUT_SECONDS = 2.0
LOSSES_KEPT = 10_000


class NodeLink:
    """A host's view of one node."""

    def __init__(
        self,
        node: SandboxNode,
        clock: Clock,
        *,
        on_lost: Callable[[RuntimeLost], Awaitable[None]],
        on_start_file: Callable[[StartFileEnded], Awaitable[None]],
        on_connect: Callable[[], Awaitable[None]],
        on_beat: Callable[[], None],
    ) -> None:
        self.node = node
        self._clock = clock
        self._on_lost = on_lost
        self._on_start_file = on_start_file
        self._on_connect = on_connect
        self._on_beat = on_beat
        self._beat: Beat | None = None
        self._lost: dict[str, int] = {}
        self._heard_ms = 0
        self._refresh: asyncio.Task[None] | None = None
        self.outage_since_ms: int | None = None

    def proof(self, runtime_id: str | None = None) -> UptimeProof | None:
        """The node's time as far as we know it, and how far it proves that `runtime_id` was up; None before the first
        heartbeat.
        """
        beat = self._beat
        if beat is None:
            return None
        now_ms = beat.at_ms + max(0, self._clock.monotonic_ms() - self._heard_ms)
        proven_ms = beat.at_ms if runtime_id is None else min(beat.at_ms, self._lost.get(runtime_id, beat.at_ms))
        return UptimeProof(beat.node_id, beat.boot_id, now_ms, proven_ms, self.outage_since_ms)

    def _note(self, loss: RuntimeLost) -> None:
        self._lost[loss.runtime_id] = loss.lost_at_ms
        if len(self._lost) > LOSSES_KEPT:
            del self._lost[next(iter(self._lost))]

    def hear(self, beat: Beat) -> None:
        """Take in a heartbeat; one that is older than the last is ignored."""
        last = self._beat
        if (
            last is not None
            and (last.node_id, last.boot_id) == (beat.node_id, beat.boot_id)
            and beat.at_ms < last.at_ms
        ):
            return
        for loss in beat.losses:
            self._note(loss)
        self._beat = beat
        self._heard_ms = self._clock.monotonic_ms()
        self._on_beat()

    async def refresh(self) -> None:
        """Get a heartbeat now; callers at the same time share one. A silent node leaves the proof as it was."""
        if self._refresh is None:
            self._refresh = asyncio.create_task(self._fetch())
        await asyncio.shield(self._refresh)

    async def _fetch(self) -> None:
        try:
            async with asyncio.timeout(BEAT_TIMEOUT_SECONDS):
                self.hear(await self.node.beat())
        except (NodeUnavailable, TimeoutError, OSError) as error:
            log.warning("no heartbeat from the sandbox node: %s", error)
        finally:
            self._refresh = None

    async def run(self) -> None:
        """Follow the node for ever; reconnect with growing, jittered pauses."""
        pause = 0.1
        while True:
            try:
                watched = self.node.watch()
                async for heard in watched:
                    if isinstance(heard, Beat):
                        if pause or self._beat is None:
                            pause = 0.0
                            self.hear(heard)
                            await self._on_connect()
                        self.hear(heard)
                    elif isinstance(heard, StartFileEnded):
                        await self._on_start_file(heard)
                    else:
                        self._note(heard)
                        await self._on_lost(heard)
            except (NodeUnavailable, OSError) as error:
                log.warning("lost the sandbox node: %s", error)
            pause = min(RECONNECT_SECONDS_MAX, max(0.1, pause * 2))
            await asyncio.sleep(pause * random.uniform(0.5, 1.0))  # noqa: S311 - jitter, not a secret

    async def close(self) -> None:
        """Wait for a heartbeat under way."""
        if self._refresh is not None:
            with contextlib.suppress(Exception):
                await self._refresh
