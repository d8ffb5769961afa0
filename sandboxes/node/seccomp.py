"""The system call filter: the allow list of `seccomp.toml`, compiled with libseccomp into what bubblewrap loads."""

from __future__ import annotations

import errno
import os
import resource
import socket
import tomllib
from pathlib import Path
from typing import Any

_LIST = Path(__file__).with_name("seccomp.toml")

# clone(2) flags that make new namespaces: NEWTIME is clone3-only, and clone3 answers ENOSYS as a whole because a filter
# can't look behind its pointer.
_NAMESPACE_FLAGS = 0x7E02_0000
# Families a program without privileges has a use for. VSOCK reaches the hypervisor; ALG, PACKET and the rest are only
# kernel surface.
_FAMILIES = (socket.AF_UNIX, socket.AF_INET, socket.AF_INET6, socket.AF_NETLINK)
# Resource limits may be asked for and lowered, but for the one of processes: below it the kernel refuses a process so early
# that nearly all of the work is on nobody's account (`fork_storms`). The kernel looks at the lower half of the number only.
_RESOURCES = 16  # RLIM_NLIMITS
_LOWER_HALF = 0xFFFF_FFFF
# Socket options whose memory the kernel counts in no cgroup, and that only programs with a network of their own have a use for:
# filters (SO_ATTACH_FILTER, SO_ATTACH_BPF and both for reused ports; 48 KiB a socket), and groups that are joined (in IPv6 as
# many as a process has time for).
_UNCOUNTED = {
    socket.SOL_SOCKET: (26, 50, 51, 52),
    socket.IPPROTO_IP: (35, 39, 42, 46),
    socket.IPPROTO_IPV6: (20, 27, 42, 46),
}
_OPTIONS = 128
# TCP, UDP, ICMPv6, SCTP, UDP-Lite, raw, netlink, TLS, MPTCP.
_LEVELS = (6, 17, 58, 132, 136, 255, 270, 282, 284)
_PERSONALITIES = (0x0, 0x0008, 0x20000, 0x20008, 0xFFFFFFFF)


class SeccompUnavailable(Exception):  # noqa: N818 - reads as what happened
    """libseccomp is missing, or it can't build the filter."""


def compile_filter() -> bytes:
    """The filter as BPF. Raises SeccompUnavailable."""
    try:
        import pyseccomp
    except (ImportError, OSError, RuntimeError) as error:
        raise SeccompUnavailable(f"libseccomp can't be loaded: {error}") from error
    lists = tomllib.loads(_LIST.read_text())
    program = pyseccomp.SyscallFilter(pyseccomp.ERRNO(errno.ENOSYS))
    for name in lists["allow"]:
        _rule(pyseccomp, program, pyseccomp.ALLOW, name)
    refuse = pyseccomp.ERRNO(errno.EPERM)
    for name in lists["refuse"]:
        _rule(pyseccomp, program, refuse, name)
    _rule(pyseccomp, program, pyseccomp.ALLOW, "clone", pyseccomp.Arg(0, pyseccomp.MASKED_EQ, _NAMESPACE_FLAGS, 0))
    for bit in range(64):
        if _NAMESPACE_FLAGS >> bit & 1:
            flag = pyseccomp.Arg(0, pyseccomp.MASKED_EQ, 1 << bit, 1 << bit)
            _rule(pyseccomp, program, refuse, "clone", flag)
    for family in _FAMILIES:
        _rule(pyseccomp, program, pyseccomp.ALLOW, "socket", pyseccomp.Arg(0, pyseccomp.EQ, int(family)))
    _rule(pyseccomp, program, refuse, "socket", pyseccomp.Arg(0, pyseccomp.GT, int(socket.AF_NETLINK)))
    _socket_options(pyseccomp, program, refuse)
    for value in _PERSONALITIES:
        _rule(pyseccomp, program, pyseccomp.ALLOW, "personality", pyseccomp.Arg(0, pyseccomp.EQ, value))
    for number in range(_RESOURCES):
        for name, position in (("setrlimit", 0), ("prlimit64", 1)):
            which = pyseccomp.Arg(position, pyseccomp.MASKED_EQ, _LOWER_HALF, number)
            if number != resource.RLIMIT_NPROC:
                _rule(pyseccomp, program, pyseccomp.ALLOW, name, which)
            elif name == "setrlimit":
                _rule(pyseccomp, program, refuse, name, which)
            else:
                _rule(pyseccomp, program, pyseccomp.ALLOW, name, which, pyseccomp.Arg(2, pyseccomp.EQ, 0))
                _rule(pyseccomp, program, refuse, name, which, pyseccomp.Arg(2, pyseccomp.GT, 0))
    descriptor = os.memfd_create("seccomp")
    with os.fdopen(descriptor, "w+b") as file:
        program.export_bpf(file)
        file.seek(0)
        return file.read()


def _socket_options(library: Any, program: Any, refuse: Any) -> None:
    """`setsockopt`, by level and option; the kernel looks at the lower half of both."""
    for level in (*_LEVELS, *_UNCOUNTED):
        at = library.Arg(1, library.MASKED_EQ, _LOWER_HALF, int(level))
        if level not in _UNCOUNTED:
            _rule(library, program, library.ALLOW, "setsockopt", at)
            continue
        for number in range(_OPTIONS):
            action = refuse if number in _UNCOUNTED[level] else library.ALLOW
            option = library.Arg(2, library.MASKED_EQ, _LOWER_HALF, number)
            _rule(library, program, action, "setsockopt", at, option)


def _rule(library: Any, program: Any, action: Any, name: str, *arguments: Any) -> None:
    """Add a rule; names this architecture or library does not know need none, the default refuses them."""
    try:
        number = library.resolve_syscall(library.system_arch(), name)
    except (ValueError, OSError):
        return
    if number < 0:
        return
    program.add_rule(action, name, *arguments)
