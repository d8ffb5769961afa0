"""`satbox shell` and `processes attach`: this terminal becomes the process's."""

import asyncio
import contextlib
import os
import signal
import sys
import termios
import tty
from collections.abc import Iterator
from typing import TYPE_CHECKING

from satbox.cli.context import Context
from satbox.cli.errors import UsageError
from satbox.cli.incomplete import lacks, say
from satbox.cli.sandbox.execution import exit_code
from satbox.cli.terminal_text import raw_output

if TYPE_CHECKING:
    from satbox.client.attached import Attached

DETACH = b"\x1d"  # ctrl-]
READ_BYTES = 1 << 16


async def shell(context: Context) -> int:
    """A shell, or another program, with a terminal of its own; it ends with this connection."""
    words = [word for word in context.arguments.words if word != "--"]
    if not sys.stdin.isatty() or not sys.stdout.isatty():
        raise UsageError("a shell wants a terminal", "satbox exec runs a command without one.")
    rows, columns = _size()
    address = context.arguments.address
    async with context.client() as client:
        process = await client.processes_start(
            argv=words or ["sh", "-c", "if [ -x /bin/bash ]; then exec /bin/bash -i; else exec sh -i; fi"],
            terminal=True, rows=rows, columns=columns, address=address,
        )  # fmt: skip
        attached = await client.processes_attach(process.process_id, address=address)
        return await _converse(attached, process.process_id, has_terminal=True)


async def attach(context: Context) -> int:
    """This terminal, or our standard streams, at a process that runs already."""
    given = context.arguments
    async with context.client() as client:
        process = await client.processes_get(given.process_id, address=given.address)
        attached = await client.processes_attach(given.process_id, after=given.after or 0, address=given.address)
        return await _converse(attached, given.process_id, has_terminal=process.terminal)


async def _converse(attached: "Attached", process_id: str, *, has_terminal: bool) -> int:
    is_tty = has_terminal and sys.stdin.isatty()
    if is_tty:
        print("satbox: ctrl-] leaves it running", file=sys.stderr)
    with _raw() if is_tty else contextlib.nullcontext():
        tasks = [asyncio.ensure_future(_input(attached, is_tty)), asyncio.ensure_future(_output(attached))]
        loop = asyncio.get_running_loop()
        if is_tty:
            loop.add_signal_handler(signal.SIGWINCH, lambda: asyncio.ensure_future(_resize(attached)))
            await _resize(attached)
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            if tasks[0].done() and tasks[0].exception() is None and not tasks[0].result():
                await tasks[1]  # our input ended; its output continues
        finally:
            for task in tasks:
                task.cancel()
            done = await asyncio.gather(*tasks, return_exceptions=True)
            await attached.close()
    code = done[1]
    if isinstance(code, int):
        return code
    if isinstance(code, Exception):
        raise code
    print(f"satbox: left running; satbox processes attach {process_id} goes on", file=sys.stderr)
    return 0


def _size() -> tuple[int, int]:
    """Rows and columns; what a terminal has by custom when it does not know (those that scripts open say 0)."""
    size = os.get_terminal_size()
    return size.lines or 24, size.columns or 80


async def _resize(attached: "Attached") -> None:
    with contextlib.suppress(OSError):
        await attached.resize(*_size())


async def _input(attached: "Attached", is_tty: bool) -> bool:
    """Our input to the process. True when the person wants to leave."""
    while True:
        await _readable(sys.stdin.fileno())
        data = os.read(sys.stdin.fileno(), READ_BYTES)
        if not data:
            await attached.end_input()
            return False
        if is_tty and DETACH in data:
            await attached.write(data[: data.index(DETACH)])
            return True
        await attached.write(data)


async def _readable(fd: int) -> None:
    """Until a read of `fd` would not block. Watched for one moment only: a notice of what was read already would have the next
    read hold up everything, the output too, until another key is pressed.
    """
    loop, ready = asyncio.get_running_loop(), asyncio.Event()
    try:
        loop.add_reader(fd, ready.set)
    except PermissionError:
        return  # a file on disk: epoll does not watch those, and a read of one never waits
    try:
        await ready.wait()
    finally:
        loop.remove_reader(fd)


async def _output(attached: "Attached") -> int:
    code = 0
    async for event in attached.output():
        code = say(lacks({"lost_bytes": event.lost_bytes})) or code
        if event.kind == "exit":
            return exit_code(event.process) or code
        stream = raw_output(sys.stderr if event.kind == "stderr" else sys.stdout)
        stream.write(event.data)
        stream.flush()
    return code


@contextlib.contextmanager
def _raw() -> Iterator[None]:
    """Every key goes to the other side; the terminal is put back however this ends."""
    before = termios.tcgetattr(sys.stdin.fileno())
    tty.setraw(sys.stdin.fileno())
    try:
        yield
    finally:
        termios.tcsetattr(sys.stdin.fileno(), termios.TCSADRAIN, before)
