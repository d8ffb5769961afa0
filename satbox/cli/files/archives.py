"""`files pack` and `files unpack`: folders as archives."""

import sys

from operations.errors import SatboxError
from satbox.agent.local_paths import local_path
from satbox.cli.context import Context
from satbox.cli.errors import UsageError
from satbox.cli.files.copying import local_file
from satbox.cli.incomplete import lacks, say
from satbox.cli.output import document_of, show

ENDINGS = {".zip": "zip", ".tar": "tar", ".tar.gz": "tar.gz", ".tgz": "tar.gz"}


def _kind(context: Context, name: str | None) -> str:
    """The format that was asked for, else the one a file's name ends with, else tar.gz."""
    if context.arguments.format is not None:
        return str(context.arguments.format)
    return next((kind for ending, kind in ENDINGS.items() if (name or "").endswith(ending)), "tar.gz")


async def pack(context: Context) -> int:
    """A folder to a file or to standard output. A file appears whole or not at all."""
    from pathlib import Path

    given = context.arguments
    kind = _kind(context, given.output)
    if given.output is None and sys.stdout.isatty():
        raise UsageError("an archive is not for a terminal", "satbox files pack . --output work.tar.gz")
    missing: dict[str, object] = {"skipped": 0, "skipped_names": []}

    def left_out(count: int, names: list[str]) -> None:
        missing.update(skipped=count, skipped_names=names)

    async with context.client() as client:
        pieces = client.pack_stream(given.path, format=kind, address=given.address, on_left_out=left_out)
        if given.output is None:
            async for piece in pieces:
                sys.stdout.buffer.write(piece)
            sys.stdout.buffer.flush()
            return say(lacks(missing))
        target = Path(given.output)
        partial = target.with_name(f".{target.name[:200]}.part")
        with local_path(target):
            try:
                with partial.open("wb") as file:
                    async for piece in pieces:
                        file.write(piece)
                size = partial.stat().st_size
                partial.replace(target)
            finally:
                partial.unlink(missing_ok=True)
    show(context, {"path": given.path, "output": given.output, "format": kind, "size_bytes": size, **missing})
    return say(lacks(missing))


async def unpack(context: Context) -> int:
    """An archive from a file or from standard input into a folder."""
    given = context.arguments
    kind = _kind(context, given.source)
    data = sys.stdin.buffer.read() if given.source == "-" else local_file(given.source)
    if data == b"":
        raise SatboxError("archive_invalid", "There is nothing on standard input.")
    async with context.client() as client:
        done = await client.files_unpack(given.path, data, format=kind, address=given.address)  # type: ignore[arg-type]
    show(context, done)
    return say(lacks(document_of(done)))
