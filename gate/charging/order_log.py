"""The log of the calls that were paid from buckets: one file for all gates, written ahead of the wallets, each order in it once.

A call is paid when its order is durable here. Orders that come at the same time share a transaction, so that durability costs
each of them a fraction of a disk's flush, and no order waits for a wallet. The wallets post what is logged afterwards, from
what they have set aside for each gate (`gate.charging.till`). The file outlives the gates: the slot's next gate goes on there.
"""

import asyncio
import fcntl
import os
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import structlog

from actors.wallet.calls import LoggedOrder
from operations.errors import SatboxError
from storage.errors import StorageError
from storage.files import connect
from storage.full_disk import FULL_SECONDS, is_full
from storage.migration import run_script
from storage.sqlite import Database
from storage.transactions import Transaction

SLOTS_MAX = 8
"""Gates over one home. A wallet keeps as many allowances (`Policy.allowances_max`)."""
SLOTS = tuple(f"gate_{number}" for number in range(1, SLOTS_MAX + 1))
BUSY_ORDERS = 3
GATHER_SECONDS = 0.002
"""When so many came during the last transaction, the next one waits so long for company: a flush costs as much as ten calls."""
TRIMMED_EVERY = 64
TRIMMED_AT_ONCE = 4_096
"""Or twice what was written since, so that the file does not grow for ever."""
TRIMS_KEPT = 64
NEVER_LOOKED = -1
UNSIGNED = "chg_"
"""How ids of orders begin that a pass or a key stands for, in place of a signature."""
NUMBERS_AHEAD = 1_000_000
"""So many numbers a life of a slot may use before it writes down how far it has come."""

FILE = "orders.sqlite"
SCHEMA = """
CREATE TABLE IF NOT EXISTS orders (gate_id TEXT NOT NULL, seq INTEGER NOT NULL, order_id TEXT NOT NULL UNIQUE,
    payer TEXT NOT NULL, payee TEXT NOT NULL, usat INTEGER NOT NULL, resource TEXT NOT NULL, at_ms INTEGER NOT NULL,
    expires_ms INTEGER NOT NULL, is_posted INTEGER NOT NULL DEFAULT 0, PRIMARY KEY (gate_id, seq)) STRICT;
CREATE INDEX IF NOT EXISTS orders_unposted ON orders (gate_id, seq) WHERE is_posted = 0;
CREATE INDEX IF NOT EXISTS orders_expiry ON orders (expires_ms) WHERE is_posted = 1;
CREATE TABLE IF NOT EXISTS payers (gate_id TEXT NOT NULL, address TEXT NOT NULL, PRIMARY KEY (gate_id, address)) STRICT;
CREATE TABLE IF NOT EXISTS numbers (gate_id TEXT PRIMARY KEY, below INTEGER NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS trims (number INTEGER PRIMARY KEY, expires_ms INTEGER NOT NULL) STRICT;
"""
log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Held:
    """An order whose money is set aside. It was presented in time; by `expires_ms` it is paid, or never. `payer` is an account:
    an address, or `ADDRESS/key_...` when a spending key pays. `usat` is the most it may cost.
    """

    order_id: str
    payer: str
    payee: str
    usat: int
    expires_ms: int
    resource: str = ""
    looked: int = NEVER_LOOKED
    """The last trim of the log at which this order was known as unused: not logged then, nor posted by its wallet after."""
    is_named: bool = False
    """Nobody signed it, and its id comes again with the same purchase: it may have been paid before, at any gate."""
    kept_ms: int = 0
    """Until when the log keeps every order of this id; once it has trimmed such, the wallet is asked. 0: it always is."""


Written = Callable[[LoggedOrder | None], None]
"""Told before anybody else: the order as it stands in the log, or None when it does not, or it is not known whether it does."""


@dataclass(slots=True)
class _Write:
    held: Held
    told: Written
    future: "asyncio.Future[LoggedOrder]"


