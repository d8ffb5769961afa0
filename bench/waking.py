"""Waking through a wake link, end to end: what is up already, and what was reaped."""

import asyncio
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import aiohttp

from bench.figures import Figure, latency
from bench.service import funded_client
from satbox.client import Client
from satbox.demo import demo_settings
from satbox.demo.devnet_control import DevnetControl
from satbox.service import Service, running

PAUSE_SECONDS = 0.03
"""Between requests, which nobody's pass vouches for: a peer may make fifty a second."""


async def _timed(work: Callable[[], Awaitable[object]]) -> float:
    began = time.perf_counter()
    await work()
    return (time.perf_counter() - began) * 1000


async def _measured(service: Service, owner: Client, n: int) -> list[Figure]:
    await owner.sandbox_create(sats=500)
    link = await owner.wake_links_create(scopes=["wake"], wakes_per_day=1000)
    async with Client(service.gate_url, wake_link=link.token) as holder:
        await holder.wake()
        up = []
        for _ in range(4 * n):
            await asyncio.sleep(PAUSE_SECONDS)
            up.append(await _timed(holder.wake))
        reaped = []
        for _ in range(n):
            await owner.sandbox_reap()
            reaped.append(await _timed(holder.wake))
    await owner.sandbox_reap()
    return [
        latency("wake_link_up", up, "POST /sandbox/wake with a link while it runs: nothing is started or counted"),
        latency("wake_link_reaped", reaped, "the same of a reaped one with an empty workspace, until it is up"),
    ]


async def figures(home: Path, *, quick: bool = False) -> list[Figure]:
    """Everything this module measures, on a service of its own in `home`."""
    async with running(demo_settings(home, "shared"), _say) as service, aiohttp.ClientSession() as session:
        owner = await funded_client(service, DevnetControl(service.devnet_urls["devnet"], session), "bench-wake")
        try:
            return await _measured(service, owner, 10 if quick else 50)
        finally:
            await owner.close()


def _say(line: str) -> None:
    print(f"bench: {line}", file=sys.stderr)
