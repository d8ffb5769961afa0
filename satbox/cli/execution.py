"""`satbox exec`: run a command in the sandbox and exit as it did."""

import base64
import sys
from typing import Any

from satbox.cli.context import Context
from satbox.cli.errors import TIMED_OUT, UsageError
from satbox.cli.generic import values_of
from satbox.cli.output import show

STDIN_BYTES_MAX = 1_000_000


def exit_code(result: Any) -> int:
    """What we exit with for a command's end."""
    if result.timed_out:
        return TIMED_OUT
    if result.signal is not None:
        return 128 + int(result.signal)
    return int(result.exit_code or 0)


def command_of(context: Context) -> dict[str, Any]:
    """The command that the words name: one word is a line for the shell, more are argv."""
    words = list(context.arguments.words)
    if words and words[0] == "--":
        words = words[1:]
    if not words:
        raise UsageError("there is no command", "satbox exec 'echo hello', or satbox exec -- python3 -V")
    if context.arguments.shell or len(words) == 1:
        return {"shell": " ".join(words)}
    return {"argv": words}


def _stdin(context: Context) -> bytes | None:
    if not context.arguments.stdin:
        return None
    data = sys.stdin.buffer.read(STDIN_BYTES_MAX + 1)
    if len(data) > STDIN_BYTES_MAX:
        raise UsageError(f"standard input is over {STDIN_BYTES_MAX} bytes", "Copy a file with satbox cp instead.")
    return data


async def execute(context: Context) -> int:
    """Live output on a terminal or with --raw; otherwise one JSON result."""
    command, stdin = command_of(context), _stdin(context)
    values = {name: value for name, value in values_of(context).items() if name not in ("shell", "stdin")}
    async with context.client() as client:
        if values.get("receipt") or (context.as_json and not context.arguments.raw):
            encoded = None if stdin is None else base64.b64encode(stdin).decode()
            result = await client.exec(**command, stdin=encoded, **values)
            show(context, result)
            return exit_code(result)
        async for event in client.exec_stream(**command, stdin=stdin, **values):
            if event.kind in ("stdout", "stderr"):
                stream = sys.stdout.buffer if event.kind == "stdout" else sys.stderr.buffer
                stream.write(event.data)
                stream.flush()
            elif event.result is not None:
                _remark(event.result)
                return exit_code(event.result)
    return 0


def _remark(result: Any) -> None:
    if result.timed_out:
        print("satbox: the command ran out of time", file=sys.stderr)
    elif result.oom_killed:
        print("satbox: the sandbox ran out of memory", file=sys.stderr)
    for stream, dropped in result.truncated.items():
        if dropped:
            print(f"satbox: {stream.removesuffix('_bytes_dropped')} was cut by {dropped} bytes", file=sys.stderr)
