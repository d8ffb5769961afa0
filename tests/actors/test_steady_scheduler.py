"""Somebody sets the wall clock of a process: what it does at intervals goes on at its interval."""

import asyncio
import time
from datetime import datetime, tzinfo
from types import SimpleNamespace
from typing import Any

import pytest

from actors.on_ray.steady_scheduler import SteadyScheduler
from satbox import service

DAY = 86_400.0


class Steps:
    """The process's wall clock, ahead of the machine's by `seconds`."""

    seconds = 0.0


@pytest.fixture
def steps(monkeypatch: pytest.MonkeyPatch) -> Steps:
    """Sets the wall clock as everything here reads it: ours, and the library's."""
    made, real = Steps(), time.time

    class Stepped(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> Any:
            return cls.fromtimestamp(real() + made.seconds, tz)

    monkeypatch.setattr(time, "time", lambda: real() + made.seconds)
    for name in ("schedulers.base", "executors.base", "triggers.interval"):
        monkeypatch.setattr(f"apscheduler.{name}.datetime", Stepped)
    return made


class Counted:
    """Something done again and again."""

    def __init__(self) -> None:
        self.times = 0
        self._done = asyncio.Event()

    def one(self) -> None:
        self.times += 1
        self._done.set()

    async def more(self, count: int, seconds: float = 5.0) -> None:
        most = self.times + count
        async with asyncio.timeout(seconds):
            while self.times < most:
                self._done.clear()
                await self._done.wait()


async def test_a_job_goes_on_at_its_interval(steps: Steps) -> None:
    scheduler, done = SteadyScheduler(), Counted()

    async def job() -> None:
        done.one()

    scheduler.add_job(job, "interval", seconds=0.1, max_instances=1, coalesce=True, misfire_grace_time=None)
    scheduler.start()
    try:
        for seconds in (-3 * DAY, 0.0, 10 * 365 * DAY, 3 * DAY, 3 * DAY - 0.5, -40 * 365 * DAY):
            steps.seconds = seconds
            began = time.monotonic()
            await done.more(5)
            assert time.monotonic() - began > 0.25, "it is not done faster to catch up"
        steps.seconds += DAY
        other = Counted()

        async def added() -> None:
            other.one()

        scheduler.add_job(added, "interval", seconds=0.1, max_instances=1, coalesce=True, misfire_grace_time=None)
        await asyncio.gather(done.more(3), other.more(3))
    finally:
        scheduler.shutdown(wait=False)


class Actors:
    """Who is asked whether it is up."""

    def __init__(self, asked: Counted) -> None:
        self._asked = asked

    async def call(self, name: str, method: str) -> int:
        assert (name, method) == ("host-0", "ping")
        self._asked.one()
        return 1


@pytest.mark.parametrize("seconds", [-3 * DAY, 3 * DAY])
async def test_the_watchdog_and_the_checkpoints_go_on(
    steps: Steps, monkeypatch: pytest.MonkeyPatch, seconds: float
) -> None:
    asked, made = Counted(), Counted()
    loop = asyncio.get_running_loop()

    class Checkpoints:
        def make(self, at_ms: int, issued_at: str) -> Any:
            loop.call_soon_threadsafe(made.one)
            return SimpleNamespace(rewritten={})

    monkeypatch.setattr(service, "WATCHDOG_SECONDS", 0.1)
    monkeypatch.setattr(service, "_wallet_actors", list)
    scheduler = service._watchdog(Actors(asked), ["host-0"])  # type: ignore[arg-type]
    deployment = SimpleNamespace(
        checkpoints=Checkpoints, settings=SimpleNamespace(books=SimpleNamespace(checkpoint_seconds=0.1))
    )
    service._checkpoint_hourly(scheduler, deployment)  # type: ignore[arg-type]
    try:
        await asyncio.gather(asked.more(2), made.more(2))
        steps.seconds = seconds
        await asyncio.gather(asked.more(4), made.more(4))
    finally:
        scheduler.shutdown(wait=False)
