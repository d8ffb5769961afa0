"""Large things: `python -m bench.sandbox_transfer [--megabytes 1024]`. Needs root and bubblewrap.

file_in, file_out: one file through the node into a sandbox and back, beside a floor in the same run: one plain hop, an aiohttp
server on a unix socket that writes a body to disk and sends it back. wake_100mb: a start from a snapshot of 100 MB until
the first output. rss_500_sandboxes: what 500 idle sandboxes hold, in proportional shares.
"""

import argparse
import asyncio
import json
import os
import shutil
import signal
import tempfile
import time
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
from aiohttp import web

from bench.sandbox_behaviour import UID_BASE, median, node
from bench.sandbox_floor import rss_bytes, sandbox_pids
from sandboxes.client import NodeClient
from sandboxes.protocol import StartRequest, StopRequest

CHUNK = os.urandom(1 << 18)
ROUNDS = 3


def figure(name: str, unit: str, n: int, value: float, note: str = "") -> dict[str, object]:
    return {"name": name, "unit": unit, "n": n, "value": round(value, 1), "note": note}


async def body(megabytes: int) -> AsyncIterator[bytes]:
    for _ in range(megabytes * 4):
        yield CHUNK


async def drained(chunks: AsyncIterator[bytes]) -> int:
    total = 0
    async for chunk in chunks:
        total += len(chunk)
    return total


class Floor:
    """One plain hop."""

    def __init__(self, folder: Path) -> None:
        self._socket, self.file = folder / "floor.sock", folder / "floor.bin"
        app = web.Application(client_max_size=1 << 34)
        app.add_routes([web.put("/", self._put), web.get("/", self._get)])
        self._runner = web.AppRunner(app, access_log=None)

    async def open(self) -> aiohttp.ClientSession:
        await self._runner.setup()
        await web.UnixSite(self._runner, str(self._socket)).start()
        return aiohttp.ClientSession(connector=aiohttp.UnixConnector(str(self._socket)), read_bufsize=4 << 20)

    async def close(self) -> None:
        await self._runner.cleanup()

    async def _put(self, request: web.Request) -> web.Response:
        with self.file.open("wb", buffering=0) as file:
            async for chunk in request.content.iter_chunked(1 << 18):
                file.write(chunk)
        return web.Response()

    async def _get(self, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Length": str(self.file.stat().st_size)})
        await response.prepare(request)
        with self.file.open("rb", buffering=0) as file:
            while chunk := file.read(1 << 18):
                await response.write(chunk)
        return response


async def transfers(client: NodeClient, folder: Path, megabytes: int) -> list[dict[str, object]]:
    floor, seconds = Floor(folder), {name: [] for name in ("floor_in", "file_in", "floor_out", "file_out")}
    session = await floor.open()
    await client.start(StartRequest("files", "SPfiles", size_class="medium"))
    for _ in range(ROUNDS):
        await asyncio.to_thread(os.sync)  # what one leaves to be written to disk is not the next one's cost
        at = time.perf_counter()
        async with session.put("http://floor/", data=body(megabytes)) as answer:
            await answer.read()
        seconds["floor_in"].append(time.perf_counter() - at)
        await asyncio.to_thread(os.sync)
        at = time.perf_counter()
        await client.write_file("files", "big", body(megabytes))
        seconds["file_in"].append(time.perf_counter() - at)
        await asyncio.to_thread(os.sync)
        at = time.perf_counter()
        async with session.get("http://floor/") as answer:
            await drained(answer.content.iter_chunked(1 << 18))
        seconds["floor_out"].append(time.perf_counter() - at)
        at = time.perf_counter()
        assert await drained(client.stream_file("files", "big")) == megabytes << 20
        seconds["file_out"].append(time.perf_counter() - at)
        await client.delete_file("files", "big")  # each round brings a new file: replacing one also writes it to disk
        floor.file.unlink()
    await client.stop(StopRequest("files", snapshot=False))
    await session.close()
    await floor.close()
    speed = {name: megabytes / median(taken) for name, taken in seconds.items()}
    share = {way: 100 * speed[f"file_{way}"] / speed[f"floor_{way}"] for way in ("in", "out")}
    return [
        *(figure(f"file_{way}_mb_s", "MB/s", ROUNDS, speed[f"file_{way}"], f"{megabytes} MiB, a new file each round")
          for way in share),
        *(figure(f"file_{way}_over_hop", "%", ROUNDS, share[way], f"of one plain hop, {speed[f'floor_{way}']:.0f} MB/s")
          for way in share),
    ]  # fmt: skip


async def wakes(client: NodeClient) -> list[dict[str, object]]:
    await client.start(StartRequest("full", "SPwake", size_class="small"))
    await client.write_file("full", "work", body(100))
    stopped = await client.stop(StopRequest("full", snapshot=True))
    taken = []
    for number in range(5):
        at = time.perf_counter()
        request = StartRequest(f"wake-{number}", "SPwake", size_class="small", snapshot_digest=stopped.snapshot_digest)
        runtime = await client.start(request)
        await client.exec(runtime.runtime_id, ["/bin/true"])
        taken.append((time.perf_counter() - at) * 1000)
        await client.stop(StopRequest(runtime.runtime_id, snapshot=True))
    await client.stop(StopRequest("wake-4", snapshot=False))
    return [figure("wake_100mb", "ms", len(taken), median(taken), f"slowest {max(taken):.0f} ms")]


async def crowd(client: NodeClient, n: int) -> list[dict[str, object]]:
    before = set(sandbox_pids(UID_BASE, n + 16))
    for number in range(n):
        await client.start(StartRequest(f"idle-{number}", "SPidle", size_class="nano"))
    pids = [pid for pid in sandbox_pids(UID_BASE, n + 16) if pid not in before]
    held = rss_bytes(pids) / (1 << 20)
    return [figure(f"rss_{n}_sandboxes", "MiB", n, held, f"{held / n:.2f} MiB each, proportional set size")]


async def measure(megabytes: int, idle: int) -> list[dict[str, object]]:
    folder = Path(tempfile.mkdtemp(prefix="satbox-bench-"))
    process = await node(folder, {"slots": {"nano": idle, "small": 2, "medium": 1}, "pool": {}})
    try:
        async with NodeClient(folder / "s") as client:
            return [
                *await transfers(client, folder, megabytes), *await wakes(client), *await crowd(client, idle),
            ]  # fmt: skip
    finally:
        process.send_signal(signal.SIGTERM)
        await process.wait()
        shutil.rmtree(folder)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--megabytes", type=int, default=1024)
    parser.add_argument("--idle", type=int, default=500)
    arguments = parser.parse_args()
    for row in asyncio.run(measure(arguments.megabytes, arguments.idle)):
        print(json.dumps(row))


if __name__ == "__main__":
    main()
