"""Which host uids this node's slots have: those it had before, the configured ones, or the next that no other node uses."""

from __future__ import annotations

import os
from pathlib import Path

from sandboxes.node.doctor import uid_ranges_problem
from sandboxes.node.settings import NodeSettings
from sandboxes.node.uid_block import UidBlock

BLOCK_UIDS = 0x0100_0000
"""Nodes with the same default look for their blocks at these steps, so that they do not overlap in part."""
BLOCKS_MAX = 64


def claim_uids(settings: NodeSettings, state: Path) -> tuple[UidBlock, NodeSettings]:
    """A claim, and the settings with its first uid. A base that the settings name is the only one tried. One that was found is
    kept in `uid_base` of the state folder: volumes belong to its ids. `UidBlock.problem` says when there is none.
    """
    kept = state / "uid_base"
    if "slot_uid_base" in settings.model_fields_set:
        return _claim(settings, settings.slot_uid_base, settings.uid_lock_seconds_max)
    has_volumes = any((state / "volumes").glob("slot-*"))
    before = _read(kept)
    if before is None and has_volumes:
        before = settings.slot_uid_base
    if before is not None:
        block, chosen = _claim(settings, before, settings.uid_lock_seconds_max)
        if block.problem is None or has_volumes:
            return block, chosen
        block.release()
    step = -(-settings.uids_total // BLOCK_UIDS) * BLOCK_UIDS
    first = _claim(settings, settings.slot_uid_base, 0)
    block, chosen = first
    for number in range(1, BLOCKS_MAX):
        if block.problem is None and uid_ranges_problem(chosen) is None:
            _write(kept, chosen.slot_uid_base)
            break
        if number > 1:
            block.release()
        block, chosen = _claim(settings, settings.slot_uid_base + number * step, 0)
    else:
        block.release()
        return first
    if block is not first[0]:
        first[0].release()
    return block, chosen


def _claim(settings: NodeSettings, base: int, seconds_max: float) -> tuple[UidBlock, NodeSettings]:
    block = UidBlock(settings.uid_lock, base, settings.uids_total, seconds_max)
    return block, settings.model_copy(update={"slot_uid_base": base})


def _read(path: Path) -> int | None:
    try:
        return int(path.read_text())
    except (OSError, ValueError):
        return None


def _write(path: Path, base: int) -> None:
    temporary = path.with_suffix(".new")
    with temporary.open("w") as file:
        file.write(f"{base}\n")
        file.flush()
        os.fsync(file.fileno())
    temporary.rename(path)
