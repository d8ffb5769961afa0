"""The real stores on a pretended disk: full on request, and torn when the power fails in the middle of a write."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from actors.stores.wallet_file import WalletFile
from actors.stores.wallets import Batch
from actors.wallet.state import WalletState
from relay_client.settlements.schema import migrate
from simulator.virtual_loop import Incarnation, incarnation
from storage.connection import Connection
from storage.files import connect
from storage.writer import GroupWriter, StoreClosed

T = TypeVar("T")
Committed = Callable[[str, WalletState, Batch], None]
PAGES_MAX = 2**30


class PowerLossError(Exception):
    """The process that would get the result is dead."""


class Disk:
    """What all stores are on. `torn`: the next wallet commit that can be is cut off half way, and its process dies."""

    def __init__(self, rng: random.Random, committed: Committed) -> None:
        self.rng = rng
        self.committed = committed
        self.is_full = self.tears_next = False
        self.tears_log = False
        self.is_failing = False
        """Commits to the log of orders fail at times: before they are there, or after."""
        self.dies_at: str | None = None
        """The next gate that passes this point dies there."""
        self.torn = 0
        self.gates: Callable[[], list[Incarnation]] = list
        self.power_lost: Callable[[Incarnation], None] = lambda _: None
        self.wallets: dict[Path, list[DiskWalletStore]] = {}

    def seconds(self) -> float:
        """How long a write takes."""
        return self.rng.uniform(0.0002, 0.005)

    def passes(self, point: str, life: Incarnation) -> None:
        """A gate has come so far; here it may end."""
        if self.dies_at == point and not life.is_dead:
            self.dies_at = None
            life.freeze()
            self.power_lost(life)
            raise PowerLossError

    def open_wallet(self, path: Path, address: str) -> WalletFile:
        """For hosts."""
        return DiskWalletStore(self, path, address)

    def lose_power(self, life: Incarnation) -> None:
        """Drop the open files of a process that died; what was committed stays."""
        for stores in list(self.wallets.values()):
            for store in [store for store in stores if store.whose is life]:
                store.close()
                stores.remove(store)


class DiskWalletStore(WalletFile):
    """A wallet's real file."""

    def __init__(self, disk: Disk, path: Path, address: str) -> None:
        self._disk = disk
        self.whose = incarnation()
        super().__init__(path, address)
        disk.wallets.setdefault(path, []).append(self)

    def commit(self, batch: Batch) -> None:
        """The real commit, then the auditor; or as much of it as the power allowed."""
        if self.whose is not None and self.whose.is_dead:
            raise PowerLossError
        limit(self._db, is_full=self._disk.is_full)
        before = self.state
        if self._disk.tears_next and self._is_alone():
            self._tear(batch)
        else:
            super().commit(batch)
        self._disk.committed(self._address, before, batch)

    def _is_alone(self) -> bool:
        return sum(store.is_open for store in self._disk.wallets.get(self._path, ())) == 1

    def _tear(self, batch: Batch) -> None:
        wal = Path(f"{self._path}-wal")
        size = wal.stat().st_size if wal.exists() else 0
        file = self._path.read_bytes()
        super().commit(batch)
        log = wal.read_bytes() if wal.exists() else b""
        if len(log) <= size:  # it went into the space of an earlier log: nothing new to cut
            return
        cut = self._disk.rng.randrange(size, len(log))
        self.close()
        for name in ("-wal", "-shm"):
            Path(f"{self._path}{name}").unlink(missing_ok=True)
        self._path.write_bytes(file)
        wal.write_bytes(log[:cut])
        self._disk.tears_next = False
        self._disk.torn += 1
        assert self.whose is not None
        self.whose.freeze()
        self._disk.power_lost(self.whose)
        raise PowerLossError


def limit(db: Connection, *, is_full: bool) -> None:
    """Let a file grow, or not."""
    db.execute(f"PRAGMA max_page_count = {1 if is_full else PAGES_MAX}").fetchall()


class DiskStore(GroupWriter):
    """The settlements' real file, without its thread: one commit per piece of work."""

    def __init__(self, disk: Disk, path: Path) -> None:
        self._disk = disk
        self._whose = incarnation()
        path.parent.mkdir(parents=True, exist_ok=True)
        self._connection = connect(path, has_foreign_keys=True)
        migrate(self._connection)
        self._closed = False
        self._was_full = False

    async def run(self, work: Callable[[Connection], T]) -> T:
        """See `GroupWriter.run`."""
        await asyncio.sleep(self._disk.seconds())
        if self._closed or (self._whose is not None and self._whose.is_dead):
            raise StoreClosed
        if self._disk.is_full or self._was_full:
            limit(self._connection, is_full=self._disk.is_full)
            self._was_full = self._disk.is_full
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            result = work(self._connection)
            self._connection.execute("COMMIT")
        except BaseException:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            raise
        if self._disk.rng.random() < 0.2:  # long enough to die between the commit and the answer
            await asyncio.sleep(self._disk.seconds())
        return result

    def close(self) -> None:
        """Let go of the file."""
        if not self._closed:
            self._closed = True
            self._connection.close()
