"""Run the real command line in a process of its own."""

import asyncio
import contextlib
import json
import os
import pty
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.cli.fork_server import ForkServer

SECONDS_MAX = 120.0
ITSELF = (sys.executable, "-c", "from satbox.cli import main; main()")
INTERPRETER = ("PYTHON", "LC_", "LANG")
"""Variables that an interpreter reads when it starts."""
_SERVER = ForkServer()


@dataclass(frozen=True)
class Ended:
    code: int
    stdout: bytes
    stderr: str

    @property
    def document(self) -> Any:
        """Standard output, which must be exactly one JSON document."""
        return json.loads(self.stdout)

    @property
    def error(self) -> dict[str, Any]:
        """The JSON error on standard error."""
        found: dict[str, Any] = json.loads(self.stderr.splitlines()[-1])["error"]
        return found


async def satbox(
    *words: str,
    home: Path,
    gate: str | None = None,
    stdin: bytes = b"",
    environment: dict[str, str] | None = None,
    is_fresh: bool = False,
) -> Ended:
    """`satbox WORDS...`, with this home and gate. `is_fresh`: by an interpreter that starts for it, as on a shell; what is set
    for the interpreter itself asks for that too.
    """
    env = {name: value for name, value in os.environ.items() if not name.startswith("SATBOX_")}
    env |= {"SATBOX_HOME": str(home), **(environment or {})}
    if gate is not None:
        env |= {"SATBOX_GATE": gate, "SATBOX_STACKS_API": gate}
    async with asyncio.timeout(SECONDS_MAX):
        if is_fresh or any(name.startswith(INTERPRETER) for name in environment or ()):
            return await _fresh(words, env, stdin)
        return await _forked(words, env, stdin)


async def _fresh(words: Sequence[str], env: dict[str, str], stdin: bytes) -> Ended:
    process = await asyncio.create_subprocess_exec(
        *ITSELF, *words, env=env,
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    out, err = await process.communicate(stdin)
    assert process.returncode is not None
    return Ended(process.returncode, out, err.decode("utf-8", "replace"))


async def _forked(words: Sequence[str], env: dict[str, str], stdin: bytes) -> Ended:
    (their_in, our_in), (our_out, their_out), (our_err, their_err), (ended, theirs) = (os.pipe() for _ in range(4))
    _SERVER.run(words, env, (their_in, their_out, their_err, theirs))
    for file in (their_in, their_out, their_err, theirs):
        os.close(file)
    _, out, err, code = await asyncio.gather(
        asyncio.to_thread(_write_all, our_in, stdin),
        *(asyncio.to_thread(_all_of, each) for each in (our_out, our_err, ended)),
    )
    return Ended(int(code), out, err.decode("utf-8", "replace"))


async def satbox_on_terminal(
    *words: str,
    home: Path,
    gate: str,
    environment: dict[str, str] | None = None,
    columns: int = 80,
    is_fresh: bool = False,
) -> tuple[int, str]:
    """The same with stdout and stderr on a terminal of their own: the exit code, and what stood there."""
    env = {name: value for name, value in os.environ.items() if not name.startswith("SATBOX_")}
    env |= {"SATBOX_HOME": str(home), "SATBOX_GATE": gate, "SATBOX_STACKS_API": gate, **(environment or {})}
    env |= {"COLUMNS": str(columns), "TERM": "dumb"}
    ours, theirs = pty.openpty()
    nothing = os.open(os.devnull, os.O_RDONLY)
    ended, ending = os.pipe()
    process = None
    if is_fresh:
        process = await asyncio.create_subprocess_exec(
            *ITSELF, *words, env=env, stdin=nothing, stdout=theirs, stderr=theirs
        )
    else:
        _SERVER.run(words, env, (nothing, theirs, theirs, ending))
    for file in (theirs, nothing, ending):
        os.close(file)
    async with asyncio.timeout(SECONDS_MAX):
        shown, code = await asyncio.gather(asyncio.to_thread(_all_of, ours), asyncio.to_thread(_all_of, ended))
        text = shown.decode("utf-8", "replace").replace("\r\n", "\n")
        return int(code) if process is None else await process.wait(), text


def _write_all(file: int, data: bytes) -> None:
    with os.fdopen(file, "wb") as pipe, contextlib.suppress(BrokenPipeError):
        pipe.write(data)
        pipe.flush()


def _all_of(file: int) -> bytes:
    found = bytearray()
    with os.fdopen(file, "rb", buffering=0) as opened:
        while True:
            try:
                piece = opened.read(65_536)
            except OSError:  # how a terminal says that nobody is left on the other side
                break
            if not piece:
                break
            found += piece
    return bytes(found)
