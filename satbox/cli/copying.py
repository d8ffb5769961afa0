"""Files in and out: `files read`, `files write`, and `cp` with `box:` paths, directories included."""
# ruff: noqa: ASYNC240 - a command waits for its own disk; nothing else runs beside it

import asyncio
import base64
import os
import stat
import sys
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from satbox.cli.context import Context
from satbox.cli.errors import UsageError
from satbox.cli.output import note, show

if TYPE_CHECKING:
    from satbox.client import Client

FILES_MAX = 20_000
DEPTH_MAX = 64
PREFIX = "box:"


async def read(context: Context) -> int:
    """A file: bytes with --raw, into --output, else as text on a terminal or inside a JSON document."""
    given = context.arguments
    async with context.client() as client:
        if given.output is not None:
            size = await client.download(given.path, Path(given.output), address=given.address)
            show(context, {"path": given.path, "output": given.output, "size_bytes": size})
            return 0
        if given.raw or not context.as_json:
            async for piece in client.read_stream(given.path, address=given.address):
                sys.stdout.buffer.write(piece)
            sys.stdout.buffer.flush()
            return 0
        data = await client.files_read(given.path, address=given.address)
    document: dict[str, Any] = {"path": given.path, "size_bytes": len(data)}
    try:
        document["content"] = data.decode()
    except UnicodeDecodeError:
        document["content_base64"] = base64.b64encode(data).decode()
    show(context, document)
    return 0


async def write(context: Context) -> int:
    """A file from a file or from standard input."""
    given = context.arguments
    data = sys.stdin.buffer.read() if given.source == "-" else _local_file(given.source)
    async with context.client() as client:
        show(context, await client.files_write(given.path, data, address=given.address))
    return 0


def _local_file(text: str) -> Path:
    path = Path(text)
    if not path.is_file():
        raise UsageError(f"{text} is not a file here")
    return path


async def copy(context: Context) -> int:
    """One side is in the sandbox."""
    source, target = context.arguments.source, context.arguments.target
    if source.startswith(PREFIX) == target.startswith(PREFIX):
        raise UsageError("one side is box:PATH, the other a path here", "satbox cp notes.txt box:notes.txt")
    async with context.client() as client:
        counts = Counts(context)
        if target.startswith(PREFIX):
            await _up(client, Path(source), target.removeprefix(PREFIX) or ".", counts)
        else:
            await _down(client, source.removeprefix(PREFIX) or ".", Path(target), counts)
    show(context, {"source": source, "target": target, "files": counts.files, "size_bytes": counts.size_bytes,
                   "skipped": counts.skipped})  # fmt: skip
    return 0


class Counts:
    """What was copied, and what was left out because it is neither a file nor a directory."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self.files = 0
        self.size_bytes = 0
        self.skipped: list[str] = []

    def add(self, name: str, size_bytes: int) -> None:
        """One file more; refuses a copy without end."""
        self.files += 1
        self.size_bytes += size_bytes
        if self.files > FILES_MAX:
            raise UsageError(f"more than {FILES_MAX} files", "Pack them into one archive first.")
        note(self._context, f"{name} ({size_bytes} bytes)")


async def _up(client: "Client", source: Path, target: str, counts: Counts) -> None:
    if source.is_file():
        if target.endswith("/") or target in (".", "..") or await _is_box_folder(client, target):
            target = str(PurePosixPath(target) / source.name)
        await _up_file(client, source, target, counts)
        return
    if not source.is_dir():
        raise UsageError(f"{source} is neither a file nor a directory here")
    if await _is_box_folder(client, target):
        target = str(PurePosixPath(target) / source.resolve().name)
    await client.files_mkdir(target)
    for path, kind in await asyncio.to_thread(lambda: list(_walk(source))):
        inside = str(PurePosixPath(target) / path.relative_to(source).as_posix())
        if kind == "folder":
            await client.files_mkdir(inside)
        elif kind == "file":
            await _up_file(client, path, inside, counts)
        else:
            counts.skipped.append(str(path))


async def _up_file(client: "Client", source: Path, target: str, counts: Counts) -> None:
    done = await client.files_write(target, source)
    counts.add(target, done.size_bytes or 0)


def _walk(root: Path) -> Iterator[tuple[Path, str]]:
    """Folders before what is in them; links and devices are named, never followed."""
    for folder, names, files in os.walk(root, followlinks=False):
        names.sort()
        for name in [*names, *sorted(files)]:
            path = Path(folder) / name
            mode = path.lstat().st_mode
            kind = "folder" if stat.S_ISDIR(mode) else "file" if stat.S_ISREG(mode) else "other"
            yield path, kind


async def _is_box_folder(client: "Client", path: str) -> bool:
    from operations.errors import SatboxError

    try:
        return _is_folder((await client.files_stat(path)).kind)
    except SatboxError as error:
        if error.code == "path_not_found":
            return False
        raise


def _is_folder(kind: str) -> bool:
    return kind in ("folder", "directory", "dir")


async def _down(client: "Client", source: str, target: Path, counts: Counts) -> None:
    found = await client.files_stat(source)
    name = PurePosixPath(source).name or "workspace"
    if _is_folder(found.kind):
        folder = target / name if target.is_dir() else target
        await _down_folder(client, source, folder, counts, 0)
    else:
        await _down_file(client, source, target / name if target.is_dir() else target, counts)


async def _down_folder(client: "Client", source: str, target: Path, counts: Counts, depth: int) -> None:
    if depth > DEPTH_MAX:
        raise UsageError(f"directories nested deeper than {DEPTH_MAX}", "Pack them into one archive first.")
    target.mkdir(exist_ok=True)
    listing = await client.files_list(source)
    if listing.truncated:
        raise UsageError(f"{source} has too many entries to list", "Pack them into one archive first.")
    for entry in listing.entries:
        # Names come out of a sandbox: they may try to write elsewhere.
        if entry.name in ("", ".", "..") or "/" in entry.name or "\0" in entry.name:
            counts.skipped.append(entry.name)
            continue
        inside, here = f"{source.rstrip('/')}/{entry.name}", target / entry.name
        if _is_folder(entry.kind) and not here.is_symlink():
            await _down_folder(client, inside, here, counts, depth + 1)
        elif entry.kind == "file":
            await _down_file(client, inside, here, counts)
        else:
            counts.skipped.append(inside)


async def _down_file(client: "Client", source: str, target: Path, counts: Counts) -> None:
    counts.add(str(target), await client.download(source, target))
