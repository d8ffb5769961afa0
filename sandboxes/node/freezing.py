"""Freezing a runtime: nothing of it runs, its memory stays."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

from sandboxes.node.live import Live
from sandboxes.node.machine import Machine
from sandboxes.protocol import SandboxError

_PAUSE_SECONDS = 0.001
_SECONDS_MAX = 5.0


class PauseUnavailable(SandboxError):  # noqa: N818 - reads as what happened
    """This machine, or this sandbox just now, can't be frozen."""

    code = "pause_unavailable"
    status = 409


class RuntimePaused(SandboxError):  # noqa: N818 - reads as what happened
    """The runtime is frozen: nothing in it can answer until it is resumed."""

    code = "runtime_paused"
    status = 409


async def set_frozen(machine: Machine, live: Live, frozen: bool) -> None:
    """Freeze or thaw; returns once it is so. Raises PauseUnavailable, and then it runs."""
    group = machine.group(live.row.slot)
    try:
        machine.cgroups.freeze(group, frozen)
        async with asyncio.timeout(_SECONDS_MAX):
            while machine.cgroups.is_frozen(group) != frozen:  # noqa: ASYNC110 - the kernel tells of it in no other way
                await asyncio.sleep(_PAUSE_SECONDS)
    except (OSError, TimeoutError) as error:
        if frozen:
            _thaw(machine, group)
        raise PauseUnavailable(f"this sandbox can't be frozen: {error}"[:300]) from error


@contextlib.asynccontextmanager
async def still(machine: Machine, live: Live) -> AsyncIterator[None]:
    """Nothing of the runtime runs inside this block; afterwards it is as it was."""
    if live.is_paused:
        yield
        return
    await set_frozen(machine, live, frozen=True)
    try:
        yield
    finally:
        await asyncio.shield(set_frozen(machine, live, frozen=False))


def _thaw(machine: Machine, group: str) -> None:
    try:
        machine.cgroups.freeze(group, frozen=False)
    except OSError:
        return  # nothing was frozen, for the same reason
