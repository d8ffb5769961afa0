"""Workspace volumes: empty ext4 templates, and images no earlier process may still hold."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path

from sandboxes.size_classes import SizeClass

_PAUSE_SECONDS = 0.01


class VolumesUnavailable(Exception):  # noqa: N818 - reads as what happened
    """This machine can't make or mount workspace volumes."""


def make_template(path: Path, size_class: SizeClass, tenant_uid: int) -> None:
    """An empty file system of the class's size and inode limit: sparse, with a small journal, so that a volume is
    consistent after a power cut. Made once, then copied in well under a millisecond.
    """
    if path.exists():
        return
    building = path.with_suffix(".new")
    with building.open("wb") as file:
        file.truncate(size_class.disk_bytes)
    command = [
        "mkfs.ext4", "-q", "-F", "-b", "4096", "-m", "0", "-N", str(size_class.inodes), "-J", "size=4",
        "-O", "^resize_inode", "-E", f"lazy_itable_init=1,lazy_journal_init=1,nodiscard,root_owner={tenant_uid}:{tenant_uid}",
        str(building),
    ]  # fmt: skip
    try:
        subprocess.run(command, check=True, capture_output=True, timeout=60)
    except (OSError, subprocess.SubprocessError) as error:
        raise VolumesUnavailable(f"mkfs.ext4: {error}") from error
    building.chmod(0o600)
    building.rename(path)


def held_images(folder: Path) -> set[str]:
    """Images below `folder` that a loop device still holds, from /sys/block."""
    held = set()
    for path in Path("/sys/block").glob("loop*/loop/backing_file"):
        try:
            backing = path.read_text().strip()
        except OSError:
            continue
        if backing.startswith(str(folder.resolve())):
            held.add(backing)
    return held


def wait_until_free(folder: Path, seconds_max: float) -> None:
    """Wait for the mounts of an earlier node process to be gone: a volume mounted twice would be destroyed.
    Raises TimeoutError.
    """
    deadline = time.monotonic() + seconds_max
    while held := held_images(folder):
        if time.monotonic() > deadline:
            raise TimeoutError(f"volumes still held: {sorted(held)[:3]}")
        time.sleep(_PAUSE_SECONDS)
