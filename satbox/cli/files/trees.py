"""Folders of this machine as tar archives: packed in portions, and unpacked from a sandbox without trust in a single name."""

import os
import shutil
import stat
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any, Protocol

from operations.errors import SatboxError
from sandboxes.supervisor import sparse
from satbox.agent.local_paths import local_path
from satbox.cli.errors import UsageError

PORTION_BYTES = 64 << 20
PORTION_ENTRIES = 5_000
EXTENDED_HEADER_BYTES_MAX = 1 << 20
COPY_BYTES = 1 << 18
_EXTENDED = (
    tarfile.XHDTYPE,
    tarfile.XGLTYPE,
    tarfile.SOLARIS_XHDTYPE,
    tarfile.GNUTYPE_LONGNAME,
    tarfile.GNUTYPE_LONGLINK,
)
NO_FILE = "neither a file nor a directory"
LEADS_OUT = "a symbolic link that leads out of the folder"


class Copied(Protocol):
    """Counts what is copied, and names what is not. Names are relative to the folder that is copied."""

    def add(self, name: str, size_bytes: int | None) -> None:
        """One file more, or with None a link, which has no bytes of its own."""
        ...

    def skip(self, name: str, reason: str) -> None:
        """Something was left out."""
        ...


def stays_inside(depth: int, to: str) -> bool:
    """Whether a link in a folder `depth` below the top stays below it, wherever other such links lead: no `..` after a name."""
    parts = [part for part in to.split("/") if part not in ("", ".")]
    ups = next((at for at, part in enumerate(parts) if part != ".."), len(parts))
    return bool(to) and not to.startswith("/") and "\0" not in to and ups <= depth and ".." not in parts[ups:]


def walk(root: Path) -> Iterator[tuple[Path, os.stat_result]]:
    """All below a folder, folders before what is in them; links and devices are named, never followed."""
    for folder, names, files in os.walk(root, followlinks=False, onerror=_failed):
        names.sort()
        for name in [*names, *sorted(files)]:
            path = Path(folder) / name
            yield path, path.lstat()


def _failed(error: OSError) -> None:
    raise error


class Portions:
    """A folder as tar archives of a bounded size. `large` are the files too large for one, to be sent alone."""

    def __init__(self, root: Path, copied: Copied) -> None:
        self._root = root
        self._copied = copied
        self._left = walk(root)
        self.large: list[tuple[Path, int]] = []
        self.is_done = False

    def write(self, file: IO[bytes]) -> None:
        """The next portion. Raises OSError."""
        size = entries = 0
        with tarfile.open(fileobj=file, mode="w", format=tarfile.PAX_FORMAT) as archive:
            for path, status in self._left:
                entries += 1
                size += self._add(archive, path, status)
                if size >= PORTION_BYTES or entries >= PORTION_ENTRIES:
                    return
        self.is_done = True

    def _add(self, archive: tarfile.TarFile, path: Path, status: os.stat_result) -> int:
        name = path.relative_to(self._root).as_posix()
        stored = _stored(path, status)
        if stored is None and stat.S_ISREG(status.st_mode) and status.st_size > PORTION_BYTES:
            self.large.append((path, status.st_mode))
            return 0
        if stat.S_ISLNK(status.st_mode) and not stays_inside(name.count("/"), os.readlink(path)):
            self._copied.skip(name, LEADS_OUT)
            return 0
        if not stat.S_ISREG(status.st_mode) and not stat.S_ISDIR(status.st_mode) and not stat.S_ISLNK(status.st_mode):
            self._copied.skip(name, NO_FILE)
            return 0
        size = _add_member(archive, path, name, stored)
        if not stat.S_ISDIR(status.st_mode):
            self._copied.add(name, size)
        return size or 0


def pack_alone(file: IO[bytes], path: Path, name: str) -> int:
    """One file as an archive; its size without holes. Raises OSError."""
    with tarfile.open(fileobj=file, mode="w", format=tarfile.PAX_FORMAT) as archive:
        return _add_member(archive, path, name, _stored(path, path.stat())) or 0


