"""Sandbox figures beside their floor, in one run: `python bench/sandbox_floor.py [--n 50]`. Needs root and bubblewrap.

floor: bare bubblewrap with the same namespaces and Python printing a line, nothing prepared, no limits.
cold: NodeClient.start to the first output of a command; warm: the same with a slot of the warm pool. warm_exec: one more
command in a sandbox that runs.
"""

import argparse
import asyncio
import json
import os
import platform
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from sandboxes.client import NodeClient
from sandboxes.protocol import StartRequest, StopRequest

FLOOR = [
    "bwrap", "--unshare-all", "--die-with-parent", "--ro-bind", "/usr", "/usr", "--symlink", "usr/bin", "/bin",
    "--symlink", "usr/lib", "/lib", "--symlink", "usr/lib64", "/lib64", "--proc", "/proc", "--dev", "/dev", "--",
    "/usr/bin/python3", "-I", "-S", "-E", "-c", "print('hello')",
]  # fmt: skip


def row(name: str, samples_ms: list[float], note: str = "") -> dict[str, object]:
    ordered = sorted(samples_ms)
    p50, p95 = ordered[len(ordered) // 2], ordered[int(len(ordered) * 0.95)]
    figures = {"n": len(ordered), "p50": round(p50, 2), "p95": round(p95, 2), "value": round(p50, 2)}
    return {"name": name, "unit": "ms", **figures, "note": note}


def rss_bytes(pids: list[int]) -> int:
    """Proportional share: what these processes cost, shared pages counted once between them."""
    total = 0
    for pid in pids:
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                total += int(line.split()[1]) * 1024
    return total


def sandbox_pids(uid_base: int, slots: int) -> list[int]:
    found = []
    for status in Path("/proc").glob("[0-9]*/status"):
        try:
            uid = int(status.read_text().partition("\nUid:\t")[2].split()[0])
        except OSError:
            continue
        if uid_base <= uid < uid_base + slots * 65_536:
            found.append(int(status.parent.name))
    return found


async def measure(n: int, idle: int) -> list[dict[str, object]]:
    folder = Path(tempfile.mkdtemp(prefix="satbox-bench-"))
    settings = {
        "slots": {"nano": idle + 1, "small": 4, "medium": 1},
        "pool": {"small": 2},
        "slot_uid_base": 0x4000_0000,
    }
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "sandboxes.node", "--socket", str(folder / "s"), "--state", str(folder / "state"),
        "--settings-json", json.dumps(settings), stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    assert process.stdout is not None
    assert json.loads(await process.stdout.readline())["ready"]
    floor, cold, started, stop, warm, pooled, taken = [], [], [], [], [], [], []
    async with NodeClient(folder / "s") as client:
        for number in range(n):
            at = time.perf_counter()
            subprocess.run(FLOOR, check=True, capture_output=True)  # noqa: ASYNC221 - nothing else runs meanwhile
            floor.append((time.perf_counter() - at) * 1000)
            at = time.perf_counter()
            runtime = await client.start(StartRequest(f"cold-{number}", "SP", size_class="nano"))
            started.append((time.perf_counter() - at) * 1000)
            await client.exec(runtime.runtime_id, ["/bin/echo", "hello"])
            cold.append((time.perf_counter() - at) * 1000)
            at = time.perf_counter()
            await client.stop(StopRequest(runtime.runtime_id, snapshot=True))
            stop.append((time.perf_counter() - at) * 1000)
            while (await client.doctor())["warm"]["small"] < 2:
                await asyncio.sleep(0.01)
            at = time.perf_counter()
            runtime = await client.start(StartRequest(f"warm-{number}", "SP", size_class="small"))
            taken.append((time.perf_counter() - at) * 1000)
            await client.exec(runtime.runtime_id, ["/bin/echo", "hello"])
            pooled.append((time.perf_counter() - at) * 1000)
            await client.stop(StopRequest(runtime.runtime_id, snapshot=False))
            while (await client.doctor())["warm"]["small"] < 2:
                await asyncio.sleep(0.01)
        others = set(sandbox_pids(0x4000_0000, idle + 8))
        await client.start(StartRequest("warm", "SP", size_class="medium"))
        for _ in range(max(200, n)):
            at = time.perf_counter()
            await client.exec("warm", ["/bin/true"])
            warm.append((time.perf_counter() - at) * 1000)
        for number in range(idle):
            await client.start(StartRequest(f"idle-{number}", "SP", size_class="nano"))
        pids = [pid for pid in sandbox_pids(0x4000_0000, idle + 8) if pid not in others]
        each = rss_bytes(pids) / (idle + 1) / (1 << 20)
    process.send_signal(signal.SIGTERM)
    await process.wait()
    shutil.rmtree(folder)
    note = f"{platform.release()}, {os.cpu_count()} cores"
    memory = {
        "name": "rss_idle_sandbox",
        "unit": "MiB",
        "n": idle + 1,
        "value": round(each, 2),
        "note": "proportional set size",
    }
    return [
        row("sandbox_floor", floor, note), row("create_first_output_cold", cold),
        row("create_first_output_warm", pooled), row("sandbox_start_warm", taken), row("sandbox_start", started),
        row("sandbox_stop_snapshot", stop), row("warm_exec", warm, "through HTTP, not throttled by its share"), memory,
    ]  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--n", type=int, default=50)
    parser.add_argument("--idle", type=int, default=20)
    arguments = parser.parse_args()
    for figure in asyncio.run(measure(arguments.n, arguments.idle)):
        print(json.dumps(figure))


if __name__ == "__main__":
    main()
