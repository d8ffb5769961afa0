"""The slots of a home's log of orders, in a folder: who takes which, and what others left behind."""

from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path

from gate.charging.order_file import OrderFile
from gate.charging.order_table import FILE
from gate.parts.orders import SLOTS, SLOTS_MAX
from operations.errors import SatboxError
from storage.files import connect

OpenFile = Callable[[Path, str, Callable[[], int]], OrderFile]
"""How a slot's part is opened: the folder, the slot, the wall clock. Raises BlockingIOError when it is taken."""


class OrderFolder:
    """An `OrderLogs`. Every gate of a machine has one over the same folder."""

    def __init__(self, folder: Path, wall_ms: Callable[[], int], open_file: OpenFile = OrderFile) -> None:
        self.folder = folder
        self._wall_ms = wall_ms
        self._open_file = open_file

    def free_slot(self) -> OrderFile:
        """See `OrderLogs`."""
        for gate_id in SLOTS:
            with suppress(BlockingIOError):
                return self._open_file(self.folder, gate_id, self._wall_ms)
        raise SatboxError("overloaded", f"{SLOTS_MAX} gates run on this home")

    def left_behind(self) -> Iterator[OrderFile]:
        """See `OrderLogs`."""
        with closing(connect(self.folder / FILE)) as db:
            found = db.execute(
                "SELECT gate_id FROM orders WHERE is_posted = 0 UNION SELECT gate_id FROM payers"
            ).fetchall()
        for (gate_id,) in found:
            with suppress(BlockingIOError):
                yield self._open_file(self.folder, gate_id, self._wall_ms)
