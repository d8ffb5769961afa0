"""How long `satbox up` takes to be ready on the embedded devnet, and what the command line costs beside it."""

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import time

from bench.figures import Figure, latency
from satbox.demo import free_ports

COMMAND = (sys.executable, "-c", "from satbox.cli import main; main()")
READY_SECONDS_MAX = 300.0


async def figures(*, quick: bool) -> list[Figure]:
    """All of them."""
    starts, samples = (2, 5) if quick else (5, 20)
    with tempfile.TemporaryDirectory(prefix="sbst") as folder:
        gate_port, devnet_port = free_ports(2)
        environment = {name: value for name, value in os.environ.items() if not name.startswith("SATBOX_")} | {
            "SATBOX_HOME": folder,
            "SATBOX_GATE__PORT": str(gate_port),
            "SATBOX_DEVNET__PORT": str(devnet_port),
        }
        took = []
        for _ in range(starts - 1):
            process, seconds = await asyncio.to_thread(_up, environment)
            took.append(seconds)
            await asyncio.to_thread(_end, process)
        process, seconds = await asyncio.to_thread(_up, environment)
        took.append(seconds)
        try:
            await asyncio.to_thread(_make_an_agent, environment)
            status = await asyncio.to_thread(_cpu_ms, [*COMMAND, "status"], environment, samples)
            floor = await asyncio.to_thread(_cpu_ms, [sys.executable, "-c", "pass"], environment, samples)
        finally:
            await asyncio.to_thread(_end, process)
    return [
        latency("up_ready", [each * 1000 for each in took], note="`satbox up` to its ready line, embedded devnet"),
        latency("status_cpu", status, note="CPU of `satbox status` with a kept pass"),
        latency("python_cpu", floor, note="CPU of an interpreter that does nothing: the floor"),
    ]


def _up(environment: dict[str, str]) -> tuple["subprocess.Popen[str]", float]:
    began = time.monotonic()
    process = subprocess.Popen(
        [*COMMAND, "up"], env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )
    assert process.stderr is not None
    for line in process.stderr:
        if line.startswith("satbox: ready:"):
            return process, time.monotonic() - began
        if time.monotonic() - began > READY_SECONDS_MAX:
            break
    process.kill()
    raise RuntimeError("satbox up did not become ready")


def _end(process: "subprocess.Popen[str]") -> None:
    process.send_signal(signal.SIGTERM)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.communicate(timeout=60)
    process.kill()
    process.wait()


def _make_an_agent(environment: dict[str, str]) -> None:
    for verb in ("keygen", "register", "faucet", "prove"):
        subprocess.run([*COMMAND, verb], env=environment, check=True, stdout=subprocess.DEVNULL)
    subprocess.run([*COMMAND, "create", "--sats", "100"], env=environment, check=True, stdout=subprocess.DEVNULL)


def _cpu_ms(command: list[str], environment: dict[str, str], samples: int) -> list[float]:
    """CPU of a process and all it waited for, user and system."""
    found = []
    for _ in range(samples):
        pid = os.posix_spawn(
            command[0], command, environment, file_actions=[(os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0)]
        )
        _, status, usage = os.wait4(pid, 0)
        if status:
            raise RuntimeError(f"{command} ended with {status}")
        found.append((usage.ru_utime + usage.ru_stime) * 1000)
    return found
