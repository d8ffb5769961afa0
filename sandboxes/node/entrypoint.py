"""What an image starts by itself, as background process of its runtime: begun, restarted by policy, waited for."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Mapping

import structlog

from images import Entrypoint, ImageDefinition, Readiness
from sandboxes.node.command_stream import CommandSpec, Exit
from sandboxes.node.connection import GuestRefused
from sandboxes.node.processes import Ended, Process, ProcessEnded, Processes
from sandboxes.node.supervisor_client import SupervisorClient
from sandboxes.protocol import CANNOT_RUN, NodeUnavailable, RuntimeGone, SandboxError, StartFailed

LOG_BYTES_MAX = 1 << 40  # by the process; what is kept of it is the log's window


class RestartPlan:
    """Decides from how a process ended, and how long it lasted, when the next one starts."""

    def __init__(self, entrypoint: Entrypoint) -> None:
        self._entrypoint = entrypoint
        self._short_lives = 0

    def wait_seconds(self, *, succeeded: bool, lasted_seconds: float) -> float | None:
        """Seconds until the next start; None when there is none."""
        entrypoint = self._entrypoint
        if entrypoint.restart == "never" or (entrypoint.restart == "on-failure" and succeeded):
            return None
        if lasted_seconds >= entrypoint.settled_seconds:
            self._short_lives = 0
        self._short_lives += 1
        if self._short_lives > entrypoint.restarts_max:
            return None
        # The exponent is bounded: 2.0 ** 1000 is past what a float holds.
        doubled: float = entrypoint.backoff_seconds * 2.0 ** min(self._short_lives - 1, 30)
        return min(entrypoint.backoff_seconds_max, doubled)


_START = r"""[ -e .satbox/start ] || [ -L .satbox/start ] || exit 0
no() { echo "satbox: .satbox/start cannot be run: $2" >&2; exit "$1"; }
[ -f .satbox/start ] || no 126 "it is not a file"
[ -x .satbox/start ] || no 126 "it is not executable; make it so: chmod +x .satbox/start"
line=$(head -c 512 .satbox/start 2>/dev/null | tr -d '\000' | head -n 1)
case $line in '#!'*) ;; *) exec .satbox/start;; esac
case $line in *"$(printf '\r')") no 127 "its first line ends with a carriage return; save it with Unix line ends";; esac
set -f; set -- ${line#??}
[ -z "$1" ] || [ -x "$1" ] || no 127 "the program of its first line does not exist: $1"
exec .satbox/start"""
FROM_WORKSPACE = Entrypoint(argv=("/bin/sh", "-c", _START))
"""The executable in the workspace that runs at each start of the sandbox. A new workspace has none."""


class ImageStart:
    """The entrypoint and the readiness of one runtime's image. `close` ends the restarts, not the process."""

    def __init__(
        self, definition: ImageDefinition, processes: Processes, supervisor: SupervisorClient,
        environment: Mapping[str, str], on_end: Callable[[Process], None] | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:  # fmt: skip
        self._definition = definition
        self._processes = processes
        self._supervisor = supervisor
        self._environment = environment
        self._on_end = on_end
        self._sleep = sleep
        self._task: asyncio.Task[None] | None = None

    async def begin(self) -> None:
        """Start the entrypoint and wait for readiness, where the image has them. Raises StartFailed
        (`image_not_ready`, `entrypoint_failed`).
        """
        entrypoint, readiness = self._definition.entrypoint, self._definition.readiness
        try:
            if entrypoint is not None:
                process = await self._start(entrypoint)
                self._task = asyncio.get_running_loop().create_task(self._keep_running(entrypoint, process))
            if readiness is not None:
                await self._until_ready(readiness)
        except (GuestRefused, NodeUnavailable, RuntimeGone) as error:
            raise StartFailed("entrypoint_failed", str(error)[:300], retryable=True) from error

    async def close(self) -> None:
        """No more restarts."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _start(self, entrypoint: Entrypoint) -> Process:
        argv, environment = list(entrypoint.argv), self._environment
        spec = CommandSpec(argv, environment, entrypoint.cwd, limit_bytes=LOG_BYTES_MAX, interactive=True)
        process = await self._processes.start(spec)
        with contextlib.suppress(ProcessEnded):
            process.end_input()
        return process

    async def _keep_running(self, entrypoint: Entrypoint, process: Process) -> None:
        log = structlog.get_logger()
        loop = asyncio.get_running_loop()
        plan = RestartPlan(entrypoint)
        while True:
            began = loop.time()
            ended = await process.wait_ended()
            if entrypoint is FROM_WORKSPACE and ended.exit is not None and ended.exit.exit_code in CANNOT_RUN:
                log.warning("entrypoint.cannot_run", path=".satbox/start", exit_code=ended.exit.exit_code)
                self._gave_up(process)
                return
            wait = plan.wait_seconds(succeeded=_succeeded(ended), lasted_seconds=loop.time() - began)
            if wait is None:
                log.info("entrypoint.ended", image=self._definition.name, succeeded=_succeeded(ended))
                self._gave_up(process)
                return
            await self._sleep(wait)
            try:
                process = await self._start(entrypoint)
            except SandboxError as error:  # the sandbox ends, or is full of the tenant's own processes
                log.warning("entrypoint.not_restarted", image=self._definition.name, reason=str(error)[:200])
                return

    def _gave_up(self, process: Process) -> None:
        if self._on_end is not None:
            self._on_end(process)

    async def _until_ready(self, readiness: Readiness) -> None:
        last = "it never answered"
        try:
            async with asyncio.timeout(readiness.timeout_seconds):
                while True:
                    last = await self._probe(readiness)
                    if not last:
                        return
                    await self._sleep(readiness.interval_seconds)
        except TimeoutError:
            image, seconds = self._definition.name, readiness.timeout_seconds
            message = f"image {image} was not ready within {seconds:g} s: {last}"
            raise StartFailed("image_not_ready", message, retryable=True) from None

    async def _probe(self, readiness: Readiness) -> str:
        """Why it is not ready; empty when it is."""
        spec = CommandSpec(list(readiness.argv), self._environment, "/", None, readiness.timeout_seconds, 0)
        async for item in self._supervisor.execute(spec):
            if isinstance(item, Exit):
                return "" if item.exit_code == 0 else f"its probe ended with {_how(item)}"
        return "its probe did not end"


def _succeeded(ended: Ended) -> bool:
    return ended.exit is not None and ended.exit.exit_code == 0


def _how(ended: Exit) -> str:
    if ended.start_error:
        return "no start"  # the guest's own words stay inside
    return f"signal {ended.signal}" if ended.signal is not None else f"exit code {ended.exit_code}"
