"""`satbox exec`: run a command in the sandbox and exit as it did."""

import base64
import sys
from typing import Any

from satbox.cli.context import Context
from satbox.cli.errors import TIMED_OUT, UsageError
from satbox.cli.generic import values_of
from satbox.cli.incomplete import lacks, say
from satbox.cli.output import document_of, show
from satbox.cli.terminal_text import raw_output

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
    elif words[1:] == ["--json"]:
        words, context.as_json = (
            words[:1],
            True,
        )  # a line for the shell and an option of ours; after `--` it would be the command's
    elif len(words) > 1 and " " in words[0].strip() and words[1].startswith("--") and not context.arguments.shell:
        raise UsageError(
            f"{words[1]} stands behind a line for the shell",
            "Put satbox's own options before the command; after -- every word is the command's.",
        )
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
            return _ended(result)
        async for event in client.exec_stream(**command, stdin=stdin, **values):
            if event.kind in ("stdout", "stderr"):
                text = sys.stdout if event.kind == "stdout" else sys.stderr
                stream = raw_output(text) if context.arguments.raw else text.buffer
                stream.write(event.data)
                stream.flush()
            elif event.result is not None:
                return _ended(event.result)
    return 0


def _ended(result: Any) -> int:
    """Say on stderr what its output does not; the exit code."""
    if result.timed_out:
        print("satbox: the command ran out of time", file=sys.stderr)
    elif result.oom_killed:
        print("satbox: the sandbox ran out of memory", file=sys.stderr)
    is_whole = say(lacks(document_of(result)))
    return exit_code(result) or is_whole