class OrderLog:
    """One gate's part of the log, by its slot. A lock says who holds a slot; a dead process keeps none."""

    trimmed_every = TRIMMED_EVERY

    def __init__(self, folder: Path, gate_id: str, wall_ms: Callable[[], int]) -> None:
        """Raises BlockingIOError when another gate has this slot."""
        folder.mkdir(parents=True, exist_ok=True)
        self.gate_id = gate_id
        self._path = folder / FILE
        self._wall_ms = wall_ms
        self._lock = os.open(folder / f"{gate_id}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self._db = self._opened()
        except BaseException:
            os.close(self._lock)
            raise
        (last,) = self._db.execute("SELECT coalesce(max(seq), 0) FROM orders WHERE gate_id = ?", (gate_id,)).fetchone()
        self.mark_ms, _ = self._mark()
        before = self._db.execute("SELECT below FROM numbers WHERE gate_id = ?", (gate_id,)).fetchone()
        # A log that was lost must not give out numbers again that wallets know as posted. And what the last life asked of a
        # wallet, and is late, must not come with a later number than what this one asks: the clock may have been set back.
        self._seq: int = max(last, wall_ms() * 1_000, before[0] if before else 0)
        self._below = 0
        self._note_numbers()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="orders")
        self._writes: list[_Write] = []
        self._posted: list[int] = []
        self._opens: list[tuple[str, asyncio.Future[None]]] = []
        self._closed: list[str] = []
        self._strays: list[tuple[str, str]] = []
        self._flushing: asyncio.Task[None] | None = None
        self._commits = self._written = 0
        self.is_broken = self._is_full = False

    def refusal(self) -> SatboxError:
        """Why nothing can be written while it is broken."""
        if self._is_full:
            return SatboxError("storage_full", retry_after=FULL_SECONDS, funds_moved=False)
        return SatboxError("overloaded", retry_after=2, funds_moved=False)

    def _mark(self) -> tuple[int, int]:
        """The highest expiry of all orders that were ever trimmed, and the number of the last trim."""
        top_ms, number = self._db.execute(
            "SELECT coalesce(max(expires_ms), 0), coalesce(max(number), 0) FROM trims"
        ).fetchone()
        return top_ms, number

    def _opened(self) -> Database:
        db = connect(self._path, statements_kept=16)
        run_script(db, SCHEMA)
        return db

    async def write(self, held: Held, told: Written) -> LoggedOrder:
        """Log an order; durable when this returns. `told` is called even if whoever waits here has gone. Raises order_used;
        another error means that it is not known whether the order is paid (`funds_moved` is "unknown"), or that the log takes
        no orders now (overloaded, storage_full).
        """
        if self.is_broken:
            told(None)
            raise self.refusal()
        write = _Write(held, told, asyncio.get_running_loop().create_future())
        self._writes.append(write)
        self._flush_soon()
        return await write.future

    async def opens(self, payer: str) -> None:
        """Remember that this wallet has money set aside for this gate; durable when this returns. Raises overloaded."""
        if self.is_broken:
            raise self.refusal()
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._opens.append((payer, future))
        self._flush_soon()
        await future

    def closed(self, payer: str) -> None:
        """It has none any more."""
        if not self.is_broken:  # else it is found once more, and given back once more
            self._opens = [one for one in self._opens if one[0] != payer]  # whoever waited for that has gone
            self._closed.append(payer)
            self._flush_soon()

    def has_elsewhere(self, gate_id: str, payer: str) -> None:
        """This wallet has money set aside for another slot, whose log may have been lost: it is found there now."""
        if gate_id in SLOTS and not self.is_broken:
            self._strays.append((gate_id, payer))
            self._flush_soon()

    def posted(self, orders: Iterable[LoggedOrder]) -> None:
        """Their wallet has posted these. Written with the next order, or by `tidy`: told twice, a wallet posts them once."""
        self._posted += [one.seq for one in orders]

    def tidy(self) -> None:
        """Write what has waited for an order to go with."""
        if self._posted and not self.is_broken:
            self._flush_soon()

    def _note_numbers(self) -> None:
        if self._seq > self._below - NUMBERS_AHEAD // 2:
            below = self._seq + NUMBERS_AHEAD
            self._db.execute("INSERT OR REPLACE INTO numbers VALUES (?, ?)", (self.gate_id, below))
            self._below = below

    def next_number(self) -> int:
        """A number that this slot has not used, as the last one that was told of it."""
        self._seq += 1
        return self._seq

    def goes_on_after(self, seq: int) -> None:
        """A wallet knows this number of ours: after a log was lost, and its clock was set back."""
        self._seq = max(self._seq, seq)

    def unposted(self) -> dict[str, list[LoggedOrder]]:
        """By payer, oldest first. Called when nothing is being written."""
        found: dict[str, list[LoggedOrder]] = {}
        rows = self._db.execute(
            "SELECT seq, order_id, payee, usat, payer FROM orders WHERE is_posted = 0 AND gate_id = ? ORDER BY seq",
            (self.gate_id,),
        )
        for seq, order_id, payee, usat, payer in rows:
            found.setdefault(payer, []).append(LoggedOrder(seq, order_id, payee, usat))
        return found

    def payers(self) -> list[str]:
        """Wallets that may have money set aside for this gate."""
        return [row[0] for row in self._db.execute("SELECT address FROM payers WHERE gate_id = ?", (self.gate_id,))]

    def used(self, most: int) -> list[tuple[str, int]]:
        """Orders in the log, the last to expire last, with the time until when each could be shown again. The clock may step
        back, so those are among them whose time is over by the clock as it is now. Not those that nobody signed: they come
        once, or are looked for each time.
        """
        rows = self._db.execute(
            "SELECT order_id, expires_ms FROM orders WHERE order_id NOT GLOB ? ORDER BY expires_ms DESC LIMIT ?",
            (f"{UNSIGNED}*", most),
        ).fetchall()
        return rows[::-1]

    async def look(self, order_id: str = "") -> tuple[bool, int]:
        """Whether the log holds an order now, and the number of the last trim; `mark_ms` is fresh after it. Raises overloaded."""
        if self.is_broken:
            raise self.refusal()

        def look() -> tuple[bool, int]:
            found = self._db.execute("SELECT 1 FROM orders WHERE order_id = ?", (order_id,)).fetchone()
            self.mark_ms, number = self._mark()
            return found is not None, number

        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, look)
        except StorageError as error:
            raise SatboxError("overloaded", retry_after=2, funds_moved=False) from error

    def _flush_soon(self) -> None:
        if self._flushing is None:
            self._flushing = asyncio.create_task(self._flush(), name=f"orders of {self.gate_id}")

    async def _flush(self) -> None:
        """Commit what has gathered, and again while there is more: one transaction for all that came during the last."""
        crowd = 0
        try:
            while self._writes or self._opens or self._closed or self._posted or self._strays:
                if crowd >= BUSY_ORDERS:
                    await asyncio.sleep(GATHER_SECONDS)
                crowd = len(self._writes)
                writes, self._writes = self._writes, []
                opens, self._opens = self._opens, []
                closed, self._closed = self._closed, []
                posted, self._posted = self._posted, []
                strays, self._strays = self._strays, []
                names = [(self.gate_id, payer) for payer, _ in opens] + strays
                orders = [self._numbered(write.held) for write in writes]
                work = (list(zip(orders, (w.held for w in writes), strict=True)), posted, names, closed)
                try:
                    refused = await asyncio.get_running_loop().run_in_executor(self._thread, self._commit, *work)
                except Exception as error:  # noqa: BLE001 - whatever it was, nobody knows what of it is on disk
                    self._fail(writes, opens, error)
                    return
                for _, future in opens:
                    if not future.done():
                        future.set_result(None)
                for write, order in zip(writes, orders, strict=True):
                    _tell(write, order, is_used=order.seq in refused)
        finally:
            self._flushing = None

    def _numbered(self, held: Held) -> LoggedOrder:
        return LoggedOrder(self.next_number(), held.order_id, held.payee, held.usat)

    def _fail(self, writes: list[_Write], opens: "list[tuple[str, asyncio.Future[None]]]", error: Exception) -> None:
        log.error("the log of orders cannot be written", gate=self.gate_id, reason=str(error))
        self.is_broken, self._is_full = True, is_full(error)
        for write in writes + self._writes:
            write.told(None)
            if not write.future.done():
                refusal = self.refusal()
                if write in writes:
                    code = "storage_full" if self._is_full else "internal"
                    refusal = SatboxError(code, retry_after=2, funds_moved="unknown")
                write.future.set_exception(refusal)
        for _, future in opens + self._opens:
            if not future.done():
                future.set_exception(self.refusal())
        self._writes, self._opens = [], []

    def _commit(
        self,
        orders: list[tuple[LoggedOrder, Held]],
        posted: list[int],
        opens: list[tuple[str, str]],
        closed: list[str],
    ) -> set[int]:
        """In the thread: one transaction; the numbers of orders that were in the log before."""
        me, at_ms, db = self.gate_id, self._wall_ms(), self._db
        refused: set[int] = set()
        with Transaction(db):
            if orders:
                trimmed = self._trimmed([held for _, held in orders])
                rows = [
                    (me, one.seq, one.order_id, held.payer, one.payee, one.usat, held.resource, at_ms, held.expires_ms, 0)
                    for one, held in orders if held.order_id not in trimmed
                ]  # fmt: skip
                written = db.executemany(
                    "INSERT OR IGNORE INTO orders VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", rows
                ).rowcount
                if written != len(orders):
                    refused = {one.seq for one, _ in orders if not self._holds(one)}
            if posted:
                db.executemany(
                    "UPDATE orders SET is_posted = 1 WHERE gate_id = ? AND seq = ?", [(me, seq) for seq in posted]
                )
            if closed:
                db.executemany(
                    "DELETE FROM payers WHERE gate_id = ? AND address = ?", [(me, payer) for payer in closed]
                )
            if opens:
                db.executemany("INSERT OR IGNORE INTO payers VALUES (?, ?)", opens)
            self._note_numbers()
            self._commits += 1
            self._written += len(orders)
            if self._commits % self.trimmed_every == 0:
                most, self._written = max(TRIMMED_AT_ONCE, 2 * self._written), 0
                self._trim(at_ms, most)
        return refused

    def _trimmed(self, orders: list[Held]) -> set[str]:
        """Ids of those that may be orders that were paid and trimmed. The clock that said that nobody could show them any more
        may have been ahead: what expires no later than something trimmed is taken only when it was looked for since.
        """
        self.mark_ms, _ = self._mark()
        since = "SELECT coalesce(max(expires_ms), 0) FROM trims WHERE number > ?"
        return {
            one.order_id
            for one in orders
            if one.expires_ms <= self.mark_ms and one.expires_ms <= self._db.execute(since, (one.looked,)).fetchone()[0]
        }

    def _trim(self, at_ms: int, most: int) -> None:
        """Forget what wallets have posted and nobody can show again by the clock as it is, but not until when that was."""
        trimmed = self._db.execute(
            "DELETE FROM orders WHERE rowid IN (SELECT rowid FROM orders WHERE is_posted = 1 AND expires_ms < ? LIMIT ?)"
            " RETURNING expires_ms",
            (at_ms, most),
        ).fetchall()
        if not trimmed:
            return
        _, number = self._mark()
        self._db.execute("INSERT INTO trims VALUES (?, ?)", (number + 1, max(row[0] for row in trimmed)))
        first = number + 2 - TRIMS_KEPT  # the oldest that is kept stands for all before it
        self._db.execute(
            "UPDATE trims SET expires_ms = (SELECT max(expires_ms) FROM trims WHERE number <= ?) WHERE number = ?",
            (first, first),
        )
        self._db.execute("DELETE FROM trims WHERE number < ?", (first,))

    def _holds(self, order: LoggedOrder) -> bool:
        named = (self.gate_id, order.seq, order.order_id)
        mine = self._db.execute("SELECT 1 FROM orders WHERE gate_id = ? AND seq = ? AND order_id = ?", named)
        return mine.fetchone() is not None

    async def reopen(self) -> None:
        """After a failure: read the file anew. Raises StorageError when it still cannot be written."""

        def anew() -> None:
            self._db.close()
            self._db = self._opened()
            self._commit([], [], [], [])

        await asyncio.get_running_loop().run_in_executor(self._thread, anew)  # a disk that failed may be slow
        self.is_broken = False

    async def close(self) -> None:
        """Write what is left, and let the slot go."""
        while self._flushing is not None:
            await asyncio.wait([self._flushing])
        if self._posted and not self.is_broken:
            posted, self._posted = self._posted, []
            with suppress(StorageError):  # the next holder tells the wallets once more
                await asyncio.get_running_loop().run_in_executor(self._thread, self._commit, [], posted, [], [])
        self._thread.shutdown()
        self._db.close()
        os.close(self._lock)


def _tell(write: _Write, order: LoggedOrder, *, is_used: bool) -> None:
    write.told(None if is_used else order)
    if write.future.done():
        return
    if is_used:
        write.future.set_exception(SatboxError("order_used", funds_moved=False))
    else:
        write.future.set_result(order)
