"""Child processes that die with this one, are restarted when they die alone, and say when they are ready."""

import asyncio
import contextlib
import ctypes
import json
import os
import signal
import sys
from collections.abc import Sequence
from functools import partial
from typing import Any

import structlog

log = structlog.get_logger()

READY_SECONDS_MAX = 180.0
STOP_SECONDS_MAX = 30.0
RESTART_SECONDS = (0.1, 0.5, 1.0, 2.0, 5.0)
_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None, use_errno=True)


class ChildFailedError(Exception):
    """A child did not become ready."""


def _die_with_parent(parent: int) -> None:
    """In the child, before exec: the kernel kills it when we die, however we die."""
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != parent:  # it died before we asked
        os._exit(1)


class Child:
    """One supervised process. Its first line on stdout is JSON and says that it is ready."""

    def __init__(self, name: str, argv: Sequence[str], environment: dict[str, str]) -> None:
        self.name = name
        self._argv = argv
        self._environment = environment
        self._process: asyncio.subprocess.Process | None = None
        self._watch: asyncio.Task[None] | None = None
        self._drain: asyncio.Task[None] | None = None
        self._is_stopping = False
        self.restarts = 0

    @property
    def pid(self) -> int | None:
        """The process id, while there is one."""
        return self._process.pid if self._process is not None else None

    async def start(self) -> dict[str, Any]:
        """Start it and wait until it is ready; afterwards it is kept running."""
        await self.launch()
        return await self.ready()

    async def ready(self) -> dict[str, Any]:
        """Wait until a launched one is ready; afterwards it is kept running."""
        ready = await self._until_ready()
        self._watch = asyncio.create_task(self._keep(), name=f"keep {self.name}")
        return ready

    async def launch(self) -> None:
        """Start the process without waiting. The caller then waits for `ready`, and stops it if that fails."""
        self._process = await asyncio.create_subprocess_exec(
            *self._argv,
            env=self._environment,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            preexec_fn=partial(_die_with_parent, os.getpid()),
            start_new_session=True,  # Ctrl-C is ours to handle: children end in order
        )

    async def _until_ready(self) -> dict[str, Any]:
        assert self._process is not None
        assert self._process.stdout is not None
        try:
            async with asyncio.timeout(READY_SECONDS_MAX):
                line = await self._process.stdout.readline()
            ready: dict[str, Any] = json.loads(line)
        except (TimeoutError, ValueError) as error:
            await self._end(signal.SIGKILL)
            raise ChildFailedError(f"{self.name} did not become ready") from error
        if not ready.get("ready"):
            await self._end(signal.SIGKILL)
            raise ChildFailedError(f"{self.name}: {ready.get('error', 'not ready')}")
        self._drain = asyncio.create_task(_drain(self._process.stdout), name=f"drain {self.name}")
        return ready

    async def _keep(self) -> None:
        tries = 0
        while not self._is_stopping:
            assert self._process is not None
            code = await self._process.wait()
            if self._is_stopping:
                return
            log.warning("a child died and is started again", child=self.name, code=code)
            await asyncio.sleep(RESTART_SECONDS[min(tries, len(RESTART_SECONDS) - 1)])
            self.restarts += 1
            try:
                await self.launch()
                await self._until_ready()
                tries = 0
            except (ChildFailedError, OSError) as error:
                log.warning("a child does not start", child=self.name, error=str(error))
                tries += 1

    async def stop(self) -> None:
        """Ask it to end, and insist when it does not."""
        self._is_stopping = True
        await self._end(signal.SIGTERM)
        if self._watch is not None:
            self._watch.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._watch

    async def _end(self, number: signal.Signals) -> None:
        process = self._process
        if process is None or process.returncode is not None:
            return
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(number)
        try:
            async with asyncio.timeout(STOP_SECONDS_MAX):
                await process.wait()
        except TimeoutError:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()


async def _drain(stdout: asyncio.StreamReader) -> None:
    """Read the further output of a child, so that a full pipe never blocks it."""
    while await stdout.read(65_536):
        pass


def python_module(module: str, *arguments: str) -> list[str]:
    """The argument list that runs one of our modules with this Python."""
    return [sys.executable, "-m", "operations.light", module, *arguments]
