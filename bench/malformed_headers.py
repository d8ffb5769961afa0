"""A thousand malformed payments a second against a whole service, while an honest client goes about its business.

Three stretches of the same honest traffic: alone; beside as many well-formed requests; beside the attack. The gate's memory must
stay flat and the honest 95th percentile within twice of what it is alone.
"""

import asyncio
import json
import sys
import time
from pathlib import Path

import aiohttp

from bench.figures import Figure, percentile, rss_bytes
from bench.service import funded_client
from satbox.demo import demo_settings
from satbox.demo.devnet_control import DevnetControl
from satbox.service import Service, running

PER_SECOND = 1_000
HONEST_PER_SECOND = 40
WARM_SECONDS = 5.0
SEED = 20261121
MIB = 1 << 20


async def _load(service: Service, token: str, kind: str, seconds: float) -> dict[str, object]:
    port = service.gate_url.rpartition(":")[2]
    arguments = ("127.0.0.1", port, token, str(seconds), str(PER_SECOND), kind, str(SEED))
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "bench.header_load", *arguments, stdout=asyncio.subprocess.PIPE
    )
    out, _ = await process.communicate()
    measured: dict[str, object] = json.loads(out)
    return measured


async def _honest(session: aiohttp.ClientSession, gate: str, token: str, until: float) -> list[float]:
    """Milliseconds of one request after another, at a steady pace: status, and what an hour would cost (a 402)."""
    headers = {"Authorization": f"Bearer {token}"}
    asked = (("GET", "/sandbox/status", None, 200), ("POST", "/sandbox/extend", {"sats": 50}, 402))
    samples, n, began = [], 0, time.perf_counter()
    while time.perf_counter() < until:
        method, path, body, status = asked[n % len(asked)]
        at = time.perf_counter()
        async with session.request(method, gate + path, json=body, headers=headers) as reply:
            await reply.read()
            if reply.status != status:
                raise RuntimeError(f"an honest request was answered {reply.status}")
        samples.append((time.perf_counter() - at) * 1000)
        n += 1
        await asyncio.sleep(max(0.0, began + n / HONEST_PER_SECOND - time.perf_counter()))
    return samples


async def figures(home: Path, *, quick: bool = False) -> list[Figure]:
    """Everything this part measures, on a service of its own in `home`."""
    seconds = 5.0 if quick else 60.0
    async with running(demo_settings(home, "shared"), _say) as service, aiohttp.ClientSession() as session:
        control = DevnetControl(service.devnet_urls["devnet"], session)
        honest, attacker = [await funded_client(service, control, name) for name in ("honest", "attacker")]
        for client in (honest, attacker):
            await client.sandbox_create(sats=100)
        tokens = [(await client.prove()).token for client in (honest, attacker)]
        pid = service.pid("gate")
        assert pid is not None

        async def stretch(kind: str | None, long: float) -> tuple[list[float], dict[str, object], int]:
            until = time.perf_counter() + long
            if kind is None:
                return await _honest(session, service.gate_url, tokens[0], until), {}, rss_bytes(pid)
            loading = asyncio.create_task(_load(service, tokens[1], kind, long + 2))
            await asyncio.sleep(2)  # the load process starts up
            samples = await _honest(session, service.gate_url, tokens[0], time.perf_counter() + long)
            rss = rss_bytes(pid)
            return samples, await loading, rss

        await stretch(None, 2)
        alone, _, _ = await stretch(None, seconds)
        beside, polite, _ = await stretch("status", seconds)
        _, _, warm_rss = await stretch("malformed", WARM_SECONDS)
        under, attack, end_rss = await stretch("malformed", seconds)
        await honest.sandbox_reap()
        await attacker.sandbox_reap()
        for client in (honest, attacker):
            await client.close()
    return _figures(alone, beside, under, polite, attack, end_rss - warm_rss)


def _figures(
    alone: list[float],
    beside: list[float],
    under: list[float],
    polite: dict[str, object],
    attack: dict[str, object],
    growth_bytes: int,
) -> list[Figure]:
    made = []
    for name, samples, note in (
        ("honest_alone", alone, "status and 402s of one client, nothing else"),
        ("honest_beside_requests", beside, f"beside {_rate(polite)} well-formed requests a second"),
        ("honest_under_attack", under, f"beside {_rate(attack)} malformed payments a second"),
    ):
        p50, p95 = percentile(samples, 0.5), percentile(samples, 0.95)
        made.append(Figure(name, "ms", len(samples), round(p95, 3), round(p50, 3), round(p95, 3), note))
    ratio = percentile(under, 0.95) / percentile(alone, 0.95)
    against = percentile(under, 0.95) / percentile(beside, 0.95)
    answers = f"answers by status: {attack['statuses']}, {attack['skipped']} not sent in time"
    made.append(
        Figure("malformed_headers_p95_ratio", "x", len(under), round(ratio, 2), note="under attack against alone")
    )
    made.append(
        Figure(
            "malformed_headers_p95_ratio_to_load",
            "x",
            len(under),
            round(against, 2),
            note="against as many good requests",
        )
    )
    made.append(
        Figure(
            "malformed_headers_rss_growth",
            "MiB",
            int(str(attack["answered"])),
            round(growth_bytes / MIB, 2),
            note=answers,
        )
    )
    return made


def _rate(load: dict[str, object]) -> int:
    return round(float(str(load["per_second"])))


def _say(line: str) -> None:
    print(f"bench: {line}", file=sys.stderr)
