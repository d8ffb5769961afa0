"""Run the real command line in a process of its own."""

import asyncio
import json
import os
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
