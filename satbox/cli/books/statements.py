"""Books for keeping and checking: statements."""

import json
import sys
from pathlib import Path

from satbox.agent.local_paths import local_path
from satbox.cli.books.checking import document_in, json_in
from satbox.cli.context import Context
from satbox.cli.errors import UsageError
from satbox.cli.generic import call, values_of
from satbox.cli.output import show


async def dispute(context: Context) -> int:
    """Object to a charge; a receipt is given as JSON, or as the file that holds it (`@receipt.json`, or its path), alone or in
    the answer that it came with.
    """
    given = context.arguments
    if given.receipt is not None:
        given.receipt = _receipt(given.receipt)
    return await call(context)


def _receipt(text: str) -> str:
    document = (
        json_in(text.encode(), "--receipt") if text.lstrip().startswith("{") else document_in(text.removeprefix("@"))
    )
    carried = document.get("receipt") if isinstance(document, dict) else None
    return json.dumps(document if carried is None else carried)


async def statement(context: Context) -> int:
    """A signed statement to a file or to standard output. The file appears whole or not at all."""
    given = context.arguments
    kind = given.format or next((k for k in ("csv", "json") if (given.output or "").endswith(f".{k}")), "sqlite")
    if given.output is None and sys.stdout.isatty() and kind == "sqlite":
        raise UsageError("an SQLite file is not for a terminal", "satbox statement --output statement.sqlite")
    async with context.client() as client:
        data = await client.sandbox_statement(**{**values_of(context), "format": kind})
    if given.output is None:
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
        return 0
    target = Path(given.output)
    partial = target.with_name(f".{target.name[:200]}.part")
    with local_path(target):
        try:
            partial.write_bytes(data)
            partial.replace(target)
        finally:
            partial.unlink(missing_ok=True)
    show(context, {"output": given.output, "format": kind, "size_bytes": len(data)})
    return 0
