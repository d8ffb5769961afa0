"""Files in and out: `files read`, `files write`, and `cp` with `box:` paths, directories included."""
# ruff: noqa: ASYNC240 - a command waits for its own disk; nothing else runs beside it

import asyncio
import base64
import os
import stat
import sys
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from operations.errors import SatboxError
from sandboxes.names import name_bytes, name_text
from satbox.agent.local_paths import local_path
from satbox.cli.context import Context
from satbox.cli.errors import UsageError
from satbox.cli.files.trees import NO_FILE, PORTION_BYTES, Portions, Unpacking, has_holes, pack_alone
from satbox.cli.incomplete import lacks, say
from satbox.cli.output import note, show
from satbox.cli.terminal_text import raw_output

if TYPE_CHECKING:
    from satbox.client import Client

FILES_MAX = 100_000
NOT_TAKEN = "not taken by the sandbox"
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
            output = raw_output(sys.stdout) if given.raw else sys.stdout.buffer
            async for piece in client.read_stream(given.path, address=given.address):
                output.write(piece)
            output.flush()
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
    done = {"source": source, "target": target, "files": counts.files, "size_bytes": counts.size_bytes,
            "skipped": counts.skipped}  # fmt: skip
    show(context, done)
    return say(lacks(done))


class Counts:
    """What was copied, each by the path that it has now, and what was left out, by the path that it had."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self.files = 0
        self.size_bytes = 0
        self.skipped: list[dict[str, str]] = []

    def skip(self, path: str, reason: str) -> None:
        """Something was left out."""
        self.skipped.append({"path": path, "reason": reason})
        note(self._context, f"{path} skipped: {reason}")

    def add(self, name: str, size_bytes: int | None) -> None:
        """One file more, or with None a link; refuses a copy without end."""
        self.files += 1
        self.size_bytes += size_bytes or 0
        if self.files > FILES_MAX:
            raise UsageError(f"more than {FILES_MAX} files", "Pack them into one archive first.")
        what = "a link" if size_bytes is None else f"{size_bytes} bytes"
        note(self._context, f"{name} ({what})")


class Below:
    """Counts what is in one folder (or archive of one file) under whole paths: where it came from, and where it is now. Names are
    shown as `files list` shows them, whatever bytes they are.
    """

    def __init__(self, counts: Counts, source: str, target: str, *, is_alone: bool = False) -> None:
        self._counts = counts
        self._source = source
        self._target = target
        self._is_alone = is_alone

    def skip(self, name: str, reason: str) -> None:
        """Something was left out."""
        self.skip_shown(_shown(name), reason)

    def skip_shown(self, name: str, reason: str) -> None:
        """The same by a name that is in its shown form already."""
        self._counts.skip(self._source if self._is_alone else f"{self._source.rstrip('/')}/{name}", reason)

    def add(self, name: str, size_bytes: int | None) -> None:
        """One file more."""
        self._counts.add(self._target if self._is_alone else f"{self._target.rstrip('/')}/{_shown(name)}", size_bytes)


def _shown(name: str) -> str:
    """A name of this machine as a sandbox's files are named."""
    return name_text(os.fsencode(name))


def _local(name: str) -> str:
    """A sandbox's name for a file as it is on this machine. Raises path_invalid."""
    try:
        return os.fsdecode(name_bytes(name))
    except ValueError as error:
        raise SatboxError("path_invalid", "This is not a name for a file.") from error


