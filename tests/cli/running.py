"""Run the real command line in a process of its own."""

import asyncio
import json
import os
import pty
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SECONDS_MAX = 60.0


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
    *words: str, home: Path, gate: str | None = None, stdin: bytes = b"", environment: dict[str, str] | None = None
) -> Ended:
    """`satbox WORDS...`, with this home and gate."""
    env = {name: value for name, value in os.environ.items() if not name.startswith("SATBOX_")}
    env |= {"SATBOX_HOME": str(home), **(environment or {})}
    if gate is not None:
        env |= {"SATBOX_GATE": gate, "SATBOX_STACKS_API": gate}
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", "from satbox.cli import main; main()", *words, env=env,
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    async with asyncio.timeout(SECONDS_MAX):
        out, err = await process.communicate(stdin)
    assert process.returncode is not None
    return Ended(process.returncode, out, err.decode("utf-8", "replace"))


async def satbox_on_terminal(
    *words: str, home: Path, gate: str, environment: dict[str, str] | None = None, columns: int = 80
) -> tuple[int, str]:
    """The same with stdout and stderr on a terminal of their own: the exit code, and what stood there."""
    env = {name: value for name, value in os.environ.items() if not name.startswith("SATBOX_")}
    env |= {"SATBOX_HOME": str(home), "SATBOX_GATE": gate, "SATBOX_STACKS_API": gate, **(environment or {})}
    env |= {"COLUMNS": str(columns), "TERM": "dumb"}
    ours, theirs = pty.openpty()
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", "from satbox.cli import main; main()", *words, env=env,
        stdin=asyncio.subprocess.DEVNULL, stdout=theirs, stderr=theirs,
    )  # fmt: skip
    os.close(theirs)
    async with asyncio.timeout(SECONDS_MAX):
        shown = await asyncio.to_thread(_all_of, ours)
        return await process.wait(), shown


def _all_of(terminal: int) -> str:
    shown = bytearray()
    with os.fdopen(terminal, "rb", buffering=0) as file:
        while True:
            try:
                piece = file.read(65_536)
            except OSError:  # how a terminal says that nobody is left on the other side
                break
            if not piece:
                break
            shown += piece
    return shown.decode("utf-8", "replace").replace("\r\n", "\n")
