"""What every sandbox sees of the host, put together once: devices, and a root for each image.

Bubblewrap then binds one finished, read-only tree instead of making each sandbox its own, piece by piece.
"""

from __future__ import annotations

import os
from typing import TypedDict

from . import kernel

_DEVICES = {"null": (1, 3), "zero": (1, 5), "full": (1, 7), "random": (1, 8), "urandom": (1, 9), "tty": (5, 0)}
_DEVICE_LINKS = {
    "fd": "/proc/self/fd", "stdin": "/proc/self/fd/0", "stdout": "/proc/self/fd/1", "stderr": "/proc/self/fd/2",
    "core": "/proc/kcore", "ptmx": "pts/ptmx",
}  # fmt: skip
_CLOSED = kernel.MS_RDONLY | kernel.MS_NOSUID | kernel.MS_NODEV


class Root(TypedDict):
    """One image's root: a finished file system at `base`, or an empty one with folders and links; then what is bound in,
    by its path inside (relative) and its source.
    """

    base: str | None
    folders: list[str]
    links: dict[str, str]
    binds: dict[str, str]


def prepare_tree(root: str, binds: dict[str, str], roots: dict[str, Root]) -> None:
    """A private mount namespace with a small tmpfs at `root`: read-only binds of what sandboxes see, `dev`, the images'
    roots at `roots/<name>`, and the slots.
    """
    kernel.unshare(kernel.CLONE_NEWNS)
    # Slave, not private: unmounts on the host still reach us, so that we never keep a host file system busy.
    kernel.mount("none", "/", "none", kernel.MS_REC | kernel.MS_SLAVE)
    kernel.mount("satbox", root, "tmpfs", kernel.MS_NOSUID | kernel.MS_NODEV, "size=4m,mode=0711")
    os.makedirs(root + "/slots", mode=0o711)
    for name, source in binds.items():
        _bind(source, f"{root}/{name}")
    _make_devices(root + "/dev")
    for name, wanted in roots.items():
        _make_root(f"{root}/roots/{name}", wanted, root + "/dev")


def _bind(source: str, target: str) -> None:
    os.makedirs(target, mode=0o755, exist_ok=True)
    kernel.mount(source, target, "none", kernel.MS_BIND)
    kernel.mount("none", target, "none", kernel.MS_BIND | kernel.MS_REMOUNT | _CLOSED)


def _make_devices(folder: str) -> None:
    """The devices that harm nobody, and places for the sandbox's own terminals and shared memory."""
    flags = kernel.MS_NOSUID | kernel.MS_NOEXEC
    os.makedirs(folder, mode=0o755)
    kernel.mount("dev", folder, "tmpfs", flags, "size=64k,mode=0755")
    for name, (major, minor) in _DEVICES.items():
        os.mknod(f"{folder}/{name}", 0o020666, os.makedev(major, minor))
        os.chmod(f"{folder}/{name}", 0o666)  # noqa: S103 - as everywhere
    for name, target in _DEVICE_LINKS.items():
        os.symlink(target, f"{folder}/{name}")
    for name in ("pts", "shm"):
        os.mkdir(f"{folder}/{name}", 0o755)
    kernel.mount("none", folder, "none", kernel.MS_REMOUNT | kernel.MS_RDONLY | flags)


def _make_root(folder: str, wanted: Root, devices: str) -> None:
    os.makedirs(folder, mode=0o755)
    if wanted["base"] is not None:
        _bind(wanted["base"], folder)
    else:
        kernel.mount("root", folder, "tmpfs", kernel.MS_NOSUID | kernel.MS_NODEV, "size=64k,mode=0755")
        for path in (*wanted["folders"], *wanted["binds"], "dev"):
            os.makedirs(f"{folder}/{path}", mode=0o755, exist_ok=True)
        for path, target in wanted["links"].items():
            os.symlink(target, f"{folder}/{path}")
        kernel.mount("none", folder, "none", kernel.MS_REMOUNT | _CLOSED)
    for path, source in wanted["binds"].items():
        kernel.mount(source, f"{folder}/{path}", "none", kernel.MS_BIND)
        kernel.mount("none", f"{folder}/{path}", "none", kernel.MS_BIND | kernel.MS_REMOUNT | _CLOSED)
    kernel.mount(devices, f"{folder}/dev", "none", kernel.MS_BIND)  # with the flags that it has there
