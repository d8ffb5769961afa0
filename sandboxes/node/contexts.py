"""Code contexts: Python that keeps its variables between runs, by an IPython kernel inside.

A context is a bridge program inside (`sandboxes.guest.context_bridge`) with its kernel. Every line from it is a tenant's: it is
parsed within limits and passed on as data, and what it says about a run is never more than what a command could print.
"""

from __future__ import annotations

import asyncio
import json
import secrets
from collections import deque
from collections.abc import AsyncIterator, Callable
from importlib import resources
from typing import Any

from sandboxes.node.command_stream import CommandSpec, CommandStream, Exit
from sandboxes.node.supervisor_client import SupervisorClient
from sandboxes.protocol import BadRequest, NoCapacity, SandboxError

CONTEXTS_MAX = 8
READY_SECONDS_MAX = 90.0
INTERRUPT_SECONDS_MAX = 5.0
LINE_BYTES_MAX = 2 << 20
HELD_BYTES_MAX = 1 << 20
RUN_BYTES_MAX = 32 << 20
CODE_BYTES_MAX = 1 << 20
OUTPUT_BYTES_MAX = 1 << 50
ERROR_BYTES_MAX = 4096
_EVENTS = frozenset(("stdout", "stderr", "result", "display", "error", "done"))


class ContextUnknown(SandboxError):  # noqa: N818 - reads as what happened
    """No context has this id here (any more)."""

    code = "context_not_found"
    status = 404


class ContextUnavailable(SandboxError):  # noqa: N818 - reads as what happened
    """This image has no IPython kernel, or it did not come up."""

    code = "context_unavailable"
    status = 409


class ContextDied(SandboxError):  # noqa: N818 - reads as what happened
    """The kernel ended; its variables are gone."""

    code = "context_died"
    status = 410


class ContextBusy(SandboxError):  # noqa: N818 - reads as what happened
    """A context runs one thing after another, and something runs."""

    code = "context_busy"
    status = 409
    retryable = True


class Kernel:
    """One kernel. Runs one piece of code at a time."""

    def __init__(
        self, context_id: str, stream: CommandStream, created_at_ms: int, oom_kills: Callable[[], int] = lambda: 0
    ) -> None:
        self._oom_kills = oom_kills
        self._oom_before = oom_kills()
        self.context_id = context_id
        self.created_at_ms = created_at_ms
        self.is_dead = False
        self._stream = stream
        self._lines: deque[bytes] = deque()
        self._held_bytes = 0
        self._moved = asyncio.Event()
        self._is_ready = False
        self.reading: asyncio.Task[None] | None = None
        self._running = False
        self._number = 0
        self._errors = bytearray()

    async def read(self) -> None:
        """Cut its output into lines until it ends. An invalid line, or one that is too long, ends it."""
        pending = bytearray()
        try:
            async for item in self._stream.output():
                if isinstance(item, Exit):
                    break
                if item.stream == "stderr":
                    self._errors += item.data
                    del self._errors[:-ERROR_BYTES_MAX]
                    continue
                pending += item.data
                if len(pending) > LINE_BYTES_MAX:
                    break
                while (at := pending.find(b"\n")) >= 0:
                    line = bytes(pending[:at])
                    del pending[: at + 1]
                    await self._keep(line)
        except SandboxError:
            pass
        finally:
            self.is_dead = True
            self._stream.close()
            self._moved.set()

    async def _keep(self, line: bytes) -> None:
        """Hold a line until it is asked for, as bytes: parsed it may be thirty times as large. Of nobody's run it is dropped."""
        while self._held_bytes > HELD_BYTES_MAX and not self.is_dead:
            self._moved.clear()
            await self._moved.wait()
        if self.is_dead or (self._is_ready and not self._running):
            return
        self._lines.append(line)
        self._held_bytes += len(line)
        self._moved.set()

    async def _next(self) -> dict[str, Any]:
        while not self._lines:
            if self.is_dead:
                raise self._died()
            self._moved.clear()
            await self._moved.wait()
        line = self._lines.popleft()
        self._held_bytes -= len(line)
        self._moved.set()
        try:
            return dict(json.loads(line))
        except (ValueError, TypeError, RecursionError) as error:
            self.kill()
            raise ContextDied("what spoke for the kernel is not one; its variables are gone") from error

    def _died(self) -> ContextDied:
        """Why the kernel is gone, as far as the host can say."""
        if self._oom_kills() > self._oom_before:
            return ContextDied("the kernel was killed: the sandbox was out of memory; its variables are gone")
        return ContextDied("the kernel has ended; its variables are gone")

    async def until_ready(self) -> None:
        """Wait for the kernel. Raises ContextUnavailable."""
        try:
            async with asyncio.timeout(READY_SECONDS_MAX):
                line = await self._next()
        except TimeoutError as error:
            raise ContextUnavailable("the kernel did not start in time") from error
        except ContextDied as error:
            words = bytes(self._errors[-300:]).decode("utf-8", "replace").strip()
            raise ContextUnavailable(f"the kernel did not start: {words}") from error
        if line.get("event") == "unavailable":
            raise ContextUnavailable(f"this image has no IPython kernel: {str(line.get('message'))[:200]}")
        if line.get("event") != "ready":
            raise ContextUnavailable("what started is no kernel")
        self._is_ready = True
        self._drop()

    async def run(self, code: str, timeout_seconds: float) -> AsyncIterator[dict[str, Any]]:
        """Run code: output, results and errors as they come, and last `done` with `timed_out` and `truncated`.
        After the time is up the code is interrupted, and a kernel that will not stop is ended. Raises ContextBusy,
        ContextDied.
        """
        if self.is_dead:
            raise self._died()
        if self._running:
            raise ContextBusy("something runs in this context; wait for it, or interrupt it")
        self._running = True
        try:
            self._number += 1
            async for event in self._run(self._number, code, timeout_seconds):
                yield event
        finally:
            self._running = False
            self._drop()

    async def _run(self, number: int, code: str, timeout_seconds: float) -> AsyncIterator[dict[str, Any]]:
        await self._tell({"id": number, "code": code})
        loop = asyncio.get_running_loop()
        deadline, timed_out, left = loop.time() + timeout_seconds, False, RUN_BYTES_MAX
        finished = False
        try:
            while True:
                try:
                    async with asyncio.timeout_at(deadline):
                        line = await self._next()
                except TimeoutError:
                    if timed_out:
                        self.kill()
                        raise ContextDied("the code would not stop; the kernel was ended") from None
                    timed_out, deadline = True, loop.time() + INTERRUPT_SECONDS_MAX
                    await self.interrupt()
                    continue
                event = line.get("event")
                if line.get("id") != number or event not in _EVENTS:
                    continue
                if event == "done":
                    finished = True
                    count = line.get("execution_count")
                    yield {
                        "event": "done", "timed_out": timed_out, "truncated": left < 0 or line.get("cut") is True,
                        "execution_count": count if isinstance(count, int) else None,
                    }  # fmt: skip
                    return
                left -= len(json.dumps(line))
                if left >= 0:
                    yield {name: value for name, value in line.items() if name != "id"}
        finally:
            if not finished and not self.is_dead:
                await self.interrupt()  # the reader has left

    async def _tell(self, content: dict[str, Any]) -> None:
        try:
            await self._stream.write(json.dumps(content).encode() + b"\n")
        except (ConnectionError, OSError) as error:
            raise self._died() from error

    async def interrupt(self) -> None:
        """As ctrl-C would."""
        await self._tell({"interrupt": True})

    def kill(self) -> None:
        """End the kernel and all it started."""
        if not self.is_dead:
            self.is_dead = True
            self._stream.kill()
        if self.reading is not None:
            self.reading.cancel()
        self._drop()

    def _drop(self) -> None:
        """Forget what was said to nobody."""
        self._lines.clear()
        self._held_bytes = 0
        self._moved.set()


