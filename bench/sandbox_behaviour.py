"""How sandboxes behave, in figures: `python bench/sandbox_behaviour.py [--rounds 20]`. Needs root and bubblewrap.

burst: creates at once from a pool of the same size, and from cold. idle: memory and processor time of sandboxes that do
nothing. oom: what a memory bomb gets and what is left. destroy: stop of a sandbox full of processes, and what is left.
neighbour: a fixed piece of work beside an idle machine and beside a sandbox at its worst, alternating.
"""

import argparse
import asyncio
import json
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path

from bench.sandbox_floor import rss_bytes, sandbox_pids
from sandboxes.client import NodeClient
from sandboxes.protocol import StartRequest, StopRequest

UID_BASE = 0x4800_0000
IDLE_SECONDS = 5.0
WORK = "x = 0\nfor i in range(1_500_000): x += i\nprint(x)"
BOMBS = {
    "cpu": "while True: pass",
    "memory": "while True:\n try: x = b'x' * (1 << 26)\n except MemoryError: pass",
    "fork": "import os\nwhile True:\n try: os.fork()\n except OSError: pass",
}


def median(samples: list[float]) -> float:
    return sorted(samples)[len(samples) // 2]


def figure(name: str, unit: str, n: int, value: float, note: str = "") -> dict[str, object]:
    return {"name": name, "unit": unit, "n": n, "value": round(value, 2), "note": note}


def cpu_seconds(pids: list[int]) -> float:
    total = 0
    for pid in pids:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        total += int(fields[11]) + int(fields[12])
    return total / 100


async def node(folder: Path, settings: dict[str, object]) -> asyncio.subprocess.Process:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "sandboxes.node", "--socket", str(folder / "s"), "--state", str(folder / "state"),
        "--settings-json", json.dumps({"slot_uid_base": UID_BASE, **settings}),
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    assert process.stdout is not None
    assert json.loads(await process.stdout.readline())["ready"]
    return process


async def burst(client: NodeClient, name: str, size_class: str, n: int) -> list[float]:
    async def one(number: int) -> float:
        at = time.perf_counter()
        await client.start(StartRequest(f"{name}-{number}", f"SP{number}", size_class=size_class))
        await client.exec(f"{name}-{number}", ["/bin/echo", "x"])
        return (time.perf_counter() - at) * 1000

    times = await asyncio.gather(*(one(number) for number in range(n)))
    await asyncio.gather(*(client.stop(StopRequest(f"{name}-{number}", snapshot=False)) for number in range(n)))
    return list(times)


async def idle(client: NodeClient, n: int) -> list[dict[str, object]]:
    for number in range(n):
        await client.start(StartRequest(f"idle-{number}", "SP", size_class="nano"))
    pids = sandbox_pids(UID_BASE, n)
    before = cpu_seconds(pids)
    await asyncio.sleep(IDLE_SECONDS)
    used = (cpu_seconds(pids) - before) / IDLE_SECONDS / n
    each = rss_bytes(pids) / n / (1 << 20)
    await asyncio.gather(*(client.stop(StopRequest(f"idle-{number}", snapshot=False)) for number in range(n)))
    return [
        figure("idle_memory", "MiB", n, each, "proportional set size, supervisor and bubblewrap"),
        figure("idle_cpu", "% of a core", n, used * 100, f"over {IDLE_SECONDS:.0f} s, in ticks of 10 ms"),
    ]


async def ends(client: NodeClient, rounds: int) -> list[dict[str, object]]:
    oom_ms, destroy_ms, verdicts = [], [], set()
    for number in range(rounds):
        rid = f"end-{number}"
        await client.start(StartRequest(rid, "SP", size_class="nano"))
        at = time.perf_counter()
        result = await client.exec(rid, ["python3", "-c", "x = b'x' * (1 << 30)"])
        oom_ms.append((time.perf_counter() - at) * 1000)
        alive = (await client.exec(rid, ["echo", "alive"]))["stdout"] == "alive\n"
        verdicts.add((result["oom_killed"], result["signal"], result["evidence"], alive))
        await client.exec(rid, "for i in $(seq 40); do setsid sleep 1000 & done; true")
        slots = len(sandbox_pids(UID_BASE, 200))
        at = time.perf_counter()
        await client.stop(StopRequest(rid, snapshot=False))
        destroy_ms.append((time.perf_counter() - at) * 1000)
        left = len(sandbox_pids(UID_BASE, 200))
        verdicts.add(("processes before and after", slots > 40, left))
    return [
        figure("oom_to_answer", "ms", rounds, median(oom_ms), str(sorted(map(str, verdicts)))),
        figure("destroy_40_processes", "ms", rounds, median(destroy_ms), "until nothing of it is left on the host"),
    ]


async def neighbour(client: NodeClient, rounds: int) -> list[dict[str, object]]:
    figures = []
    await client.start(StartRequest("worker", "SP1", size_class="small"))

    async def work() -> float:
        at = time.perf_counter()
        await client.exec("worker", ["python3", "-c", WORK])
        return time.perf_counter() - at

    for name, bomb in BOMBS.items():
        alone, beside = [], []
        for number in range(rounds):
            alone.append(await work())
            rid = f"bomb-{name}-{number}"
            await client.start(StartRequest(rid, "SP2", size_class="nano"))
            running = asyncio.ensure_future(client.exec(rid, ["python3", "-c", bomb], timeout_seconds=60))
            await asyncio.sleep(0.1)
            beside.append(await work())
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
            await client.stop(StopRequest(rid, snapshot=False))
        cost = (median(beside) / median(alone) - 1) * 100
        figures.append(figure(f"neighbour_cost_{name}", "%", rounds, cost, "median of alternating runs"))
    await client.stop(StopRequest("worker", snapshot=False))
    return [*figures, await neighbour_floor(rounds)]


async def neighbour_floor(rounds: int) -> dict[str, object]:
    """The same two programs without any sandbox, on processors of their own: what sharing this machine's cores costs."""

    async def work() -> float:
        at = time.perf_counter()
        process = await asyncio.create_subprocess_exec(
            "taskset", "-c", "0", "python3", "-c", WORK, stdout=asyncio.subprocess.DEVNULL
        )
        await process.wait()
        return time.perf_counter() - at

    alone, beside = [], []
    for _ in range(rounds):
        alone.append(await work())
        spinning = await asyncio.create_subprocess_exec("taskset", "-c", "1", "python3", "-c", BOMBS["cpu"])
        await asyncio.sleep(0.1)
        beside.append(await work())
        spinning.kill()
        await spinning.wait()
    cost = (median(beside) / median(alone) - 1) * 100
    return figure("neighbour_floor", "%", rounds, cost, "plain processes, each on a processor of its own")


async def measure(rounds: int, n: int) -> list[dict[str, object]]:
    folder = Path(tempfile.mkdtemp(prefix="satbox-bench-"))
    settings = {"slots": {"nano": n, "small": n}, "pool": {"small": n}, "pool_memory_bytes_max": 4 << 30}
    process = await node(folder, settings)
    figures = []
    async with NodeClient(folder / "s") as client:
        while (await client.doctor())["warm"]["small"] < n:
            await asyncio.sleep(0.05)
        warm = await burst(client, "warm", "small", n)
        figures.append(
            figure(f"burst_{n}_median", "ms", n, median(warm), f"from a pool of {n}; slowest {max(warm):.0f} ms")
        )
    process.send_signal(signal.SIGTERM)
    await process.wait()
    process = await node(folder, {**settings, "pool": {}})
    async with NodeClient(folder / "s") as client:
        cold = await burst(client, "cold", "nano", n)
        figures.append(figure(f"burst_{n}_cold_median", "ms", n, median(cold), f"slowest {max(cold):.0f} ms"))
        figures += await idle(client, n)
        figures += await ends(client, 5)
        figures += await neighbour(client, rounds)
    process.send_signal(signal.SIGTERM)
    await process.wait()
    shutil.rmtree(folder)
    return figures


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--n", type=int, default=100)
    arguments = parser.parse_args()
    for row in asyncio.run(measure(arguments.rounds, arguments.n)):
        print(json.dumps(row))


if __name__ == "__main__":
    main()
