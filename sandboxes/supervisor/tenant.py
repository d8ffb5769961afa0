"""Becoming the tenant, and finding everything a command left running.

Every command gets a supplementary group of its own (a tag). Groups are inherited, and a process without CAP_SETGID can't
shed one, so a daemon that forked twice and took a new session still carries the tag of the command it came from.
"""

from __future__ import annotations

import os

TENANT_ID = 1000
TAG_FIRST = 2000
TAG_COUNT = 1024
KILL_ROUNDS_MAX = 200
SIGKILL = 9


def become_tenant(tag: int) -> None:
    """In a forked child: take the tenant's ids and the command's tag. Clears every capability (see `harden`)."""
    os.setgroups([tag])
    os.setresgid(TENANT_ID, TENANT_ID, TENANT_ID)
    os.setresuid(TENANT_ID, TENANT_ID, TENANT_ID)


def processes() -> list[tuple[int, bytes]]:
    """(pid, status text) of everything alive here but the supervisor; zombies do not count."""
    found = []
    for name in os.listdir("/proc"):
        if not name.isdigit() or name == "1":
            continue
        try:
            with open(f"/proc/{name}/status", "rb", buffering=0) as file:
                status = file.read(4096)
        except OSError:
            continue
        if b"\nState:\tZ" not in status and b"\nState:\tX" not in status:
            found.append((int(name), status))
    return found


def tagged(tag: int) -> list[int]:
    """Pids of the living processes that carry the tag."""
    pids = []
    for pid, status in processes():
        at = status.find(b"\nGroups:")
        if at >= 0 and str(tag).encode() in status[at + 8 : status.find(b"\n", at + 1)].split():
            pids.append(pid)
    return pids


def kill_tagged(tag: int) -> bool:
    """SIGKILL every process of a command, however it was started. True once a look finds none that was not yet killed;
    False when it still grows after the last round, which only the slot's cgroup can then end.
    """
    killed: set[int] = set()
    for _ in range(KILL_ROUNDS_MAX):
        fresh = [pid for pid in tagged(tag) if pid not in killed]
        if not fresh:
            return True
        for pid in fresh:
            killed.add(pid)
            try:
                os.kill(pid, SIGKILL)
            except ProcessLookupError:
                continue
    return False