class Contexts:
    """The code contexts of one runtime."""

    def __init__(self, supervisor: SupervisorClient, clock_ms: Callable[[], int], oom_kills: Callable[[], int]) -> None:
        self._supervisor = supervisor
        self._oom_kills = oom_kills
        self._clock_ms = clock_ms
        self._known: dict[str, Kernel] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._starting = 0

    async def create(self, python: str, environment: dict[str, str], cwd: str) -> Kernel:
        """Start a kernel; answers when it takes code. Raises NoCapacity, ContextUnavailable."""
        self._known = {key: context for key, context in self._known.items() if not context.is_dead}
        if len(self._known) + self._starting >= CONTEXTS_MAX:
            raise NoCapacity(f"a sandbox has up to {CONTEXTS_MAX} code contexts", retry_after_seconds=1.0)
        self._starting += 1
        try:
            return await self._create(python, environment, cwd)
        finally:
            self._starting -= 1

    async def _create(self, python: str, environment: dict[str, str], cwd: str) -> Kernel:
        source = resources.files("sandboxes.guest").joinpath("context_bridge.py").read_text()
        spec = CommandSpec(
            [python, "-c", source], environment, cwd, None, 0.0, OUTPUT_BYTES_MAX, interactive=True
        )  # fmt: skip
        stream = await self._supervisor.open_command(spec)
        try:
            await stream.started()
        except BaseException:
            stream.close()
            raise
        context = Kernel("c_" + secrets.token_hex(6), stream, self._clock_ms(), self._oom_kills)
        task = asyncio.get_running_loop().create_task(context.read())
        context.reading = task
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        try:
            await context.until_ready()
        except BaseException:
            context.kill()
            raise
        self._known[context.context_id] = context
        return context

    def all(self) -> list[Kernel]:
        """Those whose kernel lives."""
        return [context for context in self._known.values() if not context.is_dead]

    def get(self, context_id: str) -> Kernel:
        """One by id. Raises ContextUnknown."""
        context = self._known.get(context_id)
        if context is None:
            raise ContextUnknown(f"no context {context_id} in this sandbox")
        return context

    def forget(self, context_id: str) -> None:
        """End it. Raises ContextUnknown."""
        self.get(context_id).kill()
        del self._known[context_id]

    async def close(self) -> None:
        """The runtime is over."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


def check_code(code: str) -> None:
    """Raises BadRequest for code that is too long."""
    if len(code.encode("utf-8", "surrogatepass")) > CODE_BYTES_MAX:
        raise BadRequest(f"code over {CODE_BYTES_MAX} bytes; write it to a file and run that")