async def _up(client: "Client", source: Path, target: str, counts: Counts) -> None:
    with local_path(source):
        mode = source.stat().st_mode
    if stat.S_ISREG(mode):
        if target.endswith("/") or target in (".", "..") or await _is_box_folder(client, target):
            target = str(PurePosixPath(target) / _shown(source.name))
        await _up_file(client, source, mode, target, counts)
        return
    if not stat.S_ISDIR(mode):
        raise SatboxError(
            "path_invalid", f"{source} here is not a file or directory.", hint="Copy files and directories."
        )
    if await _is_box_folder(client, target):
        target = str(PurePosixPath(target) / _shown(source.resolve().name))
    await client.files_mkdir(target)
    copied = Below(counts, _shown(str(source)), target)
    portions = Portions(source, copied)
    while not portions.is_done:
        with tempfile.NamedTemporaryFile(prefix="satbox-cp-") as file:
            with local_path(source):
                await asyncio.to_thread(portions.write, file)
            file.flush()
            done = await client.files_unpack(target, Path(file.name), format="tar")
        for name in done.skipped_names:
            copied.skip_shown(name, NOT_TAKEN)
        if done.skipped > len(done.skipped_names):
            counts.skip(_shown(str(source)), f"{done.skipped - len(done.skipped_names)} more: {NOT_TAKEN}")
    for path, large_mode in portions.large:
        name = _shown(path.relative_to(source).as_posix())
        await _up_file(client, path, large_mode, str(PurePosixPath(target) / name), counts)


async def _up_file(client: "Client", source: Path, mode: int, target: str, counts: Counts) -> None:
    if has_holes(source):
        await _up_sparse(client, source, PurePosixPath(target), counts)
        return
    done = await client.files_write(target, source, mode=f"{mode & 0o777:03o}")
    counts.add(target, done.size_bytes or 0)


async def _up_sparse(client: "Client", source: Path, target: PurePosixPath, counts: Counts) -> None:
    """By way of an archive: a file's holes stay here."""
    with tempfile.NamedTemporaryFile(prefix="satbox-cp-") as file:
        with local_path(source):
            size_bytes = await asyncio.to_thread(pack_alone, file, source, _local(target.name))
        file.flush()
        await client.files_unpack(str(target.parent), Path(file.name), format="tar")
    counts.add(str(target), size_bytes)


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
    name = _local(PurePosixPath(source).name) or "workspace"
    with local_path(target):
        here = target / name if target.is_dir() else target
    if found.kind == "file" and found.size_bytes > PORTION_BYTES:
        await _down_large(client, source, here, counts)
    elif not _is_folder(found.kind):
        size_bytes = await client.download(source, here)
        if found.kind == "file" and found.mode is not None:
            umask = os.umask(0o077)
            os.umask(umask)
            with local_path(here):
                here.chmod(found.mode & 0o777 & ~umask)
        counts.add(_shown(str(here)), size_bytes)
    else:
        await _down_packed(client, source, here, counts, Below(counts, source, _shown(str(here))))


async def _down_packed(client: "Client", source: str, here: Path, counts: Counts, copied: Below) -> None:
    """A folder, or one file in a folder of its own."""

    def left_out(count: int, names: list[str]) -> None:
        for name in names:
            copied.skip_shown(name, NO_FILE)
        if count > len(names):
            counts.skip(source, f"{count - len(names)} more: {NO_FILE}")

    pieces = client.pack_stream(source, format="tar", on_left_out=left_out)
    reading = _Reading(pieces, asyncio.get_running_loop())
    await asyncio.to_thread(Unpacking(here, copied).run, reading.read)


async def _down_large(client: "Client", source: str, here: Path, counts: Counts) -> None:
    """By way of an archive: a file's holes stay behind."""
    with local_path(here), tempfile.TemporaryDirectory(prefix=".satbox-cp-", dir=here.parent) as folder:
        copied = Below(counts, source, _shown(str(here)), is_alone=True)
        await _down_packed(client, source, Path(folder), counts, copied)
        (Path(folder) / _local(PurePosixPath(source).name)).replace(here)


class _Reading:
    """Pieces that come on the event loop, read from a thread."""

    def __init__(self, pieces: AsyncIterator[bytes], loop: asyncio.AbstractEventLoop) -> None:
        self._pieces = pieces
        self._loop = loop
        self._held = b""

    def read(self, size: int) -> bytes:
        """Up to `size` bytes; none at the end."""
        while not self._held:
            piece = asyncio.run_coroutine_threadsafe(self._next(), self._loop).result()
            if piece is None:
                return b""
            self._held = piece
        taken, self._held = self._held[:size], self._held[size:]
        return taken

    async def _next(self) -> bytes | None:
        return await anext(self._pieces, None)
