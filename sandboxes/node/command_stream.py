"""A command as the node sees it: what to run, what it writes, how it ends."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass

from sandboxes.node.connection import Connection, FrameSource, ProtocolBroken, fields, integer
from sandboxes.supervisor import frames

_INPUT_BYTES = 1 << 16


@dataclass(frozen=True, slots=True)
class CommandSpec:
    """A command to run as the tenant. 0 seconds: no limit of its own. `limit_bytes` is per output stream."""

    arguments: Sequence[str]
    environment: Mapping[str, str]
    cwd: str = "/workspace"
    stdin: bytes | None = None
    timeout_seconds: float = 0.0
    limit_bytes: int = 1 << 20
    interactive: bool = False  # stdin stays open for `CommandStream.write`
    terminal: tuple[int, int] | None = None  # rows, columns; both outputs come as stdout


@dataclass(frozen=True, slots=True)
class Output:
    """Bytes a command wrote."""

    stream: str
    data: bytes


@dataclass(frozen=True, slots=True)
class Exit:
    """How a command ended, as its supervisor saw it."""

    exit_code: int | None
    signal: int | None
    timed_out: bool
    cpu_us: int
    max_rss_bytes: int
    duration_us: int
    stdout_dropped: int
    stderr_dropped: int
    start_error: str = ""


class CommandOutput:
    """A running command, seen from the node: its output and its end."""

    def __init__(self, source: FrameSource, spec: CommandSpec) -> None:
        self._source = source
        self._spec = spec

    async def started(self) -> int:
        """Wait until it runs; its process id inside."""
        return integer(await self._source.expect(frames.STARTED), "pid")

    async def output(self) -> AsyncIterator[Output | Exit]:
        """Output as it comes, then exactly one Exit. A supervisor that sends more than was asked for breaks the protocol."""
        budgets = {frames.STDOUT: self._spec.limit_bytes, frames.STDERR: self._spec.limit_bytes}
        while True:
            kind, payload = await self._source.frame()
            if kind in budgets:
                budgets[kind] -= len(payload)
                if budgets[kind] < 0:
                    raise ProtocolBroken()
                yield Output("stdout" if kind == frames.STDOUT else "stderr", payload)
            elif kind == frames.EXIT:
                yield _exit(fields(payload))
                return
            else:
                raise ProtocolBroken()

    def close(self) -> None:
        """Hang up; what still runs of it is killed."""
        self._source.close()


class CommandStream(CommandOutput):
    """A running command that something is still said to: its input, signals, its terminal's size."""

    def __init__(self, connection: Connection, spec: CommandSpec) -> None:
        super().__init__(connection, spec)
        self._connection = connection

    async def write(self, data: bytes) -> None:
        """Send input, at the pace the command takes it."""
        for at in range(0, len(data), _INPUT_BYTES):
            self._connection.send(frames.STDIN, data[at : at + _INPUT_BYTES])
            await self._connection.writer.drain()

    def end_input(self) -> None:
        """No more input."""
        self._connection.send(frames.STDIN_END)

    async def feed(self, data: bytes) -> None:
        """All of the input."""
        await self.write(data)
        self.end_input()

    def signal(self, number: int) -> None:
        """Signal the command's process group."""
        self._connection.send(frames.SIGNAL, bytes((number,)))

    def resize(self, rows: int, columns: int) -> None:
        """Tell its terminal the size; nothing happens without one."""
        self._connection.send(frames.RESIZE, rows.to_bytes(2, "big") + columns.to_bytes(2, "big"))

    def kill(self) -> None:
        """SIGKILL the command and all it started; its end is still reported."""
        self._connection.send(frames.KILL)


def _exit(content: Mapping[str, bytes]) -> Exit:
    code, signal = content.get("code", b""), content.get("signal", b"")
    if bool(code) == bool(signal):
        raise ProtocolBroken()
    return Exit(
        exit_code=integer(content, "code") if code else None,
        signal=integer(content, "signal") if signal else None,
        timed_out=content.get("timed_out") == b"1",
        cpu_us=integer(content, "cpu_us"),
        max_rss_bytes=integer(content, "max_rss_bytes"),
        duration_us=integer(content, "duration_us"),
        stdout_dropped=integer(content, "stdout_dropped"),
        stderr_dropped=integer(content, "stderr_dropped"),
        start_error=content.get("start_error", b"").decode("utf-8", "replace"),
    )
