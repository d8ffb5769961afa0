"""Background processes of one runtime: started, listed, followed, waited for, signalled; left alone by who leaves.

A process is a command whose connection to the supervisor is held by the node instead of by a request. It ends with its
runtime. Output is kept in a window (`process_log`); a process that writes faster than `log_bytes_per_second` is slowed down by
its own full pipe, so that a flood costs the flooder.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass

from sandboxes.node.command_stream import CommandSpec, CommandStream, Exit
from sandboxes.node.process_log import ProcessLog
from sandboxes.node.supervisor_client import SupervisorClient
from sandboxes.protocol import NoCapacity, SandboxError

PROCESSES_MAX = 64
LOG_BYTES_MAX = 1 << 20
LOGS_BYTES_MAX = 16 << 20
"""Of all processes of a sandbox together; the largest log gives way."""
LOG_BYTES_PER_SECOND = 16 << 20
SIGHUP, SIGKILL = 1, 9
HANG_UP_SECONDS = 2.0
"""How long a process that hangs up may take, before it is killed."""
FOLLOW_PAUSE_SECONDS = 0.02


class ProcessUnknown(SandboxError):  # noqa: N818 - reads as what happened
    """No process has this id here (any more)."""

    code = "process_not_found"
    status = 404


class ProcessEnded(SandboxError):  # noqa: N818 - reads as what happened
    """The process has ended; there is nothing to signal or to write to."""

    code = "process_ended"
    status = 409


@dataclass(frozen=True, slots=True)
class Ended:
    """How a process ended: its report, or `broken` when nobody knows."""

    exit: Exit | None
    oom_killed: bool
    broken: str = ""


class Process:
    """One background process. Its log stays after it has ended, until it is forgotten or its runtime ends."""

    def __init__(
        self, process_id: str, spec: CommandSpec, stream: CommandStream, pid: int, started_at_ms: int,
        unattended_seconds: float = 0,
    ) -> None:  # fmt: skip
        """`unattended_seconds`: end it once nobody has been attached for so long; 0 keeps it running."""
        self.process_id = process_id
        self.spec = spec
        self.pid = pid
        self.started_at_ms = started_at_ms
        self.ended: Ended | None = None
        self.log = ProcessLog(LOG_BYTES_MAX)
        self._stream = stream
        self._changed = asyncio.Event()
        self._unattended_seconds = unattended_seconds
        self._attached = 0
        self._ending: asyncio.TimerHandle | None = None
        self._await_somebody()

    @contextlib.contextmanager
    def attended(self) -> Iterator[None]:
        """While somebody is attached."""
        self._attached += 1
        self._stop_clock()
        try:
            yield
        finally:
            self._attached -= 1
            self._await_somebody()

    def _await_somebody(self) -> None:
        if self._unattended_seconds and not self._attached and self.ended is None:
            self._ending = asyncio.get_running_loop().call_later(self._unattended_seconds, self._hang_up)

    def _hang_up(self) -> None:
        """As a terminal does whose user is gone: SIGHUP, which a shell passes on, then SIGKILL for all that is left."""
        if self.ended is None:
            self._stream.signal(SIGHUP)
            self._ending = asyncio.get_running_loop().call_later(HANG_UP_SECONDS, self.kill)

    def _stop_clock(self) -> None:
        if self._ending is not None:
            self._ending.cancel()
            self._ending = None

    async def follow(self, oom_kills: Callable[[], int], kept: Callable[[], None] = lambda: None) -> None:
        """Read its output until it ends; `kept` is called when there is more of it. Never raises: what goes wrong becomes part
        of how it ended.
        """
        loop = asyncio.get_running_loop()
        oom_before = oom_kills()
        began, written = loop.time(), 0
        try:
            async for item in self._stream.output():
                if isinstance(item, Exit):
                    self.ended = Ended(item, oom_kills() > oom_before)
                    break
                self.log.append(item.stream, item.data)
                kept()
                written += len(item.data)
                self._notify()
                ahead = written / LOG_BYTES_PER_SECOND - (loop.time() - began)
                if ahead > 0:
                    await asyncio.sleep(ahead)
                elif ahead < -1:
                    began, written = loop.time(), 0  # quiet times buy no later flood
        except SandboxError as error:
            self.ended = Ended(None, oom_kills() > oom_before, error.code)
            if error.code == "stream_broken":
                raise
        finally:
            self.ended = self.ended or Ended(None, False, "node_stopping")
            self._stop_clock()
            self._stream.close()
            self._notify()

    def _notify(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()

    async def changed(self) -> None:
        """Something was written, or it ended, since the call."""
        await self._changed.wait()

    def _running(self) -> CommandStream:
        if self.ended is not None:
            raise ProcessEnded("the process has ended")
        return self._stream

    def signal(self, number: int) -> None:
        """Signal its process group. Raises ProcessEnded."""
        self._running().signal(number)

    def kill(self) -> None:
        """End it and all it started. Its end is still reported."""
        if self.ended is None:
            self._stream.kill()

    def resize(self, rows: int, columns: int) -> None:
        """Tell its terminal the size. Raises ProcessEnded."""
        self._running().resize(rows, columns)

    async def write(self, data: bytes) -> None:
        """Send it input, at the pace it reads. Raises ProcessEnded."""
        try:
            await self._running().write(data)
        except (ConnectionError, OSError) as error:
            raise ProcessEnded("the process no longer takes input") from error

    def end_input(self) -> None:
        """No more input. Raises ProcessEnded."""
        self._running().end_input()

    async def wait_ended(self) -> Ended:
        """Wait until it has ended."""
        while self.ended is None:
            await self.changed()
        return self.ended

    async def wait_text(self, text: bytes, after: int) -> int | None:
        """Wait until it has written `text` after a cursor: the cursor behind it, or None when it ends without."""
        while True:
            found = self.log.find(text, after)
            if found is not None or self.ended is not None:
                return found
            after = max(after, self.log.end - len(text) + 1)
            await self.changed()

    async def read(self, after: int, bytes_max: int) -> AsyncIterator[tuple[str, bytes, int, int]]:
        """Follow the log from a cursor: (stream, data, next cursor, bytes lost before it), until all is read and it ended."""
        while True:
            pieces, cursor, lost = self.log.read(after, bytes_max)
            for piece in pieces:
                yield piece.stream, piece.data, piece.end, lost
                lost = 0
            after = cursor
            if pieces:
                continue
            if self.ended is not None:
                return
            await self.changed()
            await asyncio.sleep(FOLLOW_PAUSE_SECONDS)  # many small writes are sent together


class Processes:
    """The background processes of one runtime."""

    def __init__(
        self, supervisor: SupervisorClient, clock_ms: Callable[[], int], oom_kills: Callable[[], int],
        distrust: Callable[[], contextlib.AbstractContextManager[None]],
    ) -> None:  # fmt: skip
        self._supervisor = supervisor
        self._clock_ms = clock_ms
        self._oom_kills = oom_kills
        self._distrust = distrust
        self._known: dict[str, Process] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._starting = 0

    def __iter__(self) -> Iterator[Process]:
        return iter(list(self._known.values()))

    @property
    def running(self) -> int:
        """How many run or are being started."""
        return sum(process.ended is None for process in self._known.values()) + self._starting

    async def start(self, spec: CommandSpec, unattended_seconds: float = 0) -> Process:
        """Start a process. Raises NoCapacity when too many run; ended ones make room, the oldest first."""
        if self.running >= PROCESSES_MAX:
            raise NoCapacity(f"a sandbox runs up to {PROCESSES_MAX} background processes", retry_after_seconds=1.0)
        self._starting += 1
        try:
            with self._distrust():
                stream = await self._supervisor.open_command(spec)
                try:
                    pid = await stream.started()
                except BaseException:
                    stream.close()
                    raise
        finally:
            self._starting -= 1
        process = Process("p_" + secrets.token_hex(6), spec, stream, pid, self._clock_ms(), unattended_seconds)
        self._make_room()
        self._known[process.process_id] = process
        task = asyncio.get_running_loop().create_task(self._follow(process))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return process

    async def _follow(self, process: Process) -> None:
        with contextlib.suppress(SandboxError), self._distrust():
            await process.follow(self._oom_kills, self._fit)

    def _fit(self) -> None:
        """Keep all logs within their share of the node's memory: what is lost is counted where it is read."""
        excess = sum(process.log.size for process in self._known.values()) - LOGS_BYTES_MAX
        if excess > 0:
            largest = max((process.log for process in self._known.values()), key=lambda log: log.size)
            largest.trim(largest.size - excess)

    def _make_room(self) -> None:
        ended = [key for key, process in self._known.items() if process.ended is not None]
        for key in ended[: max(0, len(self._known) - PROCESSES_MAX + 1)]:
            del self._known[key]

    def get(self, process_id: str) -> Process:
        """One by id. Raises ProcessUnknown."""
        process = self._known.get(process_id)
        if process is None:
            raise ProcessUnknown(f"no process {process_id} in this sandbox")
        return process

    def forget(self, process_id: str) -> None:
        """Kill it if it runs, drop its log. Raises ProcessUnknown."""
        self.get(process_id).kill()
        del self._known[process_id]

    async def close(self) -> None:
        """The runtime is over: end all processes, wake all waiters."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
