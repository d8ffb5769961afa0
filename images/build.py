"""Building an image from Debian packages with mmdebstrap, in namespaces of its own, into the store."""

from __future__ import annotations

import os
import selectors
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from images.definition import ImageDefinition
from images.finishing import definition_sha256, digest_of, finish, measure, packages_of
from images.sources import Sources
from images.store import BuiltImage, ImageStore, Manifest

LOOK_SECONDS = 5.0
LINE_BYTES_MAX = 4096
FREE_BYTES_MIN = 1 << 30
_LAST_LINES = 12
_LEFT_OUT = ("/usr/share/doc/*", "/usr/share/man/*", "/usr/share/info/*", "/usr/share/locale/*", "/usr/share/lintian/*")

Progress = Callable[[str], None]
"""Receives the build's progress, one line at a time."""


class BuildFailed(Exception):  # noqa: N818 - reads as what happened
    """Nothing was built, and nothing is left of the attempt; the message says why."""


class BuilderMissing(BuildFailed):
    """This machine can't build images; the message says what it needs."""


def why_not_here() -> str | None:
    """What this machine lacks to build images; None when it can."""
    if os.geteuid() != 0:
        return "building images needs root"
    for tool, package in (("mmdebstrap", "mmdebstrap"), ("unshare", "util-linux"), ("setpriv", "util-linux")):
        if shutil.which(tool) is None:
            return f"{tool} is not installed: apt-get install {package}"
    return None


def build(definition: ImageDefinition, store: ImageStore, sources: Sources, progress: Progress) -> BuiltImage:
    """Build an image and let its name stand for it from now on. Raises BuildFailed, StoreBusy, OSError."""
    if definition.kind != "debian":
        raise BuildFailed(f"image {definition.name} is the host's own /usr: there is nothing to build")
    lack = why_not_here()
    if lack is not None:
        raise BuilderMissing(lack)
    with store.changing():
        free = shutil.disk_usage(store.built).free
        if free < definition.size_bytes_max + FREE_BYTES_MIN:
            raise BuildFailed(
                f"{free >> 20} MiB of disk are free, {definition.size_bytes_max >> 20} and 1024 are needed"
            )
        folder = store.new_folder()
        try:
            return _build(definition, store, sources, folder, progress)
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def _build(
    definition: ImageDefinition, store: ImageStore, sources: Sources, folder: Path, progress: Progress
) -> BuiltImage:
    began = time.monotonic()
    rootfs = folder / "rootfs"
    (folder / "sources.list").write_text(sources.text)
    progress(f"{definition.name}: {len(definition.packages)} packages and what they need, from {sources.suite}")
    _bootstrap(_command(definition, sources.suite, rootfs, folder / "sources.list"), definition, folder, progress)
    (folder / "sources.list").unlink()
    progress(f"{definition.name}: finishing")
    finish(rootfs, definition)
    packages = packages_of(rootfs)
    measured = measure(rootfs)
    if measured.size_bytes > definition.size_bytes_max:
        raise BuildFailed(f"the image holds {measured.size_bytes >> 20} MiB, {_limit(definition)} are allowed")
    manifest = Manifest(
        digest=digest_of(definition, packages),
        definition=definition,
        definition_sha256=definition_sha256(definition),
        suite=sources.suite,
        packages=packages,
        size_bytes=measured.size_bytes,
        files=measured.files,
        content_sha256=measured.content_sha256,
        built_at=datetime.now(UTC).isoformat(timespec="seconds"),
        build_seconds=round(time.monotonic() - began, 1),
    )
    built = store.take_in(folder, manifest)
    progress(f"{definition.name}: {manifest.digest[:12]}, {len(packages)} packages, {manifest.size_bytes >> 20} MiB")
    return built


def _command(definition: ImageDefinition, suite: str, rootfs: Path, sources: Path) -> list[str]:
    """A pid and a mount namespace of its own: a build that ends, however it ends, leaves neither process nor mount."""
    return [
        "setpriv", "--pdeathsig", "KILL", "--",
        "unshare", "--mount", "--propagation", "private", "--pid", "--fork", "--kill-child=KILL", "--",
        "mmdebstrap", "--mode=root", "--variant=apt", "--format=directory",
        "--aptopt=APT::Install-Recommends \"false\"", "--aptopt=Acquire::Retries \"3\"",
        "--aptopt=Acquire::Languages \"none\"", "--dpkgopt=force-unsafe-io",
        *(f"--dpkgopt=path-exclude={path}" for path in _LEFT_OUT),
        f"--include={','.join(definition.packages)}", suite, str(rootfs), str(sources),
    ]  # fmt: skip


def _bootstrap(command: list[str], definition: ImageDefinition, folder: Path, progress: Progress) -> None:
    """Run the builder; its lines go to `progress`. Raises BuildFailed past the time or the size allowed."""
    # The host's package proxy and the like are in its environment; a date makes compiled files the same each time.
    environment = {**os.environ, "SOURCE_DATE_EPOCH": str(definition.source_date_epoch), "LC_ALL": "C.UTF-8"}
    environment["DEBIAN_FRONTEND"] = "noninteractive"
    deadline = time.monotonic() + definition.build_seconds_max
    last: list[str] = []
    process = subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=environment,
        start_new_session=True, cwd="/", umask=0o022,
    )  # fmt: skip
    assert process.stdout is not None
    try:
        with selectors.DefaultSelector() as selector:
            selector.register(process.stdout, selectors.EVENT_READ)
            buffer, looked_at = b"", time.monotonic()
            while True:
                if selector.select(timeout=LOOK_SECONDS):
                    data = os.read(process.stdout.fileno(), 65_536)
                    if not data:
                        break
                    *lines, buffer = (buffer + data).replace(b"\r", b"\n").split(b"\n")
                    buffer = buffer[-LINE_BYTES_MAX:]
                    for raw in lines:
                        line = raw[:LINE_BYTES_MAX].decode(errors="replace").strip()
                        if line:
                            last = [*last[1 - _LAST_LINES :], line]
                            progress(f"{definition.name}: {line}")
                now = time.monotonic()
                if now > deadline:
                    raise BuildFailed(f"the build took longer than {definition.build_seconds_max:.0f} s")
                if now - looked_at > LOOK_SECONDS:
                    looked_at = now
                    if _disk_bytes(folder) > 2 * definition.size_bytes_max:
                        raise BuildFailed(f"the build takes more than twice the {_limit(definition)} allowed")
        if process.wait(timeout=60) != 0:
            raise BuildFailed("mmdebstrap failed: " + " | ".join(last[-4:]))
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        process.stdout.close()


def _limit(definition: ImageDefinition) -> str:
    return f"{definition.size_bytes_max >> 20} MiB"


def _disk_bytes(folder: Path) -> int:
    """What a growing tree takes on disk, what is mounted into it left out."""
    done = subprocess.run(["du", "-sxk", str(folder)], capture_output=True, check=False, timeout=60)
    words = done.stdout.split()
    return int(words[0]) << 10 if words else 0
