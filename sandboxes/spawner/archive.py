"""Workspace to tar stream and back, as the slot's uid, locked into the volume.

The child enters the volume with chroot and becomes the tenant's host uid before it looks at anything, so neither a link
nor a name in an archive can lead outside. Only regular files, directories, links and hard links travel; owners become the
tenant, set-id bits are dropped. Compression and digest are the node's part: this side never sees a path of the host.
"""

from __future__ import annotations

import json
import os
import stat
import tarfile
from collections.abc import Iterator
from typing import IO, Any

from . import kernel

TENANT_ID = 1000
COPY_BYTES = 1 << 18
_ZEROS = bytes(4096)


class LimitError(Exception):
    """The workspace is over a limit of its snapshot."""


def _enter(message: dict[str, Any]) -> None:
    tarfile.TarInfo().tobuf(tarfile.PAX_FORMAT)  # what is imported lazily must be imported before the root changes
    parent = os.getppid()
    uid = int(message["tenant_uid"])
    os.chroot(message["folder"])
    os.chdir("/")
    os.setgroups([])
    os.setresgid(uid, uid, uid)
    os.setresuid(uid, uid, uid)
    kernel.die_with_parent(parent)
    os.umask(0o077)


def pack(message: dict[str, Any], data_fd: int, report_fd: int) -> None:
    """Write the volume as a tar stream to `data_fd`, then `{entries, bytes, skipped}` to `report_fd`."""
    _enter(message)
    counts = {"entries": 0, "bytes": 0, "skipped": 0}
    with os.fdopen(os.dup(data_fd), "wb", buffering=COPY_BYTES) as out:
        _pack(out, int(message["bytes_max"]), int(message["entries_max"]), counts)
        out.write(bytes(2 * tarfile.BLOCKSIZE))
    os.write(report_fd, json.dumps(counts).encode())


def _walk(folder: str) -> Iterator[os.DirEntry[str]]:
    """Depth first, sorted, so that the same workspace gives the same bytes. What can't be read is passed over."""
    try:
        with os.scandir(folder) as entries:
            ordered = sorted(entries, key=lambda entry: entry.name)
    except PermissionError:
        return
    for entry in ordered:
        yield entry
        if entry.is_dir(follow_symlinks=False):
            yield from _walk(entry.path)


def _pack(out: IO[bytes], bytes_max: int, entries_max: int, counts: dict[str, int]) -> None:
    first_names: dict[int, str] = {}
    for entry in _walk("."):
        info = entry.stat(follow_symlinks=False)
        header = _header(entry, info, first_names)
        if header is None:
            counts["skipped"] += 1
            continue
        if counts["entries"] >= entries_max:
            raise LimitError(f"more than {entries_max} entries")
        fd = -1
        if header.isreg():
            if counts["bytes"] + info.st_size > bytes_max:
                # A sparse file may claim more than the volume holds; the rest of the workspace must not be lost for it.
                counts["skipped"] += 1
                continue
            try:
                fd = os.open(entry.path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
            except PermissionError:
                os.chmod(entry.path, 0o600)  # the tenant's own file with its own read bit off
                fd = os.open(entry.path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
            counts["bytes"] += info.st_size
        counts["entries"] += 1
        out.write(header.tobuf(tarfile.PAX_FORMAT, "utf-8", "surrogateescape"))
        if fd >= 0:
            _copy_out(fd, out, info.st_size)
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


def _copy_out(fd: int, out: IO[bytes], size: int) -> None:
    left = size
    while left:
        data = os.read(fd, min(left, COPY_BYTES))
        if not data:
            raise OSError("a file shrank while it was packed")
        out.write(data)
        left -= len(data)
    out.write(bytes(-size % tarfile.BLOCKSIZE))


def unpack(message: dict[str, Any], data_fd: int, report_fd: int) -> None:
    """Read a tar stream from `data_fd` into the volume. Refuses every name and kind that `pack` could not have made."""
    _enter(message)
    entries_max, bytes_max = int(message["entries_max"]), int(message["bytes_max"])
    counts = {"entries": 0, "bytes": 0, "skipped": 0}
    directories: list[tuple[str, int, float]] = []
    with os.fdopen(os.dup(data_fd), "rb", buffering=COPY_BYTES) as stream:
        with tarfile.open(fileobj=stream, mode="r|", errorlevel=2) as archive:
            for member in archive:
                counts["entries"] += 1
                counts["bytes"] += member.size
                if counts["entries"] > entries_max or counts["bytes"] > bytes_max:
                    raise LimitError("the archive is over its limits")
                _restore(archive, member, directories)
        while stream.read(COPY_BYTES):
            pass
    for path, mode, mtime in reversed(directories):
        os.chmod(path, mode)
        os.utime(path, (mtime, mtime))
    os.write(report_fd, json.dumps(counts).encode())


def _safe(name: str) -> str:
    """A relative path without a step upwards; anything else is refused."""
    parts = name.split("/")
    if not name or name.startswith("/") or ".." in parts or "\0" in name:
        raise LimitError(f"unsafe name in archive: {name[:200]!r}")
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
        source = archive.extractfile(member)
        if source is None:
            raise LimitError("a regular file without content")
        _copy_in(source, fd)
        os.ftruncate(fd, member.size)
        os.fchmod(fd, mode)
        os.utime(fd, (member.mtime, member.mtime))
        os.close(fd)
    else:
        raise LimitError(f"unsafe kind in archive: {member.type!r}")


def _copy_in(source: IO[bytes], fd: int) -> None:
    """Copy, leaving blocks of zeros as holes: a sparse file comes back as small as it was."""
    while data := source.read(COPY_BYTES):
        if data.count(0) == len(data) and not len(data) % len(_ZEROS):
            os.lseek(fd, len(data), os.SEEK_CUR)
            continue
        view = memoryview(data)
        while view:
            view = view[os.write(fd, view) :]
