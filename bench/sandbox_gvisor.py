"""The second driver's figures, without marks, and what a built image adds: `python -m bench.sandbox_gvisor [--n 20]`.

The names are those of `sandbox_floor` with `_gvisor`: create to first output from cold and from the pool, a command in a
sandbox that runs, memory of an idle one. Needs root, bubblewrap and runsc; without runsc there are no figures. With
`--image-store FOLDER` the same start is measured for each image built there, with bubblewrap, beside `base`.
"""

import argparse
import asyncio
import json
import shutil
import signal
import tempfile
import time
from pathlib import Path

from bench.sandbox_behaviour import node
from bench.sandbox_floor import row, rss_bytes, sandbox_pids
from images import ImageStore
from sandboxes.client import NodeClient
from sandboxes.protocol import StartRequest, StopRequest

UID_BASE = 0x4900_0000
IDLE = 5


async def started(client: NodeClient, name: str, size_class: str, image: str = "base") -> tuple[float, float]:
    """Milliseconds until the start is answered, and until its first command's output."""
    at = time.perf_counter()
    await client.start(StartRequest(name, "SP", size_class=size_class, image=image))
    began = (time.perf_counter() - at) * 1000
    await client.exec(name, ["/bin/echo", "hello"])
    return began, (time.perf_counter() - at) * 1000


async def stop(client: NodeClient, name: str) -> None:
    await client.stop(StopRequest(name, snapshot=False))


async def gvisor(n: int) -> list[dict[str, object]]:
    """Cold, warm, command and memory."""
    folder = Path(tempfile.mkdtemp(prefix="satbox-bench-"))
    settings = {"driver": "gvisor", "slot_uid_base": UID_BASE, "pool": {"small": 1}, "start_seconds_max": 30}
    settings["slots"] = {"medium": IDLE + 1, "small": 2}
    process = await node(folder, settings)
    starts, cold, pooled, commands = [], [], [], []
    async with NodeClient(folder / "s") as client:
        while (await client.doctor())["warm"]["small"] < 1:
            await asyncio.sleep(0.05)
        for number in range(n):
            began, took = await started(client, f"cold-{number}", "medium")
            starts.append(began)
            cold.append(took)
            await stop(client, f"cold-{number}")
            while (await client.doctor())["warm"]["small"] < 1:
                await asyncio.sleep(0.05)
            pooled.append((await started(client, f"warm-{number}", "small"))[1])
            await stop(client, f"warm-{number}")
        others = set(sandbox_pids(UID_BASE, 16))
        for number in range(IDLE):
            await started(client, f"idle-{number}", "medium")
        pids = [pid for pid in sandbox_pids(UID_BASE, 16) if pid not in others]
        each = rss_bytes(pids) / IDLE / (1 << 20)
        for _ in range(5 * n):
            at = time.perf_counter()
            await client.exec("idle-0", ["/bin/true"])
            commands.append((time.perf_counter() - at) * 1000)
        for number in range(IDLE):
            await stop(client, f"idle-{number}")
    process.send_signal(signal.SIGTERM)
    await process.wait()
    await asyncio.to_thread(shutil.rmtree, folder)
    note = "no mark; platform ptrace"
    memory: dict[str, object] = {
        "name": "rss_idle_sandbox_gvisor", "unit": "MiB", "n": IDLE, "value": round(each, 1), "note": "proportional set size",
    }  # fmt: skip
    return [
        row("create_first_output_cold_gvisor", cold, note), row("create_first_output_warm_gvisor", pooled, note),
        row("sandbox_start_gvisor", starts, note), row("warm_exec_gvisor", commands, note), memory,
    ]  # fmt: skip


async def images(store: Path, n: int) -> list[dict[str, object]]:
    """Cold starts of every built image, taken in turns with `base`, so that what else runs is shared fairly."""
    folder = Path(tempfile.mkdtemp(prefix="satbox-bench-"))
    settings = {"slot_uid_base": UID_BASE, "pool": {}, "image_store": str(store), "slots": {"medium": 1}}
    process = await node(folder, settings)
    names = ["base", *ImageStore(store).names()]
    samples: dict[str, list[float]] = {name: [] for name in names}
    async with NodeClient(folder / "s") as client:
        for number in range(n):
            for name in names:
                samples[name].append((await started(client, f"{name}-{number}", "medium", name))[1])
                await stop(client, f"{name}-{number}")
    process.send_signal(signal.SIGTERM)
    await process.wait()
    await asyncio.to_thread(shutil.rmtree, folder)
    return [row(f"create_first_output_cold_image_{name}", taken) for name, taken in samples.items()]


async def measure(n: int, store: Path | None) -> list[dict[str, object]]:
    found: list[dict[str, object]] = []
    if shutil.which("runsc") is not None:
        found += await gvisor(n)
    if store is not None:
        found += await images(store, n)
    return found


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--n", type=int, default=20)
    parser.add_argument("--image-store", type=Path, default=None)
    arguments = parser.parse_args()
    for figure in asyncio.run(measure(arguments.n, arguments.image_store)):
        print(json.dumps(figure))


if __name__ == "__main__":
    main()
