"""One whole service for every end-to-end test: `satbox up` on free ports, in a home of its own."""

import asyncio
import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from satbox.demo import own_uid_base

START_SECONDS_MAX = 300.0


@dataclass(frozen=True)
class RunningService:
    """Where a running service is."""

    home: Path
    gate_port: int
    devnet_port: int

    @property
    def gate(self) -> str:
        return f"http://127.0.0.1:{self.gate_port}"

    @property
    def devnet(self) -> str:
        return f"http://127.0.0.1:{self.devnet_port}"

    @property
    def environment(self) -> dict[str, str]:
        """For commands: where to go."""
        return {
            "SATBOX_HOME": str(self.home),
            "SATBOX_GATE__PORT": str(self.gate_port),
            "SATBOX_DEVNET__PORT": str(self.devnet_port),
        }


def _free_port() -> int:
    with socket.socket() as made:
        made.bind(("127.0.0.1", 0))
        return int(made.getsockname()[1])


@pytest.fixture(scope="session")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningService]:
    home = tmp_path_factory.mktemp("service")
    running = RunningService(home, _free_port(), _free_port())
    environment = {name: value for name, value in os.environ.items() if not name.startswith("SATBOX_")}
    log_path = home / "up.log"
    with log_path.open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-c", "from satbox.cli import main; main()", "up"],
            env=environment | running.environment | {"SATBOX_NODE": json.dumps({"slot_uid_base": own_uid_base()})},
            stdout=log, stderr=log,
        )  # fmt: skip
        try:
            _wait(running, process, log_path)
            yield running
        finally:
            process.send_signal(signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(60)
            process.kill()
            process.wait()


def _wait(running: RunningService, process: subprocess.Popen[bytes], log_path: Path) -> None:
    give_up = time.monotonic() + START_SECONDS_MAX
    while time.monotonic() < give_up:
        if process.poll() is not None:
            break
        with (
            contextlib.suppress(urllib.error.URLError, OSError),
            urllib.request.urlopen(f"{running.gate}/health", timeout=5) as answer,
        ):
            if b'"ok"' in answer.read():
                return
        asyncio.run(asyncio.sleep(0.2))
    pytest.fail(f"the service did not start:\n{log_path.read_text()[-4000:]}")
