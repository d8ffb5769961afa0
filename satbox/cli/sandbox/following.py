"""`files watch` and `processes logs`: what comes over time, a line each."""

import json
import sys
from typing import TextIO

from satbox.cli.context import Context
from satbox.cli.generic import values_of
from satbox.cli.incomplete import lacks, say
from satbox.cli.output import document_of, show
from satbox.cli.sandbox.execution import exit_code


async def changes(context: Context) -> int:
    """Changes in a folder until interrupted; NDJSON for programs. Exits with 123 when some were missed."""
    code = 0
    async with context.client() as client:
        async for change in client.files_watch(**values_of(context)):
            found = change.model_dump(exclude_none=True)
            print(json.dumps(found) if context.as_json else f"{found['event']:<11} {found.get('path', '')}", flush=True)
            if found["event"] == "overflow" or found.get("partial"):
                code = say([f"not all changes are seen: {found.get('path', '')}"])
    return code


async def logs(context: Context) -> int:
    """What a process wrote; with --follow also what it writes, and then its own exit code."""
    values = values_of(context)
    follow = values.pop("follow", False)
    async with context.client() as client:
        if not follow:
            page = await client.processes_logs(**values)
            if context.as_json:
                show(context, page)
            else:
                for piece in page.items:
                    _stream(piece.stream).write(piece.data)
            return say(lacks(document_of(page)))
        values.pop("limit_bytes", None)
        code = 0
        async for event in client.follow_logs(**values):
            code = say(lacks({"lost_bytes": event.lost_bytes})) or code
            if event.kind == "exit":
                return exit_code(event.process) or code
            stream = _stream(event.kind).buffer
            stream.write(event.data)
            stream.flush()
    return code


def _stream(name: str) -> TextIO:
    return sys.stderr if name == "stderr" else sys.stdout