def _add_member(archive: tarfile.TarFile, path: Path, name: str, stored: sparse.Pieces | None) -> int | None:
    """How many bytes went; None for a link."""
    info = archive.gettarinfo(path, name)
    info.uid = info.gid = 0
    info.uname = info.gname = ""
    if not info.isreg():
        archive.addfile(info)
        return info.size if info.isdir() else None
    with path.open("rb") as file:
        if stored is None:
            archive.addfile(info, file)
            return info.size
        content = sparse.Stored(file.fileno(), info.size, stored)
        content.describe(info)
        archive.addfile(info, content)  # type: ignore[arg-type]
        return content.stored_bytes


def has_holes(path: Path) -> bool:
    """Whether a file has more length than content."""
    return _stored(path, path.stat()) is not None


def _stored(path: Path, status: os.stat_result) -> sparse.Pieces | None:
    """What a file with holes has stored; None for all else."""
    if not stat.S_ISREG(status.st_mode) or status.st_blocks * 512 >= status.st_size:
        return None
    with path.open("rb") as file:
        return sparse.pieces(file.fileno(), status)


class _Member(tarfile.TarInfo):
    """Refuses names and extensions so long that reading them would take this machine's memory."""

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str | None, errors: str) -> "_Member":
        member = super().frombuf(buf, encoding, errors)  # type: ignore[arg-type]
        if member.type in _EXTENDED and member.size > EXTENDED_HEADER_BYTES_MAX:
            raise SatboxError("archive_invalid", "A header in the archive is too large.")
        return member

    def _proc_gnusparse_10(self, next: Any, _pax_headers: Any, archive: Any) -> None:
        """The map of a sparse file, as tarfile reads it, but of a bounded length."""
        lines = _Numbers(archive.fileobj)
        count = lines.next()
        if not 0 <= count <= sparse.PIECES_MAX + 1:
            raise SatboxError("archive_invalid", "The map of a sparse file in the archive is too large.")
        next.sparse = [(lines.next(), lines.next()) for _ in range(count)]
        next.offset_data = archive.fileobj.tell()

    def _proc_sparse(self, _archive: Any) -> Any:
        raise SatboxError("archive_invalid", "The archive holds a sparse file of an old format.")


class _Numbers:
    """Decimal lines at the beginning of a member."""

    def __init__(self, source: IO[bytes]) -> None:
        self._source = source
        self._held = b""

    def next(self) -> int:
        """The next one."""
        while b"\n" not in self._held:
            block = self._source.read(tarfile.BLOCKSIZE)
            if not block or len(self._held) > tarfile.BLOCKSIZE:
                raise tarfile.ReadError("no map of a sparse file")
            self._held += block
        line, _, self._held = self._held.partition(b"\n")
        if not line.isdigit():
            raise tarfile.ReadError("no map of a sparse file")
        return int(line)


