"""The store of built images: one folder per digest, one small file per name that says which digest it stands for.

    store/<digest>/rootfs/         what a driver mounts, read-only
    store/<digest>/manifest.json   what it is; a shared lock on it is held by every node that offers it
    names/<name>                   the digest, replaced in one step
    definitions/<name>.toml        the operator's own images
    build.lock                     held while something is built or removed

A folder appears under its digest complete or not at all.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from images.definition import ImageDefinition

_DIGEST_CHARACTERS = 64


class ImageNotBuilt(LookupError):  # noqa: N818 - reads as what happened
    """The image is defined but not built here."""

    def __init__(self, name: str) -> None:
        super().__init__(f"image {name!r} is not built on this machine: satbox images build {name}")


class ImageInUse(Exception):  # noqa: N818 - reads as what happened
    """A running node offers the image."""


class StoreBusy(Exception):  # noqa: N818 - reads as what happened
    """Another process builds or removes images of this store."""


class Package(BaseModel):
    """One Debian package of an image."""

    model_config = ConfigDict(frozen=True)

    name: str
    version: str
    architecture: str


class Manifest(BaseModel):
    """What a built image is. `digest` is over the definition and the packages' versions; `content_sha256` over every
    file's path, mode and bytes.
    """

    model_config = ConfigDict(frozen=True)

    digest: str = Field(pattern=r"^[0-9a-f]{64}$")
    definition: ImageDefinition
    definition_sha256: str
    suite: str
    packages: tuple[Package, ...]
    size_bytes: int
    files: int
    content_sha256: str
    built_at: str
    build_seconds: float


@dataclass(frozen=True, slots=True)
class BuiltImage:
    """A manifest and where its files are."""

    manifest: Manifest
    folder: Path

    @property
    def rootfs(self) -> Path:
        """The file system's root."""
        return self.folder / "rootfs"


class ImageStore:
    """Reads and changes one store. Reading needs no lock: folders never change once they have their name."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.built = folder / "store"
        self._names = folder / "names"

    def get(self, name: str) -> BuiltImage:
        """The image a name stands for. Raises ImageNotBuilt."""
        try:
            digest = (self._names / name).read_text().strip()
            folder = self.built / digest
            manifest = Manifest.model_validate_json((folder / "manifest.json").read_bytes())
        except (OSError, ValidationError) as error:
            raise ImageNotBuilt(name) from error
        if len(digest) != _DIGEST_CHARACTERS or manifest.digest != digest:
            raise ImageNotBuilt(name)
        return BuiltImage(manifest, folder)

    def names(self) -> list[str]:
        """Names with a built image."""
        found = []
        for path in sorted(self._names.glob("*")) if self._names.is_dir() else []:
            with contextlib.suppress(ImageNotBuilt):
                self.get(path.name)
                found.append(path.name)
        return found

    @contextlib.contextmanager
    def changing(self) -> Iterator[None]:
        """The only one that changes this store. Raises StoreBusy. What a killed build left is cleared first."""
        self.built.mkdir(parents=True, exist_ok=True)
        self._names.mkdir(exist_ok=True)
        # Sandboxes' ids have to get through to a rootfs; nothing else in here is anybody's.
        for folder in (self.folder, self.built):
            folder.chmod(0o711)
        lock = os.open(self.folder / "build.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                raise StoreBusy("another process builds or removes images here") from error
            for left in self.built.glob(".*"):
                shutil.rmtree(left)
            yield
        finally:
            os.close(lock)

    def new_folder(self) -> Path:
        """A folder to build in, on the store's own file system. Only while `changing`."""
        folder = self.built / f".building-{uuid.uuid4().hex}"
        folder.mkdir(mode=0o700)
        return folder

    def take_in(self, building: Path, manifest: Manifest) -> BuiltImage:
        """Give a finished folder its digest's name and let the image's name stand for it. Only while `changing`."""
        (building / "manifest.json").write_text(manifest.model_dump_json(indent=1))
        folder = self.built / manifest.digest
        if folder.exists():
            shutil.rmtree(building)
        else:
            building.chmod(0o711)
            _sync(building / "manifest.json")
            building.rename(folder)
        pointer = self._names / manifest.definition.name
        fresh = pointer.with_name(f".{pointer.name}")
        fresh.write_text(manifest.digest + "\n")
        fresh.rename(pointer)
        self._prune()
        return BuiltImage(manifest, folder)

    def remove(self, name: str) -> int:
        """Remove a name and its image unless another name stands for it; the bytes freed. Only while `changing`.
        Raises ImageNotBuilt, ImageInUse.
        """
        built = self.get(name)
        if not _unused(built.folder):
            raise ImageInUse(f"a running node offers image {name!r}; stop it first")
        (self._names / name).unlink()
        self._prune()
        return 0 if built.folder.exists() else built.manifest.size_bytes

    def _prune(self) -> None:
        """Remove images that no name stands for and no node offers."""
        kept = {(self._names / name).read_text().strip() for name in self.names()}
        for folder in self.built.iterdir():
            if folder.name not in kept and not folder.name.startswith(".") and _unused(folder):
                doomed = folder.with_name(f".removing-{folder.name}")
                folder.rename(doomed)
                shutil.rmtree(doomed)


def hold(built: BuiltImage) -> int:
    """Keep an image from being removed as long as the returned descriptor is open. Raises ImageNotBuilt."""
    try:
        lock = os.open(built.folder / "manifest.json", os.O_RDONLY | os.O_CLOEXEC)
        fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError as error:
        raise ImageNotBuilt(built.manifest.definition.name) from error
    return lock


def _unused(folder: Path) -> bool:
    try:
        lock = os.open(folder / "manifest.json", os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return True
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    finally:
        os.close(lock)
    return True


def _sync(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())
