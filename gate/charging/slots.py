"""Who takes which part of the log of orders: a gate the first slot that is free, and what others left behind."""

from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path

from gate.charging.order_log import FILE, SLOTS, SLOTS_MAX, OrderLog
from operations.errors import SatboxError
from storage.files import connect

OpenLog = Callable[[Path, str, Callable[[], int]], OrderLog]
"""How a slot's part is opened: the folder, the slot, the wall clock."""


def free_slot(folder: Path, wall_ms: Callable[[], int], open_log: OpenLog = OrderLog) -> OrderLog:
    """The part of the first slot that no gate has. Raises overloaded when all are taken."""
    for gate_id in SLOTS:
        with suppress(BlockingIOError):
            return open_log(folder, gate_id, wall_ms)
    raise SatboxError("overloaded", f"{SLOTS_MAX} gates run on this home")


def left_behind(folder: Path, wall_ms: Callable[[], int], open_log: OpenLog = OrderLog) -> Iterator[OrderLog]:
    """Parts whose gates are gone with something left to do, one after another; the caller drains and closes each."""
    with closing(connect(folder / FILE)) as db:
        found = db.execute("SELECT gate_id FROM orders WHERE is_posted = 0 UNION SELECT gate_id FROM payers").fetchall()
    for (gate_id,) in found:
        with suppress(BlockingIOError):
            yield open_log(folder, gate_id, wall_ms)
