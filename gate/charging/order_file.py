"""A slot's part of the log of orders, kept in a file. Orders that come at the same time share a transaction, so that durability
costs each of them a fraction of a disk's flush, and no order waits for a wallet.
"""

import asyncio
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import structlog

from actors.wallet.calls import LoggedOrder
from gate.charging.order_table import OrderTable
from gate.parts.orders import SLOTS, Held, Written
from operations.errors import SatboxError
from storage.errors import StorageError
from storage.full_disk import FULL_SECONDS, is_full

BUSY_ORDERS = 3
GATHER_SECONDS = 0.002
"""When so many came during the last transaction, the next one waits so long for company: a flush costs as much as ten calls."""
log = structlog.get_logger()


@dataclass(slots=True)
class _Write:
    held: Held
    told: Written
    future: "asyncio.Future[LoggedOrder]"


class OrderFile(OrderTable):
    """An `OrderLog`."""

    def __init__(self, folder: Path, gate_id: str, wall_ms: Callable[[], int]) -> None:
        """Raises BlockingIOError when another gate has this slot."""
        super().__init__(folder, gate_id, wall_ms)
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="orders")
        self._writes: list[_Write] = []
        self._posted: list[int] = []
        self._opens: list[tuple[str, asyncio.Future[None]]] = []
        self._closed: list[str] = []
        self._strays: list[tuple[str, str]] = []
        self._flushing: asyncio.Task[None] | None = None
        self.is_broken = self._is_full = False

    def refusal(self) -> SatboxError:
        """See `OrderLog`."""
        if self._is_full:
            return SatboxError("storage_full", retry_after=FULL_SECONDS, funds_moved=False)
        return SatboxError("overloaded", retry_after=2, funds_moved=False)

    async def write(self, held: Held, told: Written) -> LoggedOrder:
        """See `OrderLog`."""
        if self.is_broken:
            told(None)
            raise self.refusal()
        write = _Write(held, told, asyncio.get_running_loop().create_future())
        self._writes.append(write)
        self._flush_soon()
        return await write.future

    async def opens(self, payer: str) -> None:
        """See `OrderLog`."""
        if self.is_broken:
            raise self.refusal()
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._opens.append((payer, future))
        self._flush_soon()
        await future

    def closed(self, payer: str) -> None:
        """See `OrderLog`."""
        if not self.is_broken:  # else it is found once more, and given back once more
            self._opens = [one for one in self._opens if one[0] != payer]  # its caller has gone
            self._closed.append(payer)
            self._flush_soon()

    def has_elsewhere(self, gate_id: str, payer: str) -> None:
        """See `OrderLog`."""
        if gate_id in SLOTS and not self.is_broken:
            self._strays.append((gate_id, payer))
            self._flush_soon()

    def posted(self, orders: Iterable[LoggedOrder]) -> None:
        """See `OrderLog`."""
        self._posted += [one.seq for one in orders]

    def tidy(self) -> None:
        """See `OrderLog`."""
        if self._posted and not self.is_broken:
            self._flush_soon()

    async def look(self, order_id: str = "") -> tuple[bool, int]:
        """See `OrderLog`."""
        if self.is_broken:
            raise self.refusal()
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, self._look, order_id)
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

    async def reopen(self) -> None:
        """See `OrderLog`."""
        await asyncio.get_running_loop().run_in_executor(self._thread, self._reopened)  # a disk that failed may be slow
        self.is_broken = False

    async def close(self) -> None:
        """See `OrderLog`."""
        while self._flushing is not None:
            await asyncio.wait([self._flushing])
        if self._posted and not self.is_broken:
            posted, self._posted = self._posted, []
            with suppress(StorageError):  # the next holder tells the wallets once more
                await asyncio.get_running_loop().run_in_executor(self._thread, self._commit, [], posted, [], [])
        self._thread.shutdown()
        self._let_go()


def _tell(write: _Write, order: LoggedOrder, *, is_used: bool) -> None:
    write.told(None if is_used else order)
    if write.future.done():
        return
    if is_used:
        write.future.set_exception(SatboxError("order_used", funds_moved=False))
    else:
        write.future.set_result(order)
