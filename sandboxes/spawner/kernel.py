"""The system calls Python does not wrap. Each raises OSError with the kernel's errno."""

from __future__ import annotations

import ctypes
import fcntl
import os
import struct

_libc = ctypes.CDLL(None, use_errno=True)

MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC = 1, 2, 4, 8
MS_REMOUNT, MS_BIND, MS_MOVE, MS_REC, MS_SLAVE = 32, 4096, 8192, 16384, 1 << 19
MNT_DETACH = 2
CLONE_NEWNS, CLONE_NEWUSER = 0x00020000, 0x10000000
PR_SET_PDEATHSIG = 1
CAP_DAC_READ_SEARCH = 2
_CAPABILITY_VERSION_3 = 0x20080522
_LOOP_CTL_GET_FREE, _LOOP_CONFIGURE, _LOOP_CLR_FD = 0x4C82, 0x4C0A, 0x4C01
_LO_FLAGS_AUTOCLEAR = 4
_LOOP_ATTEMPTS_MAX = 64


def _checked(result: int, what: str) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), what)


def mount(source: str, target: str, kind: str, flags: int, data: str = "") -> None:
    """Attach a file system to the tree."""
    _checked(_libc.mount(source.encode(), target.encode(), kind.encode(), ctypes.c_ulong(flags), data.encode()), target)


def umount(target: str, flags: int = 0) -> None:
    """Detach a file system."""
    _checked(_libc.umount2(target.encode(), flags), target)


def unshare(flags: int) -> None:
    """Move this process into new namespaces."""
    _checked(_libc.unshare(flags), "unshare")


def die_with_parent(parent_pid: int, number: int = 9) -> None:
    """A signal for this process when the thread that made it ends. Raises ProcessLookupError if it has ended already."""
    _checked(_libc.prctl(PR_SET_PDEATHSIG, number, 0, 0, 0), "prctl")
    if os.getppid() != parent_pid:
        raise ProcessLookupError("the parent has ended")


def become(uid: int) -> None:
    """Take a user id, with the group of the same number, with no way back. Raises PermissionError."""
    os.setgroups([])
    os.setresgid(uid, uid, uid)
    os.setresuid(uid, uid, uid)
    if os.getresuid() != (uid, uid, uid) or uid == 0:
        raise PermissionError("still holding another id")


def keep_capability(number: int) -> None:
    """Give up every capability but one, which has to be below 32."""
    header = struct.pack("<Ii", _CAPABILITY_VERSION_3, 0)
    kept = 1 << number
    _checked(_libc.capset(header, struct.pack("<6I", kept, kept, 0, 0, 0, 0)), "capset")


def attach_loop(image: str) -> tuple[int, str]:
    """A loop device over `image` that frees itself with its last user: (descriptor to hold until mounted, path)."""
    backing = os.open(image, os.O_RDWR | os.O_CLOEXEC)
    control = os.open("/dev/loop-control", os.O_RDWR | os.O_CLOEXEC)
    try:
        for _ in range(_LOOP_ATTEMPTS_MAX):
            path = f"/dev/loop{fcntl.ioctl(control, _LOOP_CTL_GET_FREE)}"
            device = os.open(path, os.O_RDWR | os.O_CLOEXEC)
            # struct loop_config: fd, block_size, loop_info64 (offset 52 in it: lo_flags), 8 reserved words.
            config = bytearray(8 + 232 + 64)
            struct.pack_into("<II", config, 0, backing, 4096)
            struct.pack_into("<I", config, 8 + 52, _LO_FLAGS_AUTOCLEAR)
            try:
                fcntl.ioctl(device, _LOOP_CONFIGURE, bytes(config))
            except OSError as error:
                os.close(device)
                if error.errno != 16:  # EBUSY: another start took this number first
                    raise
                continue
            return device, path
        raise OSError(16, "no free loop device", image)
    finally:
        os.close(control)
        os.close(backing)
