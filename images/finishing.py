"""From what the package manager left to a root file system that sandboxes may share: nothing private, nothing set-id,
no device, places to mount on, one date at most; and the words that identify it.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from images.definition import ImageDefinition
from images.store import Package

MOUNT_POINTS = ("proc", "dev", "sys", "tmp", "run", "workspace", "opt/satbox")
_EMPTIED = ("dev", "run", "tmp", "boot", "home", "root", "media", "mnt", "srv", "var/cache", "var/log", "var/tmp",
            "var/lib/apt/lists", "var/backups", "var/mail", "var/spool")  # fmt: skip
_PRIVATE = ("etc/shadow", "etc/shadow-", "etc/gshadow", "etc/gshadow-", "etc/passwd-", "etc/group-", "etc/machine-id",
            "etc/.pwd.lock", "etc/fstab", "etc/hostname", "etc/resolv.conf", "etc/apt", "var/lib/dbus",
            "var/lib/systemd")  # fmt: skip


class UnexpectedPackages(ValueError):  # noqa: N818 - reads as what happened
    """The package manager's record can't be read."""


@dataclass(frozen=True, slots=True)
class Measured:
    """What a tree holds."""

    files: int
    size_bytes: int
    content_sha256: str


def finish(rootfs: Path, definition: ImageDefinition) -> None:
    """Turn a fresh Debian tree into an image."""
    for relative in _EMPTIED:
        _empty(rootfs / relative)
    for relative in _PRIVATE:
        _remove(rootfs / relative)
    for relative, text in definition.etc.items():
        path = rootfs / "etc" / relative
        path.parent.mkdir(parents=True, exist_ok=True)
        _remove(path)
        path.write_text(text.lstrip("\n"))
        path.chmod(0o644)
    for relative in MOUNT_POINTS:
        _remove(rootfs / relative)
        (rootfs / relative).mkdir(parents=True)
    for relative, target in (("var/tmp", "/tmp"), ("var/run", "/run")):  # noqa: S108 - paths inside
        _remove(rootfs / relative)
        (rootfs / relative).symlink_to(target)
    for path, status in _walk(rootfs):
        if stat.S_ISLNK(status.st_mode):
            pass
        elif not stat.S_ISDIR(status.st_mode) and not stat.S_ISREG(status.st_mode):
            path.unlink()  # devices, sockets, pipes
            continue
        else:
            # Readable by all, writable by its owner alone, no set-id bit; file capabilities go with the ownership change.
            os.chown(path, 0, 0)
            os.chmod(path, (stat.S_IMODE(status.st_mode) & 0o755) | (0o555 if status.st_mode & 0o111 else 0o444))
        if status.st_mtime > definition.source_date_epoch:
            os.utime(path, (definition.source_date_epoch,) * 2, follow_symlinks=False)
    os.utime(rootfs, (definition.source_date_epoch,) * 2)


def packages_of(rootfs: Path) -> tuple[Package, ...]:
    """The installed packages as dpkg has them on record. Raises UnexpectedPackages."""
    found = []
    try:
        text = (rootfs / "var/lib/dpkg/status").read_text()
    except OSError as error:
        raise UnexpectedPackages(f"no package record: {error.strerror}") from error
    for stanza in text.split("\n\n"):
        fields = dict(line.split(": ", 1) for line in stanza.splitlines() if ": " in line and not line[0].isspace())
        if fields.get("Status", "").endswith(" installed"):
            found.append(
                Package(name=fields["Package"], version=fields["Version"], architecture=fields["Architecture"])
            )
    if not found:
        raise UnexpectedPackages("the package record is empty")
    return tuple(sorted(found, key=lambda package: (package.name, package.architecture)))


def definition_sha256(definition: ImageDefinition) -> str:
    """Identifies what was asked for. What is left at its default says nothing: a new setting changes no image."""
    return hashlib.sha256(definition.model_dump_json(exclude_defaults=True).encode()).hexdigest()


def digest_of(definition: ImageDefinition, packages: tuple[Package, ...]) -> str:
    """Identifies what came of it: the definition and every package's version."""
    hasher = hashlib.sha256(definition_sha256(definition).encode())
    for package in packages:
        hasher.update(f"{package.name}={package.version}:{package.architecture}\n".encode())
    return hasher.hexdigest()


def measure(rootfs: Path) -> Measured:
    """Count, size and hash of a finished tree. Two builds of the same packages have the same."""
    hasher, files, size = hashlib.sha256(), 0, 0
    for path, status in _walk(rootfs):
        relative = path.relative_to(rootfs)
        hasher.update(f"{relative}\0{status.st_mode:o}\0".encode("utf-8", "surrogateescape"))
        if stat.S_ISLNK(status.st_mode):
            hasher.update(os.fsencode(os.readlink(path)))
        elif stat.S_ISREG(status.st_mode):
            files, size = files + 1, size + status.st_size
            with path.open("rb") as file:
                hasher.update(hashlib.file_digest(file, "sha256").digest())
    return Measured(files, size, hasher.hexdigest())


def _walk(root: Path) -> Iterator[tuple[Path, os.stat_result]]:
    """Everything below `root` in a fixed order, links not followed, contents before their folder."""
    with os.scandir(root) as entries:
        names = sorted(entry.name for entry in entries)
    for name in names:
        path = root / name
        status = path.lstat()
        if stat.S_ISDIR(status.st_mode):
            yield from _walk(path)
        yield path, status


def _empty(folder: Path) -> None:
    if folder.is_dir() and not folder.is_symlink():
        for entry in folder.iterdir():
            _remove(entry)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
