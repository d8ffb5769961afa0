"""Each file that the gate, the oracle and the books' clock write, on a full disk: no write is answered as done that is not
there later, what cannot be written says so, and everything goes on when there is room.
"""

import asyncio
import contextlib
import json
import sqlite3
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog

from actors.wallet.journal import Entry
from gate.books.statement_files import WRITERS
from gate.charging.order_file import OrderFile
from gate.parts.dispute_file import DisputeFile
from gate.parts.orders import Held
from gate.parts.receipts import checkpoint_log
from gate.parts.secret_file import SecretFile
from gate.parts.secret_store import StoredSecret
from operations.errors import SatboxError
from oracle import AnchorBook, QuoteBook
from oracle.anchor import Anchor
from oracle.quotes import Quote
from storage.connection import Connection
from storage.errors import StorageError
from storage.full_disk import is_full
from storage.writer import GroupWriter
from tests.gate.gatehouse import gatehouse
from tests.gate.test_disputes import OPERATOR
from tests.gate.test_full_disk import FULL, NEEDS_ROOT, filled

NOW_MS = 1_700_000_000_000
WRITES_MAX = 300
"""More than fits into what any of these files has in reserve once the disk is full."""
TEXT = "x" * 2_000


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 4 MiB."""
    folder = tmp_path / "small"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "satbox-test", folder], check=True)
    yield folder
    subprocess.run(["umount", "-l", folder], check=True)


class Orders:
    def __init__(self, disk: Path) -> None:
        self.log = OrderFile(disk, "gate_1", lambda: NOW_MS)

    async def write(self, number: int) -> None:
        held = Held(f"ord_{number}", "SP1", "SP9", 5, NOW_MS + 60_000, TEXT)
        await self.log.write(held, lambda _: None)

    async def heal(self) -> None:
        await self.log.reopen()

    async def found(self) -> set[int]:
        return {int(order_id[4:]) for order_id, _ in self.log.used(WRITES_MAX)}

    async def close(self) -> None:
        await self.log.close()


class Quotes:
    def __init__(self, disk: Path) -> None:
        self.book = QuoteBook(disk / "oracle.sqlite", now_ms=lambda: NOW_MS)

    async def write(self, number: int) -> None:
        quote = Quote(f"quo_{number}", "STX", 1, 1, 1, 0, 1, 1, (TEXT,), NOW_MS, NOW_MS, "")
        await self.book.keep(quote)

    async def heal(self) -> None:
        pass

    async def found(self) -> set[int]:
        return {number for number in range(WRITES_MAX) if await self.book.find(f"quo_{number}") is not None}

    async def close(self) -> None:
        self.book.close()


class Anchors:
    def __init__(self, disk: Path) -> None:
        self.book = AnchorBook(disk / "oracle.sqlite")

    async def write(self, number: int) -> None:
        await self.book.save({f"{number} {TEXT}": Anchor(number, NOW_MS)})

    async def heal(self) -> None:
        pass

    async def found(self) -> set[int]:
        return {anchor.usat_per_coin for anchor in (await self.book.load()).values()}

    async def close(self) -> None:
        self.book.close()


class Disputes:
    def __init__(self, disk: Path) -> None:
        self.index = DisputeFile(disk / "disputes.sqlite")

    async def write(self, number: int) -> None:
        self.index.add(f"dsp_{number}", TEXT, NOW_MS)

    async def heal(self) -> None:
        pass

    async def found(self) -> set[int]:
        return {int(row.dispute_id[4:]) for row in self.index.waiting(WRITES_MAX)}

    async def close(self) -> None:
        pass


class Secrets:
    def __init__(self, disk: Path) -> None:
        self.store = SecretFile(disk / "secrets.sqlite", bytes(32))

    async def write(self, number: int) -> None:
        self.store.set(f"SP{number}", 1, StoredSecret("NAME", "env", {}, NOW_MS), TEXT)

    async def heal(self) -> None:
        pass

    async def found(self) -> set[int]:
        return {number for number in range(WRITES_MAX) if self.store.all(f"SP{number}", 1)}

    async def close(self) -> None:
        self.store.close()


class OrdersAtOnce(Orders):
    """One transaction larger than SQLite's cache, so that the disk is full before it is committed."""

    async def write(self, number: int) -> None:
        crowd = 1_200 if 5 <= number < WRITES_MAX - 10 else 0
        orders = [Held(f"part_{number}_{n}", "SP1", "SP9", 5, NOW_MS, TEXT) for n in range(crowd)]
        outcomes = await asyncio.gather(
            super().write(number), *(self.log.write(one, lambda _: None) for one in orders), return_exceptions=True
        )
        if isinstance(outcomes[0], BaseException):
            assert not [one for one in outcomes if not isinstance(one, BaseException)]
            raise outcomes[0]

    async def found(self) -> set[int]:
        return {int(order_id[4:]) for order_id, _ in self.log.used(10**6) if order_id.startswith("ord_")}


