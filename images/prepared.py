"""Images made ready for a driver: the host's /usr with an /etc of its own, or a built root file system."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from images.definition import ImageDefinition, folders, load, names
from images.store import ImageNotBuilt, ImageStore, hold

_OWN_PROGRAMS = "etc/satbox/bin"
_PACKAGE_STATUS = Path("/var/lib/dpkg/status")


@dataclass(frozen=True, slots=True)
class PreparedImage:
    """An image ready to mount. `digest` identifies its content; unless `pinned`, content and digest follow the host.
    With a `rootfs` that is all of it; without, /usr is the host's and `etc_folder` its /etc. `held` keeps a built image
    from being removed.
    """

    definition: ImageDefinition
    digest: str
    etc_folder: Path
    rootfs: Path | None = None
    held: int = -1


def host_digest(definition: ImageDefinition, package_status: Path = _PACKAGE_STATUS) -> str:
    """sha256 over the definition and the host's package status: changes whenever what is in the image may have."""
    hasher = hashlib.sha256(definition.model_dump_json().encode())
    if package_status.exists():
        hasher.update(package_status.read_bytes())
    return hasher.hexdigest()


def prepare_host_usr(definition: ImageDefinition, store: Path, host_etc: Path = Path("/etc")) -> PreparedImage:
    """Make the image's /etc below `store`, once per digest."""
    definition = _with_own_programs(definition)
    identity = host_digest(definition)
    folder = store / identity
    if not folder.exists():
        building = store / f"{identity}.new"
        shutil.rmtree(building, ignore_errors=True)
        etc = building / "etc"
        etc.mkdir(parents=True)
        for relative in definition.etc_from_host:
            _copy(host_etc / relative, etc / relative)
        for relative, text in definition.etc.items():
            (etc / relative).parent.mkdir(parents=True, exist_ok=True)
            (etc / relative).write_text(text.lstrip("\n"))
        _link_python(definition, etc)
        building.rename(folder)
    return PreparedImage(definition, identity, folder / "etc")


def _with_own_programs(definition: ImageDefinition) -> ImageDefinition:
    """Have programs be looked for in the image's own /etc too: the host's /usr is as it is."""
    path = definition.environment.get("PATH", "/usr/bin:/bin")
    return definition.model_copy(update={"environment": {**definition.environment, "PATH": f"{path}:/{_OWN_PROGRAMS}"}})


def _link_python(definition: ImageDefinition, etc: Path) -> None:
    """`python` beside the host's `python3`, which Debian installs without it. One of the host's own comes first."""
    link = etc.parent / _OWN_PROGRAMS / "python"
    if definition.python:
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(definition.python)


def prepare_all(store: ImageStore, etc_store: Path) -> dict[str, PreparedImage]:
    """Every image this machine can offer: those that need no building, and those that are built."""
    prepared = {}
    for name in names(folders(store.folder)):
        definition = load(name, folders(store.folder))
        if definition.kind == "host-usr":
            prepared[name] = prepare_host_usr(definition, etc_store)
    for name in store.names():
        built = store.get(name)
        manifest = built.manifest
        prepared[name] = PreparedImage(
            manifest.definition, manifest.digest, built.rootfs / "etc", built.rootfs, hold(built)
        )
    return prepared


def offered(store: Path) -> list[str]:
    """Names a node with this store can start from."""
    places = folders(store)
    ready = {name for name in names(places) if load(name, places).kind == "host-usr"}
    return sorted(ready | set(ImageStore(store).names()))


def why_not_offered(name: str, places: Iterable[Path]) -> str:
    """Why a node does not offer an image: a word for the caller who asked for it."""
    return str(ImageNotBuilt(name)) if name in names(places) else f"no image {name!r}"


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
