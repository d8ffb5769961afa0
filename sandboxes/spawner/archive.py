"""Workspace to tar stream and back, locked into the volume.

Packing runs as the root of the slot's own user namespace (a plain host uid outside it) and keeps one capability of that
namespace, CAP_DAC_READ_SEARCH: it reads what the tenant made unreadable for itself, changes nothing, and means nothing for
a file of anyone else. Unpacking runs as the tenant's host uid. Both are inside a chroot of the volume before they look at
anything, so neither a link nor a name in an archive can lead outside. Only regular files, directories, links and hard links
travel; owners become the tenant, set-id bits are dropped. What can't travel is counted and, up to a limit, named.
Compression and digest are the node's part: this side never sees a path of the host.
"""

from __future__ import annotations

import errno
import functools
import json
import os
import resource
import stat
import tarfile
from collections.abc import Callable, Iterator
from typing import IO, Any

from sandboxes.supervisor import sparse

from . import kernel

TENANT_ID = 1000
COPY_BYTES = 1 << 18
EXAMPLES_MAX = 10
EXAMPLE_CHARACTERS_MAX = 160
TRAILER_BYTES_MAX = 1 << 20  # tar pads its end to whole records
MEMORY_BYTES_MAX = 1 << 30  # headers may announce anything, and this child is in no cgroup
_UNREADABLE = frozenset({errno.EACCES, errno.EPERM, errno.ENAMETOOLONG, errno.ELOOP})
_ZEROS = bytes(4096)


class UnsafeError(Exception):
    """The archive holds what `pack` could not have made."""

    exit_code = 2


class LimitError(Exception):
    """The archive does not fit."""

    exit_code = 3


class Report:
    """What was written, and what was not: counted, the first few by name."""

    def __init__(self) -> None:
        self.entries = 0
        self.bytes = 0
        self.skipped = 0
        self.examples: list[str] = []

    @property
    def is_naming(self) -> bool:
        """Whether what is left behind is still named; it is counted in any case."""
        return len(self.examples) < EXAMPLES_MAX

    def skip(self, path: str, reason: str) -> None:
        """One thing is left behind."""
        self.skipped += 1
        if self.is_naming:
            name = os.fsencode(path.removeprefix("./")).decode("utf-8", "backslashreplace")
            if len(name) > EXAMPLE_CHARACTERS_MAX:
                name = name[:EXAMPLE_CHARACTERS_MAX] + "..."
            self.examples.append(f"{name}: {reason}")

    def send(self, report_fd: int) -> None:
        """To the node, as JSON."""
        content = {"entries": self.entries, "bytes": self.bytes, "skipped": self.skipped, "examples": self.examples}
        os.write(report_fd, json.dumps(content).encode())


def _prepare() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES_MAX, MEMORY_BYTES_MAX))
    tarfile.TarInfo().tobuf(tarfile.PAX_FORMAT)  # what is imported lazily must be imported before the root changes


def _enter_as_tenant(message: dict[str, Any]) -> None:
    _prepare()
    parent = os.getppid()
    uid = int(message["tenant_uid"])
    os.chroot(message["folder"])
    os.chdir("/")
    os.setgroups([])
    os.setresgid(uid, uid, uid)
    os.setresuid(uid, uid, uid)
    kernel.die_with_parent(parent)
    os.umask(0o077)


def _enter_as_slot_root(message: dict[str, Any], join: Callable[[], None]) -> None:
    """The slot's uid first, then its user namespace: no capability of the host is left when the tree is looked at."""
    _prepare()
    uid = int(message["slot_uid"])
    os.chdir(message["folder"])
    kernel.become(uid)
    kernel.unshare(kernel.CLONE_NEWUSER)
    join()
    os.chroot(".")  # after the namespace: the kernel makes none for a process that is chrooted
    os.chdir("/")
    kernel.keep_capability(kernel.CAP_DAC_READ_SEARCH)


def pack(message: dict[str, Any], data_fd: int, report_fd: int, join: Callable[[], None]) -> None:
    """Write the volume as a tar stream to `data_fd`, then `{entries, bytes, skipped, examples}` to `report_fd`.
    `join` returns once the parent has written the maps of this process's new user namespace.
    """
    _enter_as_slot_root(message, join)
    report = Report()
    with os.fdopen(os.dup(data_fd), "wb", buffering=COPY_BYTES) as out:
        _pack(out, int(message["bytes_max"]), int(message["entries_max"]), report)
        out.write(bytes(2 * tarfile.BLOCKSIZE))
    report.send(report_fd)