class Payments:
    """The settlements' store; a job larger than SQLite's cache fails before its group is committed."""

    def __init__(self, disk: Path) -> None:
        self.store = GroupWriter(
            disk / "settlements.sqlite", lambda db: db.execute("CREATE TABLE t (n INTEGER, x TEXT)")
        )  # type: ignore[arg-type, return-value]

    async def write(self, number: int) -> None:
        crowd = 1_200 if 5 <= number < WRITES_MAX - 10 else 1

        def work(db: Connection) -> None:
            db.executemany("INSERT INTO t VALUES (?, ?)", [(number, TEXT)] * crowd)

        await self.store.run(work)

    async def heal(self) -> None:
        pass

    async def found(self) -> set[int]:
        rows = await self.store.run(lambda db: db.execute("SELECT n FROM t").fetchall())
        return {number for (number,) in rows}

    async def close(self) -> None:
        self.store.close()


KINDS = [Payments, Orders, OrdersAtOnce, Quotes, Anchors, Disputes, Secrets]


def says_full(error: Exception) -> bool:
    return error.code == "storage_full" if isinstance(error, SatboxError) else is_full(error)


@NEEDS_ROOT
@pytest.mark.parametrize("kind", KINDS)
async def test_what_was_answered_is_there_and_what_failed_said_why(kind: type[Any], disk: Path) -> None:
    writer, done, failed = kind(disk), set[int](), dict[int, Exception]()

    async def write(numbers: range, failures_max: int) -> None:
        for number in numbers:
            try:
                await writer.write(number)
                done.add(number)
            except Exception as error:
                failed[number] = error
            if len(failed) == failures_max:
                return

    await write(range(5), 1)
    assert len(done) == 5
    with filled(disk):
        await write(range(5, WRITES_MAX - 10), 3)
    assert len(failed) == 3
    assert all(map(says_full, failed.values())), failed
    await writer.heal()
    before = await writer.found()
    await write(range(WRITES_MAX - 10, WRITES_MAX), 4)
    after = await writer.found()
    await writer.close()

    assert len(failed) == 3
    assert done <= after
    assert before - set(failed) == {number for number in done if number < WRITES_MAX - 10}
    unknown = {n for n, error in failed.items() if isinstance(error, SatboxError) and error.funds_moved == "unknown"}
    assert before & set(failed) <= unknown, "what was refused for certain must not be there"


@NEEDS_ROOT
@pytest.mark.parametrize("kind", WRITERS)
def test_a_statement_that_does_not_fit_is_never_whole(kind: str, disk: Path) -> None:
    entries = [Entry(n, NOW_MS, "fee", TEXT, (("bucket", -1), ("burnt", 1)), 5, "0" * 64, "1" * 64) for n in range(100)]
    writer = WRITERS[kind](disk / "statement")

    def write() -> None:
        writer.entries(entries)
        writer.close({"statement": {"kind": "statement"}})

    with filled(disk), pytest.raises((OSError, sqlite3.Error)) as failed:
        write()
    assert is_full(failed.value)
    with filled(disk):
        writer.abandon()


@NEEDS_ROOT
async def test_what_only_reads_the_books_says_that_the_disk_is_full_and_works_later(
    disk: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "home").mkdir()
    async with gatehouse(tmp_path / "home") as house:
        who = await house.agent()
        paid = await house.created(who)
        log = checkpoint_log(tmp_path / "home", house.services.receipts, deployment="x", network="y")
        monkeypatch.setattr(log, "_file", disk / "checkpoints.sqlite")
        monkeypatch.setattr(house.services.disputes, "_path", disk / "disputes.sqlite")
        monkeypatch.setattr(tempfile, "tempdir", str(disk))
        dispute = {"receipt": json.dumps(paid.body["receipt"]), "reason": "charged twice"}
        opened = (await house.ask("POST", "/sandbox/disputes", who=who, json=dispute)).body
        deny = ("POST", f"/operator/disputes/{opened['dispute_id']}/deny")
        # As another gate of the home would, this keeps the files of the index that reading needs.
        with contextlib.closing(sqlite3.connect(disk / "disputes.sqlite")) as other:
            other.execute("SELECT * FROM disputes").fetchall()
            with filled(disk):
                with structlog.testing.capture_logs() as logged:
                    answer = await house.ask("GET", "/sandbox/ledger/statement", who=who)
                    assert (answer.status, answer.code, answer.headers.get("Retry-After")) == (507, FULL, "30"), (
                        answer.raw
                    )
                assert [line["event"] for line in logged] == ["unexpected"]
                with pytest.raises((OSError, StorageError)) as failed:
                    log.make(NOW_MS, "now")
                assert is_full(failed.value)
                denied = await house.ask(*deny, headers=OPERATOR, json={"text": "no"})
                listed = await house.ask("GET", "/operator/disputes", headers=OPERATOR)
        for kind in WRITERS:
            assert (await house.ask("GET", "/sandbox/ledger/statement", who=who, params={"format": kind})).status == 200
        made = log.make(NOW_MS, "now")

    assert (made.is_new, made.rewritten) == (True, {})
    assert (denied.status, denied.body["state"]) == (200, "denied")
    assert listed.body["items"] == []
