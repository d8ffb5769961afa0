"""Give up, once and for good, what the supervisor does not need.

The supervisor is id 0 of a user namespace in which id 0 is a plain host uid. It keeps SETUID and SETGID (to become the
tenant) and KILL (to end the tenant's processes). Being id 0 matters: when a child switches to the tenant's id, the kernel
itself clears the permitted, effective and ambient sets, so no code of ours has to remember to.
"""

from __future__ import annotations

import os

PR_SET_PDEATHSIG = 1
PR_SET_DUMPABLE = 4
PR_CAPBSET_DROP = 24
PR_CAP_AMBIENT = 47
PR_CAP_AMBIENT_CLEAR_ALL = 4
CAP_KILL, CAP_SETGID, CAP_SETUID = 5, 6, 7
CAPABILITY_LAST_MAX = 63
_LINUX_CAPABILITY_VERSION_3 = 0x20080522
_KEPT = (1 << CAP_KILL) | (1 << CAP_SETGID) | (1 << CAP_SETUID)


def _libc_call(name: str, *arguments: object) -> int:
    """Call one libc function. `_ctypes` alone loads 3 ms faster than `ctypes`; without its private names, the latter."""
    try:
        import _ctypes

        library = _ctypes.dlopen(None, 2)  # type: ignore[attr-defined,arg-type,unused-ignore]
        return int(_ctypes.call_function(_ctypes.dlsym(library, name), arguments))  # type: ignore[attr-defined,unused-ignore]
    except (ImportError, AttributeError, TypeError):
        import ctypes

        return int(getattr(ctypes.CDLL(None), name)(*arguments))


def harden(keep_fd: int) -> None:
    """Empty the bounding, ambient and inheritable sets, keep three capabilities, close every other descriptor, become
    undumpable. Raises OSError when the kernel refuses, and then nothing has been run for anyone.
    """
    os.closerange(keep_fd + 1, 1 << 16)
    for capability in range(CAPABILITY_LAST_MAX + 1):
        # The kernel answers EINVAL past its last capability; a refusal below that shows in the check at the end.
        if _libc_call("prctl", PR_CAPBSET_DROP, capability, 0, 0, 0) != 0:
            break
    _libc_call("prctl", PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0)
    header = _LINUX_CAPABILITY_VERSION_3.to_bytes(4, "little") + bytes(4)
    low = _KEPT.to_bytes(4, "little")
    _libc_call("capset", header, low + low + bytes(4) + bytes(12))
    stay_undumpable()
    _check()


def stay_undumpable() -> None:
    """No process of the tenant's may look into this one's memory or /proc entry."""
    _libc_call("prctl", PR_SET_DUMPABLE, 0, 0, 0, 0)


def _check() -> None:
    """Compare what the kernel says with what was asked: a sandbox that is not as tight as meant must not start."""
    expected = {"CapInh": 0, "CapPrm": _KEPT, "CapEff": _KEPT, "CapBnd": 0, "CapAmb": 0, "NoNewPrivs": 1}
    with open("/proc/self/status") as status:
        for line in status:
            name, _, value = line.partition(":")
            if name in expected and int(value, 16) != expected[name]:
                raise PermissionError(f"{name} is {value.strip()}")
