"""`processes start` and `processes write`."""

import base64
import sys

from satbox.cli.context import Context
from satbox.cli.generic import values_of
from satbox.cli.output import document_of, show
from satbox.cli.people import for_people
from satbox.cli.sandbox.execution import STDIN_BYTES_MAX, command_of


async def start(context: Context) -> int:
    """Start it and leave."""
    values = {name: value for name, value in values_of(context).items() if name not in ("argv", "shell")}
    async with context.client() as client:
        process = await client.processes_start(**command_of(context), **values)
    show(context, process if context.as_json else for_people("processes.start", document_of(process)))
    return 0


async def write(context: Context) -> int:
    """Our standard input becomes its input, in pieces."""
    given = context.arguments
    async with context.client() as client:
        while data := sys.stdin.buffer.read(STDIN_BYTES_MAX):
            encoded = base64.b64encode(data).decode()
            await client.processes_write(given.process_id, data=encoded, address=given.address)
        told = await client.processes_write(given.process_id, end=bool(given.end), address=given.address)
    show(context, told)
    return 0
