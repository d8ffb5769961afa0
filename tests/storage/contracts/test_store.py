"""What settlements and payouts take for granted of the `Store` that they run their transactions in."""

import asyncio
import random
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from relay_client.settlements.schema import migrate
from simulator.disk import Disk, DiskStore
from storage.connection import Connection
from storage.errors import ConflictError
from storage.writer import GroupWriter, StoreClosed

STORES: dict[str, Callable[[Path], GroupWriter]] = {
    "file": lambda path: GroupWriter(path, migrate),
    "simulator": lambda path: DiskStore(Disk(random.Random(1), lambda *_: None), path),
}


@pytest.fixture(params=STORES)
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[GroupWriter]:
    made = STORES[request.param](tmp_path / "settlements.sqlite")
    yield made
    made.close()


def add(since_ms: int) -> Callable[[Connection], int]:
    def work(db: Connection) -> int:
        query = "INSERT INTO outages (outage_id, since_ms) VALUES (?, ?) RETURNING outage_id"
        ((outage_id,),) = db.execute(query, (since_ms, since_ms)).fetchall()
        return int(outage_id)

    return work


def count(db: Connection) -> int:
    return int(db.execute("SELECT count(*) FROM outages").fetchone()[0])


async def test_a_result_comes_when_it_is_kept(store: GroupWriter) -> None:
    assert await store.run(add(5)) == 5
    assert await store.run(count) == 1


async def test_work_that_fails_leaves_nothing_and_stops_nobody(store: GroupWriter) -> None:
    def half(db: Connection) -> None:
        add(1_000)(db)
        raise LookupError("half way")

    work: list[Callable[[Connection], Any]] = [add(1), half, add(2), add(1), half, add(3)]
    done = await asyncio.gather(*map(store.run, work), return_exceptions=True)
    assert [one if isinstance(one, int) else type(one) for one in done] == [
        1, LookupError, 2, ConflictError, LookupError, 3,
    ]  # fmt: skip
    assert await store.run(count) == 3


async def test_a_conflict_within_work_can_be_gone_on_from(store: GroupWriter) -> None:
    def insert_or_leave(db: Connection) -> tuple[int, int]:
        query = "INSERT INTO outages (outage_id, since_ms) VALUES (7, 7) ON CONFLICT DO NOTHING"
        return db.execute(query).rowcount, db.execute(query).rowcount

    assert await store.run(insert_or_leave) == (1, 0)
    rows = await store.run(lambda db: list(db.execute("SELECT outage_id, since_ms, until_ms FROM outages")))
    assert rows == [(7, 7, None)]


async def test_many_rows_are_written_in_one_statement(store: GroupWriter) -> None:
    query = "INSERT INTO outages (outage_id, since_ms) VALUES (?, ?)"
    assert await store.run(lambda db: db.executemany(query, ((n, n) for n in range(50))).rowcount) == 50
    assert await store.run(count) == 50


async def test_it_takes_nothing_after_its_end(store: GroupWriter) -> None:
    store.close()
    with pytest.raises(StoreClosed):
        await store.run(count)
