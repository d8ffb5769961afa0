"""Image definitions (TOML beside this file) and turning one into what a driver mounts."""

from __future__ import annotations

import hashlib
import shutil
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

FOLDER = Path(__file__).parent
_PACKAGE_STATUS = Path("/var/lib/dpkg/status")


class ImageMissing(LookupError):  # noqa: N818 - reads as what happened
    """No image of that name is defined."""


class ImageDefinition(BaseModel):
    """One image as written in its TOML file."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(pattern=r"^[a-z][a-z0-9-]{0,31}$")
    kind: Literal["host-usr"]
    pinned: bool
    python: str
    shell: str | None = None
    etc_from_host: tuple[str, ...] = ()
    environment: dict[str, str] = Field(default_factory=dict)
    etc: dict[str, str] = Field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class PreparedImage:
    """An image ready to mount. `digest` identifies its content; unless `pinned`, content and digest follow the host."""

    definition: ImageDefinition
    digest: str
    etc_folder: Path


def names() -> list[str]:
    """The defined images."""
    return sorted(path.stem for path in FOLDER.glob("*.toml"))


def load(name: str) -> ImageDefinition:
    """Read one definition. Raises ImageMissing."""
    if name not in names():
        raise ImageMissing(name)
    return ImageDefinition.model_validate(tomllib.loads((FOLDER / f"{name}.toml").read_text()))


def digest(definition: ImageDefinition, package_status: Path = _PACKAGE_STATUS) -> str:
    """sha256 over the definition and the host's package status: changes whenever what is in the image may have."""
    hasher = hashlib.sha256(definition.model_dump_json().encode())
    if package_status.exists():
        hasher.update(package_status.read_bytes())
    return hasher.hexdigest()


def prepare(definition: ImageDefinition, store: Path, host_etc: Path = Path("/etc")) -> PreparedImage:
    """Make the image's /etc below `store`, once per digest."""
    identity = digest(definition)
    folder = store / identity
    if not folder.exists():
        building = store / f"{identity}.new"
        shutil.rmtree(building, ignore_errors=True)
        etc = building / "etc"
        etc.mkdir(parents=True)
        for relative in definition.etc_from_host:
            _copy(host_etc / relative, etc / relative)
        for relative, text in definition.etc.items():
            (etc / relative).write_text(text.lstrip("\n"))
        building.rename(folder)
    return PreparedImage(definition, identity, folder / "etc")


def _copy(source: Path, target: Path) -> None:
    """Copy a file or folder; links inside a folder stay links, a link named itself is followed."""
    if not source.exists():
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.is_dir():
        shutil.copytree(source, target, symlinks=True)
    else:
        shutil.copyfile(source, target)
        target.chmod(0o644)
