"""`files watch` and `processes logs`: what comes over time, a line each."""

import json
import sys
from typing import TextIO

from satbox.cli.context import Context
from satbox.cli.execution import exit_code
from satbox.cli.generic import values_of
from satbox.cli.output import show


async def changes(context: Context) -> int:
    """Changes in a folder until interrupted; NDJSON for programs."""
    async with context.client() as client:
        async for change in client.files_watch(**values_of(context)):
            found = change.model_dump(exclude_none=True)
            print(json.dumps(found) if context.as_json else f"{found['event']:<11} {found.get('path', '')}", flush=True)
    return 0


async def logs(context: Context) -> int:
    """What a process wrote; with --follow also what it writes, and then its own exit code."""
    values = values_of(context)
    follow = values.pop("follow", False)
    async with context.client() as client:
        if not follow:
            page = await client.processes_logs(**values)
            if context.as_json:
                show(context, page)
                return 0
            for piece in page.items:
                _stream(piece.stream).write(piece.data)
            return 0
        values.pop("limit_bytes", None)
        async for event in client.follow_logs(**values):
            if event.kind == "exit":
                return exit_code(event.process)
            stream = _stream(event.kind).buffer
            stream.write(event.data)
            stream.flush()
    return 0


def _stream(name: str) -> TextIO:
    return sys.stderr if name == "stderr" else sys.stdout
