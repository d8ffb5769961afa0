"""Image definitions: one TOML file each, beside this module or in an operator's folder."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

FOLDER = Path(__file__).parent
EXTENDS_MAX = 4
_PACKAGE = r"^[a-z0-9][a-z0-9+.-]{0,99}$"


class ImageMissing(LookupError):  # noqa: N818 - reads as what happened
    """No image of that name is defined."""


class DefinitionInvalid(ValueError):  # noqa: N818 - reads as what happened
    """A definition's file can't be used; the message names it and says why."""


class Entrypoint(BaseModel):
    """What an image starts by itself, as the tenant, in the background. `on-failure` and `always` wait between two starts,
    twice as long each time up to `backoff_seconds_max`, and give up after `restarts_max` starts that did not last
    `settled_seconds`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    argv: tuple[str, ...] = Field(min_length=1, max_length=64)
    cwd: str = "/workspace"
    restart: Literal["never", "on-failure", "always"] = "on-failure"
    backoff_seconds: float = Field(default=0.5, gt=0, le=60)
    backoff_seconds_max: float = Field(default=30.0, gt=0, le=600)
    settled_seconds: float = Field(default=10.0, gt=0, le=600)
    restarts_max: int = Field(default=10, ge=0, le=1000)


class Readiness(BaseModel):
    """A command that succeeds once the image is ready; a start is answered only then, or fails after `timeout_seconds`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    argv: tuple[str, ...] = Field(min_length=1, max_length=64)
    interval_seconds: float = Field(default=0.1, gt=0, le=10)
    timeout_seconds: float = Field(default=10.0, gt=0, le=60)


class ImageDefinition(BaseModel):
    """One image as written in its TOML file. `host-usr` is the host's own /usr; `debian` is built from packages."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(pattern=r"^[a-z][a-z0-9-]{0,31}$")
    kind: Literal["host-usr", "debian"]
    pinned: bool
    python: str
    summary: str = ""
    shell: str | None = None
    packages: tuple[str, ...] = Field(default=(), max_length=500)
    source_date_epoch: int = Field(default=1_700_000_000, ge=0, description="no file of a built image is newer")
    size_bytes_max: int = Field(default=2 << 30, ge=1 << 20)
    build_seconds_max: float = Field(default=1800.0, gt=0)
    etc_from_host: tuple[str, ...] = ()
    environment: dict[str, str] = Field(default_factory=dict)
    etc: dict[str, str] = Field(default_factory=dict)
    needs: tuple[str, ...] = Field(
        default=(), description="features a driver has to offer, or the image does not start"
    )
    entrypoint: Entrypoint | None = None
    readiness: Readiness | None = None

    @property
    def starts_something(self) -> bool:
        """Whether a sandbox of this image runs something before its owner does."""
        return self.entrypoint is not None or self.readiness is not None

    def model_post_init(self, _context: object) -> None:
        """What one field can't say alone."""
        bad = [package for package in self.packages if not re.match(_PACKAGE, package)]
        if bad:
            raise ValueError(f"not a package's name: {bad[0][:60]!r}")
        if (self.kind == "debian") != bool(self.packages):
            raise ValueError("an image has packages when its kind is debian, and only then")
        if any(".." in Path(path).parts or path.startswith("/") for path in (*self.etc, *self.etc_from_host)):
            raise ValueError("paths in etc are relative and stay below it")


def folders(store: Path | None = None) -> list[Path]:
    """Where definitions are looked for, later ones first: the operator's own, then ours."""
    return [FOLDER] if store is None else [store / "definitions", FOLDER]


def names(places: Iterable[Path] = (FOLDER,)) -> list[str]:
    """The defined images."""
    return sorted({path.stem for folder in places for path in folder.glob("*.toml")})


def load(name: str, places: Iterable[Path] = (FOLDER,)) -> ImageDefinition:
    """Read one definition, with what it `extends`. Raises ImageMissing, DefinitionInvalid."""
    content = _read(name, list(places), EXTENDS_MAX)
    try:
        definition = ImageDefinition.model_validate(content)
    except ValidationError as error:
        faults = "; ".join(f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}" for fault in error.errors()[:5])
        raise DefinitionInvalid(f"image {name}: {faults}") from error
    if definition.name != name:
        raise DefinitionInvalid(f"image {name}: the file and the name in it differ")
    return definition


def _read(name: str, places: list[Path], extends_left: int) -> dict[str, object]:
    path = next((folder / f"{name}.toml" for folder in places if (folder / f"{name}.toml").is_file()), None)
    if path is None or "/" in name:
        raise ImageMissing(name)
    try:
        content: dict[str, object] = tomllib.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise DefinitionInvalid(f"{path}: {error}") from error
    _take_files(content, path)
    base_name = content.pop("extends", None)
    if base_name is None:
        return content
    if extends_left == 0:
        raise DefinitionInvalid(f"{path}: extends too far")
    base = _read(str(base_name), places, extends_left - 1)
    for table in ("environment", "etc"):
        below, own = base.get(table, {}), content.get(table, {})
        if not isinstance(below, dict) or not isinstance(own, dict):
            raise DefinitionInvalid(f"{path}: {table} is a table")
        content[table] = {**below, **own}
    content.setdefault("shell", base.get("shell"))
    return content


def _take_files(content: dict[str, object], path: Path) -> None:
    """`etc_files`: what `etc` gets from files beside the definition, by their path in /etc. Raises DefinitionInvalid."""
    wanted, etc = content.pop("etc_files", {}), content.setdefault("etc", {})
    if not isinstance(wanted, dict) or not isinstance(etc, dict):
        raise DefinitionInvalid(f"{path}: etc and etc_files are tables")
    for relative, name in wanted.items():
        if not isinstance(name, str) or not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,99}", name):
            raise DefinitionInvalid(f"{path}: etc_files names files beside the definition")
        try:
            etc[relative] = (path.parent / name).read_text()
        except (OSError, ValueError) as error:
            raise DefinitionInvalid(f"{path}: {name}: {error}") from error