def _walk(report: Report, looked_at_max: int) -> Iterator[os.DirEntry[str]]:
    """Depth first, sorted, so that the same workspace gives the same bytes. At most `looked_at_max` entries are looked
    at: names cost a tenant almost nothing, and a packer that can be kept busy for ever would keep its slot taken.
    """
    pending: list[os.DirEntry[str]] = _listing(".", report, looked_at_max)
    left = looked_at_max - len(pending)
    while pending:
        entry = pending.pop()
        yield entry
        if entry.is_dir(follow_symlinks=False):
            try:
                inside = _listing(entry.path, report, left)
            except _TooDeepError as error:
                left -= _leave_below(entry.path, report, left, error.reason)
                continue
            left -= len(inside)
            pending += inside


class _TooDeepError(Exception):
    """A folder's path is longer than the kernel takes."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def _leave_below(folder: str, report: Report, most: int, reason: str) -> int:
    """Count what lies below a folder whose path is too long, at most `most` entries; how many there were. From folder to folder
    and back by `..`, with one of them open: a tree's depth costs neither descriptors nor longer paths. Nothing moves meanwhile.
    """
    above, _, name = folder.rpartition("/")
    at = os.open(above, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    names, waiting, looked_at = [above], [[name]], 0
    while waiting:
        step = waiting[-1].pop() if waiting[-1] else ".."
        if step == "..":
            waiting.pop()
            names.pop()
            if not waiting:
                break
        below = os.open(step, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=at)
        os.close(at)
        at = below
        if step == "..":
            continue
        names.append(step)
        waiting.append([])
        with os.scandir(at) as entries:
            for entry in entries:
                if looked_at >= most:
                    report.skip("/".join(names), "too many entries, some were not looked at")
                    os.close(at)
                    return looked_at
                looked_at += 1
                report.skip("/".join([*names, entry.name]) if report.is_naming else "", reason)
                if entry.is_dir(follow_symlinks=False):
                    waiting[-1].append(entry.name)
    os.close(at)
    return looked_at


def _listing(folder: str, report: Report, most: int) -> list[os.DirEntry[str]]:
    """The last name first, as a stack wants it. What is past the limit counts as one thing left behind."""
    found: list[os.DirEntry[str]] = []
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if len(found) >= most:
                    report.skip(folder, "too many entries, some were not looked at")
                    break
                found.append(entry)
    except OSError as error:
        if error.errno == errno.ENAMETOOLONG:  # the folder itself is counted where its entry is looked at
            raise _TooDeepError(str(error.strerror)) from error
        if error.errno not in _UNREADABLE:
            raise
        report.skip(folder, error.strerror or "can't be read")
    return sorted(found, key=lambda entry: entry.name, reverse=True)


def _pack(out: IO[bytes], bytes_max: int, entries_max: int, report: Report) -> None:
    first_names: dict[int, str] = {}
    for entry in _walk(report, 2 * entries_max):
        if report.entries >= entries_max:
            report.skip(entry.path, "over the limit of entries")
            continue
        fd = -1
        stored: sparse.Stored | None = None
        try:
            info = entry.stat(follow_symlinks=False)
            size = info.st_size if stat.S_ISREG(info.st_mode) else 0
            if stat.S_ISREG(info.st_mode):
                if info.st_nlink == 1 or info.st_ino not in first_names:
                    fd = os.open(entry.path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
                    pieces = sparse.pieces(fd, info)
                    stored = None if pieces is None else sparse.Stored(fd, info.st_size, pieces)
                    size = info.st_size if stored is None else stored.stored_bytes
                if fd >= 0 and report.bytes + size > bytes_max:
                    os.close(fd)
                    report.skip(entry.path, "over the limit of bytes")  # the rest must not be lost for it
                    continue
            header = _header(entry, info, first_names)
        except OSError as error:
            if error.errno not in _UNREADABLE:
                raise
            report.skip(entry.path, error.strerror or "can't be read")
            continue
        if header is None:
            report.skip(entry.path, "neither file, folder nor link")
            continue
        report.entries += 1
        if stored is not None:
            stored.describe(header)
        out.write(header.tobuf(tarfile.PAX_FORMAT, "utf-8", "surrogateescape"))
        if fd >= 0:
            report.bytes += size
            _copy_out(functools.partial(os.read, fd) if stored is None else stored.read, out, header.size)
            os.close(fd)


def _header(entry: os.DirEntry[str], info: os.stat_result, first_names: dict[int, str]) -> tarfile.TarInfo | None:
    header = tarfile.TarInfo(entry.path.removeprefix("./"))
    header.uid = header.gid = TENANT_ID
    header.uname = header.gname = "tenant"
    header.mode = stat.S_IMODE(info.st_mode) & 0o777
    header.mtime = info.st_mtime_ns // 1_000_000_000
    if stat.S_ISDIR(info.st_mode):
        header.type = tarfile.DIRTYPE
    elif stat.S_ISLNK(info.st_mode):
        header.type = tarfile.SYMTYPE
        header.linkname = os.readlink(entry.path)
    elif stat.S_ISREG(info.st_mode):
        first = first_names.get(info.st_ino) if info.st_nlink > 1 else None
        if first is not None:
            header.type = tarfile.LNKTYPE
            header.linkname = first
        else:
            first_names[info.st_ino] = header.name
            header.size = info.st_size
    else:
        return None
    return header


def _copy_out(read: Callable[[int], bytes], out: IO[bytes], size: int) -> None:
    left = size
    while left:
        data = read(min(left, COPY_BYTES))
        if not data:
            raise OSError("a file shrank while it was packed")
        out.write(data)
        left -= len(data)
    out.write(bytes(-size % tarfile.BLOCKSIZE))


def unpack(message: dict[str, Any], data_fd: int, report_fd: int) -> None:
    """Read a tar stream from `data_fd` into the volume. Refuses every name and kind that `pack` could not have made."""
    _enter_as_tenant(message)
    entries_max, bytes_max = int(message["entries_max"]), int(message["bytes_max"])
    report = Report()
    directories: list[tuple[str, int, float]] = []
    with os.fdopen(os.dup(data_fd), "rb", buffering=COPY_BYTES) as stream:
        try:
            with tarfile.open(fileobj=stream, mode="r|", errorlevel=2) as archive:
                for member in archive:
                    report.entries += 1
                    report.bytes += sparse.check(member) if member.issparse() else member.size
                    if report.entries > entries_max or report.bytes > bytes_max:
                        raise LimitError("the archive is over its limits")
                    _restore(archive, member, directories)
            if len(stream.read(TRAILER_BYTES_MAX + 1)) > TRAILER_BYTES_MAX:
                raise UnsafeError("the archive goes on after its end")
        except (tarfile.TarError, sparse.BadMapError, MemoryError, EOFError, ValueError) as error:
            raise UnsafeError(f"not an archive: {type(error).__name__}") from error
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise LimitError("the volume is full") from error
            raise UnsafeError(f"can't be restored: {error.strerror}") from error
    for path, mode, mtime in reversed(directories):
        os.chmod(path, mode)
        os.utime(path, (mtime, mtime))
    report.send(report_fd)


def _safe(name: str) -> str:
    """A relative path without a step upwards; anything else is refused."""
    parts = name.split("/")
    if not name or name.startswith("/") or ".." in parts or "\0" in name:
        raise UnsafeError(f"unsafe name in archive: {name[:200]!r}")
    return name


def _restore(archive: tarfile.TarFile, member: tarfile.TarInfo, directories: list[tuple[str, int, float]]) -> None:
    path, mode = _safe(member.name), member.mode & 0o777
    if member.isdir():
        os.makedirs(path, mode=0o700, exist_ok=True)
        directories.append((path, mode, member.mtime))
    elif member.issym():
        os.symlink(member.linkname, path)
    elif member.islnk():
        os.link(_safe(member.linkname), path, follow_symlinks=False)
    elif member.isreg():
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        if member.issparse():
            with os.fdopen(os.dup(fd), "wb") as file:
                for _size in sparse.restore(member, archive, file):
                    continue
        else:
            source = archive.extractfile(member)
            if source is None:
                raise UnsafeError("a regular file without content")
            _copy_in(source, fd)
            os.ftruncate(fd, member.size)
        os.fchmod(fd, mode)
        os.utime(fd, (member.mtime, member.mtime))
        os.close(fd)
    else:
        raise UnsafeError(f"unsafe kind in archive: {member.type!r}")


def _copy_in(source: IO[bytes], fd: int) -> None:
    """Copy, leaving blocks of zeros as holes: a sparse file stays as small as it was."""
    while data := source.read(COPY_BYTES):
        if data.count(0) == len(data) and not len(data) % len(_ZEROS):
            os.lseek(fd, len(data), os.SEEK_CUR)
            continue
        view = memoryview(data)
        while view:
            view = view[os.write(fd, view) :]