class Unpacking:
    """A tar archive out of a sandbox into a folder here. What is in it may try to be written elsewhere: names lead only below
    the folder, nothing is written through a link, links are made last, and none of them leads out.
    """

    def __init__(self, root: Path, copied: Copied) -> None:
        self._root = root
        self._copied = copied
        self._umask = os.umask(0o077)
        os.umask(self._umask)
        self._folders: dict[tuple[str, ...], None] = {(): None}
        self._modes: list[tuple[Path, int]] = []
        self._written: set[tuple[str, ...]] = set()
        self._links: list[tuple[tuple[str, ...], str]] = []
        self._temporary = root / f".satbox-{os.urandom(6).hex()}.part"

    def run(self, read: Callable[[int], bytes]) -> None:
        """Unpack what `read` gives. Raises SatboxError."""
        try:
            with local_path(self._root):
                self._root.mkdir(exist_ok=True)
                with tarfile.open(fileobj=_Source(read), mode="r|", bufsize=COPY_BYTES, tarinfo=_Member) as archive:  # type: ignore[call-overload]
                    for member in archive:
                        self._take(archive, member)
                for parts, to in self._links:
                    self._link(parts, to)
                for folder, mode in reversed(self._modes):
                    folder.chmod(mode & 0o777 & ~self._umask | 0o700)
        except tarfile.TarError as error:
            raise SatboxError("archive_invalid", f"What the sandbox sent is not an archive: {error}"[:200]) from error
        finally:
            self._temporary.unlink(missing_ok=True)

    def _take(self, archive: tarfile.TarFile, member: tarfile.TarInfo) -> None:
        parts = _parts(member.name)
        if parts is None:
            self._copied.skip(member.name, "not a name for a file here")
        elif not parts:
            return
        elif member.isdir():
            self._folder(parts, member.mode)
        elif member.issym():
            if stays_inside(len(parts) - 1, member.linkname):
                self._links.append((parts, member.linkname))
            else:
                self._copied.skip(member.name, LEADS_OUT)
        elif member.issparse():
            try:
                stored = sparse.check(member)
            except sparse.BadMapError as error:
                raise SatboxError("archive_invalid", f"The archive holds {error}.") from error
            self._file(parts, lambda file: sum(sparse.restore(member, archive, file)), member, stored)
        elif member.isreg():
            source = archive.extractfile(member)
            assert source is not None
            self._file(parts, lambda file: shutil.copyfileobj(source, file, COPY_BYTES), member, member.size)
        elif member.islnk():
            self._hard_link(parts, _parts(member.linkname), member.name)
        else:
            self._copied.skip(member.name, NO_FILE)

    def _folder(self, parts: tuple[str, ...], mode: int | None = None) -> bool:
        """Make a folder, and those above it. False, and named, where a link of this machine is in the way."""
        for length in range(1, len(parts) + 1):
            above = parts[:length]
            if above in self._folders:
                continue
            path = self._root.joinpath(*above)
            if path.is_symlink():
                self._copied.skip("/".join(parts), f"{path} is a symbolic link here; links are not followed")
                return False
            if not path.exists():
                path.mkdir(mode=0o700)
                self._modes.append((path, mode if mode is not None and length == len(parts) else 0o755))
            elif not path.is_dir():
                raise UsageError(f"{path} here is not a directory", "Move it away, or name another path.")
            self._folders[above] = None
        return True

    def _file(
        self, parts: tuple[str, ...], copy: Callable[[IO[bytes]], object], member: tarfile.TarInfo, stored_bytes: int
    ) -> None:
        if not self._folder(parts[:-1]):
            return
        target = self._root.joinpath(*parts)
        descriptor = os.open(self._temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        with open(descriptor, "wb") as file:
            copy(file)
            os.fchmod(file.fileno(), member.mode & 0o777 & ~self._umask)
        self._temporary.replace(target)
        self._written.add(parts)
        self._copied.add("/".join(parts), stored_bytes)

    def _hard_link(self, parts: tuple[str, ...], to: tuple[str, ...] | None, name: str) -> None:
        if to not in self._written or to is None:
            self._copied.skip(name, "a link to a file that is not in the folder")
        elif to != parts and self._folder(parts[:-1]):
            os.link(self._root.joinpath(*to), self._temporary, follow_symlinks=False)
            self._temporary.replace(self._root.joinpath(*parts))
            self._temporary.unlink(missing_ok=True)  # a rename between two names of one file does nothing
            self._written.add(parts)
            self._copied.add("/".join(parts), None)

    def _link(self, parts: tuple[str, ...], to: str) -> None:
        if not self._folder(parts[:-1]):
            return
        target = self._root.joinpath(*parts)
        if target.is_dir() and not target.is_symlink():
            self._copied.skip("/".join(parts), f"{target} is a directory here")
            return
        self._temporary.symlink_to(to)
        root = os.path.realpath(self._root)
        if os.path.commonpath([root, os.path.realpath(target.parent / to)]) != root:
            self._temporary.unlink()
            self._copied.skip("/".join(parts), LEADS_OUT)  # by way of a link that was here before
            return
        self._temporary.replace(target)
        self._copied.add("/".join(parts), None)


class _Source:
    """What tarfile takes for a file that is read once."""

    def __init__(self, read: Callable[[int], bytes]) -> None:
        self.read = read


def _parts(name: str) -> tuple[str, ...] | None:
    """A member's name in pieces; None for one that leads elsewhere."""
    parts = tuple(part for part in name.split("/") if part not in ("", "."))
    return None if name.startswith("/") or ".." in parts or "\0" in name or ("\\" in name and os.sep == "\\") else parts
