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

from operations.errors import SatboxError
from satbox.agent.local_paths import local_path
from satbox.cli.context import Context
from satbox.cli.errors import UsageError
from satbox.cli.output import note, show

if TYPE_CHECKING:
    from satbox.client import Client

FILES_MAX = 20_000
DEPTH_MAX = 64
PREFIX = "box:"
LINKS = frozenset({"link", "symlink"})


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
    data = sys.stdin.buffer.read() if given.source == "-" else local_file(given.source)
    async with context.client() as client:
        show(context, await client.files_write(given.path, data, address=given.address))
    return 0


def local_file(text: str) -> Path:
    """A file here that can be sent. Raises path_invalid and the like."""
    path = Path(text)
    with local_path(path):
        mode = path.stat().st_mode
    if not stat.S_ISREG(mode):
        raise SatboxError("path_invalid", f"{text} is not a file here.", hint="Folders are copied by satbox cp.")
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
        self.skipped: list[dict[str, str]] = []

    def skip(self, path: str, reason: str) -> None:
        """Something was left out."""
        self.skipped.append({"path": path, "reason": reason})
        note(self._context, f"{path} skipped: {reason}")

    def add(self, name: str, size_bytes: int) -> None:
        """One file more; refuses a copy without end."""
        self.files += 1
        self.size_bytes += size_bytes
        if self.files > FILES_MAX:
            raise UsageError(f"more than {FILES_MAX} files", "Pack them into one archive first.")
        note(self._context, f"{name} ({size_bytes} bytes)")


async def _up(client: "Client", source: Path, target: str, counts: Counts) -> None:
    with local_path(source):
        mode = source.stat().st_mode
    if stat.S_ISREG(mode):
        if target.endswith("/") or target in (".", "..") or await _is_box_folder(client, target):
            target = str(PurePosixPath(target) / source.name)
        await _up_file(client, source, target, counts)
        return
    if not stat.S_ISDIR(mode):
        raise SatboxError("path_invalid", f"{source} here is {_kind_of(mode)}.", hint="Copy files and directories.")
    if await _is_box_folder(client, target):
        target = str(PurePosixPath(target) / source.resolve().name)
    await client.files_mkdir(target)
    with local_path(source):
        found = await asyncio.to_thread(lambda: list(_walk(source)))
    for path, mode in found:
        inside = str(PurePosixPath(target) / path.relative_to(source).as_posix())
        if stat.S_ISDIR(mode):
            await client.files_mkdir(inside)
        elif stat.S_ISREG(mode):
            await _up_file(client, path, inside, counts)
        else:
            counts.skip(str(path), _kind_of(mode))


async def _up_file(client: "Client", source: Path, target: str, counts: Counts) -> None:
    done = await client.files_write(target, source)
    counts.add(target, done.size_bytes or 0)


def _kind_of(mode: int) -> str:
    """Why something is not copied."""
    return "a symbolic link; links are not followed" if stat.S_ISLNK(mode) else "neither a file nor a directory"


def _failed(error: OSError) -> None:
    raise error


def _walk(root: Path) -> Iterator[tuple[Path, int]]:
    """Folders before what is in them, with their modes; links and devices are named, never followed."""
    for folder, names, files in os.walk(root, followlinks=False, onerror=_failed):
        names.sort()
        for name in [*names, *sorted(files)]:
            path = Path(folder) / name
            yield path, path.lstat().st_mode


async def _is_box_folder(client: "Client", path: str) -> bool:
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
    with local_path(target):
        here = target / name if target.is_dir() else target
    if _is_folder(found.kind):
        await _down_folder(client, source, here, counts, 0)
    else:
        await _down_file(client, source, here, counts)


async def _down_folder(client: "Client", source: str, target: Path, counts: Counts, depth: int) -> None:
    if depth > DEPTH_MAX:
        raise UsageError(f"directories nested deeper than {DEPTH_MAX}", "Pack them into one archive first.")
    with local_path(target):
        target.mkdir(exist_ok=True)
    listing = await client.files_list(source)
    if listing.truncated:
        raise UsageError(f"{source} has too many entries to list", "Pack them into one archive first.")
    for entry in listing.entries:
        # Names come out of a sandbox: they may try to write elsewhere.
        if entry.name in ("", ".", "..") or "/" in entry.name or "\0" in entry.name:
            counts.skip(entry.name, "not a name for a file here")
            continue
        inside, here = f"{source.rstrip('/')}/{entry.name}", target / entry.name
        if _is_folder(entry.kind) and here.is_symlink():
            counts.skip(inside, f"{here} is a symbolic link here; links are not followed")
        elif _is_folder(entry.kind):
            await _down_folder(client, inside, here, counts, depth + 1)
        elif entry.kind == "file":
            await _down_file(client, inside, here, counts)
        else:
            counts.skip(inside, "a symbolic link; links are not followed" if entry.kind in LINKS else f"a {entry.kind}")


async def _down_file(client: "Client", source: str, target: Path, counts: Counts) -> None:
    counts.add(str(target), await client.download(source, target))
