"""The real log of orders on the pretended disk: full, failing before or after a commit, or torn when the power goes."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from actors.wallet.calls import LoggedOrder
from gate.charging.order_file import OrderFile
from gate.parts.orders import Held
from simulator.disk import Disk, PowerLossError, limit
from simulator.virtual_loop import incarnation
from storage.errors import UnavailableError


class LogReader(Protocol):
    """Hears what is on disk, the moment that it is."""

    def logged(self, gate_id: str, order: LoggedOrder, held: Held) -> None:
        """An order is durable."""
        ...

    def noted(self, gate_id: str, seqs: list[int]) -> None:
        """The log says that wallets have posted these."""
        ...


class DiskOrderLog(OrderFile):
    """One slot's part. A process that dies releases the lock and the file, and writes nothing more."""

    trimmed_every = 4
    """Lives are short here: few would come to a trim at the real pace."""

    def __init__(self, disk: Disk, reader: LogReader, folder: Path, gate_id: str, wall_ms: Callable[[], int]) -> None:
        life = incarnation()
        assert life is not None
        self._disk, self._reader, self._life = disk, reader, life
        self._is_gone = False
        super().__init__(folder, gate_id, wall_ms)
        life.on_death[self] = self._vanish

    def _vanish(self) -> None:
        if not self._is_gone:
            self._is_gone = True
            self._db.close()
            os.close(self._lock)

    def _commit(
        self, orders: list[tuple[LoggedOrder, Held]], posted: list[int], opens: list[tuple[str, str]], closed: list[str]
    ) -> set[int]:
        if self._life.is_dead:
            raise PowerLossError
        disk = self._disk
        disk.passes("posted" if posted else "orders", self._life)
        limit(self._db, is_full=disk.is_full)
        fails = disk.rng.random() if disk.is_failing else 1.0
        if fails < 0.3:
            raise UnavailableError("disk I/O error")
        if disk.tears_log and orders:
            before = self._path.read_bytes(), self._wal()
            refused = super()._commit(orders, posted, opens, closed)
            self._tear(*before)
        else:
            refused = super()._commit(orders, posted, opens, closed)
        for order, held in orders:
            if order.seq not in refused:
                self._reader.logged(self.gate_id, order, held)
        self._reader.noted(self.gate_id, posted)
        disk.passes("noted" if posted else "logged", self._life)
        if fails < 0.6:  # it is there, and nobody can tell
            raise UnavailableError("disk I/O error")
        return refused

    def _wal(self) -> bytes:
        wal = Path(f"{self._path}-wal")
        return wal.read_bytes() if wal.exists() else b""

    def _tear(self, file: bytes, before: bytes) -> None:
        """The power goes while this commit is written; every gate of the home goes with it."""
        after = self._wal()
        if len(after) <= len(before) or after[: len(before)] != before:
            return  # it went into the space of an earlier log: nothing new to cut
        self._disk.tears_log = False
        self._disk.torn += 1
        cut = self._disk.rng.randrange(len(before), len(after))
        lives = self._disk.gates()
        for life in lives:
            life.freeze()
        for name in ("-wal", "-shm"):
            Path(f"{self._path}{name}").unlink(missing_ok=True)
        self._path.write_bytes(file)
        Path(f"{self._path}-wal").write_bytes(after[:cut])
        for life in lives:
            self._disk.power_lost(life)
        raise PowerLossError

    async def close(self) -> None:
        """See `OrderFile.close`."""
        if not self._is_gone:
            await super().close()
            self._is_gone = True
            self._life.on_death.pop(self, None)
