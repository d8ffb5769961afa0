"""The warm pool: booted sandboxes that nobody owns yet, so that a create only has to say whose it is.

A warm slot has a supervisor, an empty workspace and a cgroup, and has run nothing. It is in no table: it bills nobody, is
reported to nobody and dies with the node. It becomes a runtime by one durable row, before its first use, and is never put
back. Its slots are on top of those that can be sold, so the pool takes no room from anyone.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter, deque
from collections.abc import Iterator
from dataclasses import dataclass

import structlog

from sandboxes.node.boots import Boots
from sandboxes.node.driver import DriverError, Running
from sandboxes.node.machine import Machine
from sandboxes.node.settings import DEFAULT_IMAGE
from sandboxes.node.spawner_client import SpawnerGone

BACKOFF_SECONDS_MIN, BACKOFF_SECONDS_MAX = 0.5, 30.0
GIVE_WAY_SECONDS_MAX = 0.5
REST_SECONDS = 0.03


Kind = tuple[str, str]
"""A size class and an image."""


@dataclass(slots=True, eq=False)
class Warm:
    """A booted sandbox without an owner."""

    slot: int
    size_class: str
    image: str
    running: Running


class WarmPool:
    """Keeps the number of warm slots per size class and image up. `open` starts refilling, `close` ends it."""

    def __init__(self, machine: Machine, boots: Boots) -> None:
        self._machine = machine
        self._boots = boots
        self._sizes = {key: size for key, size in machine.settings.pool_sizes.items() if key[1] in machine.images}
        for size_class, image in machine.settings.pool_sizes.keys() - self._sizes.keys():
            structlog.get_logger().warning("pool.image_missing", size_class=size_class, image=image)
        self._ready: dict[Kind, deque[Warm]] = {kind: deque() for kind in self._sizes}
        self._booting: Counter[Kind] = Counter()
        self._wanted = asyncio.Event()
        self._busy = 0
        self._quiet_from = 0.0
        self._idle = asyncio.Event()
        self._idle.set()
        self._tasks: set[asyncio.Task[None]] = set()

    def open(self) -> None:
        """Begin to fill."""
        if any(self._sizes.values()):
            self._wanted.set()
            self._spawn(self._refill_for_ever())

    async def close(self) -> None:
        """Stop filling. What is warm ends with the driver."""
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for entries in self._ready.values():
            while entries:
                entries.popleft().running.control.close()

    def sizes(self) -> dict[str, int]:
        """Warm slots now, keyed as in the settings."""
        return {
            size_class if image == DEFAULT_IMAGE else f"{size_class}:{image}": len(entries)
            for (size_class, image), entries in self._ready.items()
        }

    def take(self, size_class: str, image: str) -> Warm | None:
        """Take a warm slot out of the pool; None when there is none of that kind."""
        entries = self._ready.get((size_class, image))
        while entries:
            warm = entries.popleft()
            self._wanted.set()
            if not warm.running.exited.done():
                return warm
        return None

    @contextlib.contextmanager
    def giving_way(self) -> Iterator[None]:
        """Around a start somebody waits for: refilling holds back meanwhile."""
        self._busy += 1
        self._idle.clear()
        try:
            yield
        finally:
            self._busy -= 1
            self._quiet_from = asyncio.get_running_loop().time() + REST_SECONDS
            if not self._busy:
                self._idle.set()

    def _spawn(self, work: object) -> None:
        assert asyncio.iscoroutine(work)
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _missing(self) -> list[Kind]:
        """What is to be booted, at most a batch."""
        missing: list[Kind] = []
        for kind, size in self._sizes.items():
            missing += [kind] * (size - len(self._ready[kind]) - self._booting[kind])
        return missing[: self._machine.settings.pool_batch_max]

    def _memory_bytes(self) -> int:
        usage = self._machine.cgroups.usage
        groups = [self._machine.group(warm.slot) for entries in self._ready.values() for warm in entries]
        return sum(usage(group).memory_bytes or 0 for group in groups)

    async def _refill_for_ever(self) -> None:
        settings, failures = self._machine.settings, 0
        loop = asyncio.get_running_loop()
        while True:
            await self._wanted.wait()
            self._wanted.clear()
            while batch := self._missing():
                if self._memory_bytes() >= settings.pool_memory_bytes_max:
                    structlog.get_logger().warning("pool.memory_cap", cap_bytes=settings.pool_memory_bytes_max)
                    break
                await self._give_way()
                begun = loop.time()
                done = await asyncio.gather(*(self._boot_one(kind) for kind in batch))
                failures = 0 if all(done) else failures + 1
                pause = len(batch) / settings.pool_refills_per_second - (loop.time() - begun)
                if failures:
                    pause = min(BACKOFF_SECONDS_MAX, BACKOFF_SECONDS_MIN * 2 ** min(failures, 10))
                await asyncio.sleep(max(0.0, pause))

    async def _give_way(self) -> None:
        """Let a runtime that has just taken a slot run its first command before the machine boots the next slot."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + GIVE_WAY_SECONDS_MAX
        while (now := loop.time()) < deadline:
            if self._busy:
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._idle.wait(), deadline - now)
            elif now < self._quiet_from:
                await asyncio.sleep(min(self._quiet_from, deadline) - now)
            else:
                return

    async def _boot_one(self, kind: Kind) -> bool:
        size_class, image = kind
        slot = self._boots.claim()
        self._booting[kind] += 1
        running: Running | None = None
        try:
            running = await self._boots.boot(slot, size_class, image)
        except Exception as error:  # noqa: BLE001 - whatever it is, the pool tries again and says so
            structlog.get_logger().warning("pool.boot_failed", size_class=size_class, error=str(error)[:300])
            await self._discard(slot, size_class, None)
            return False
        finally:
            self._booting[kind] -= 1
        warm = Warm(slot, size_class, image, running)
        self._ready[kind].append(warm)
        running.exited.add_done_callback(lambda _future: self._on_exit(warm))
        return True

    def _on_exit(self, warm: Warm) -> None:
        """One that ends while nobody owns it is cleared away; one that was taken is its owner's matter."""
        with contextlib.suppress(ValueError):
            self._ready[warm.size_class, warm.image].remove(warm)
            self._wanted.set()
            self._spawn(self._discard(warm.slot, warm.size_class, warm.running))

    async def _discard(self, slot: int, size_class: str, running: Running | None) -> None:
        try:
            await self._boots.discard(slot, size_class, running)
        except (DriverError, SpawnerGone, OSError, TimeoutError) as error:
            structlog.get_logger().warning("pool.slot_stuck", slot=slot, error=str(error)[:300])
