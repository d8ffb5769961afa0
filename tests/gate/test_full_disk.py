"""The service's own disk is full: whatever writes fails with one code, and goes on when there is room."""

import errno
import os
import sqlite3
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from storage.full_disk import is_full
from tests.gate.gatehouse import House, gatehouse

NEEDS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="mounts a small disk")
FULL = "storage_full"


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 48 MiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=48m", "satbox-test", folder], check=True)
    yield folder
    subprocess.run(["umount", "-l", folder], check=True)


@pytest.fixture
async def small(disk: Path) -> AsyncIterator[House]:
    async with gatehouse(disk) as made:
        yield made


@contextmanager
def filled(disk: Path) -> Iterator[None]:
    """Not a block is free."""
    filler = disk / "filler"
    with filler.open("wb") as file:
        while (found := os.statvfs(disk)).f_bavail:
            with suppress(OSError):  # what writes beside us has taken some of it since: there is less
                os.posix_fallocate(file.fileno(), os.fstat(file.fileno()).st_size, found.f_bavail * found.f_frsize)
    try:
        yield
    finally:
        filler.unlink()


@NEEDS_ROOT
async def test_every_writer_of_a_wallet_fails_with_one_code_and_goes_on(small: House, disk: Path) -> None:
    who, other = await small.agent(), await small.agent()
    await small.created(who, 1_000)
    before = small.state(who).accounts
    writes = {
        "budget": ("POST", "/sandbox/budget", {"max_sats_per_hour": 100}),
        "routes": ("PUT", "/sandbox/routes", {"items": [{"port": 8000, "path": "/*", "sats": 5}]}),
        "wake link": ("POST", "/sandbox/wake-links", {}),
        "reap": ("POST", "/sandbox/reap", {}),
        "dispute": ("POST", "/sandbox/disputes", {"seq": 1, "reason": "charged twice"}),
    }
    failed = set()
    with filled(disk):
        for name, (method, path, body) in writes.items():
            answer = await small.ask(method, path, who=who, json=body)
            if answer.status not in (400, 404, 405):  # judged before anything is written
                assert (name, answer.status, answer.code) == (name, 507, FULL)
                assert answer.headers["Retry-After"] == "30"
                failed.add(name)
        paid = await small.pay("/sandbox/create", other, small.sbtc(other, 300))
        assert paid.status in (202, 507), paid.body
        assert paid.status == 202 or (paid.code == FULL and paid.body["error"]["funds_moved"] != True)  # noqa: E712
    assert {"budget", "wake link", "reap"} <= failed
    assert (await small.ask("POST", "/sandbox/budget", who=who, json={"max_sats_per_hour": 100})).status == 200
    assert small.state(who).accounts.deposits == before.deposits
    assert sum(vars_of(small.state(who).accounts)) == 0


def vars_of(accounts: object) -> list[int]:
    return [getattr(accounts, name) for name in accounts.__slots__]  # type: ignore[attr-defined]


def test_what_a_full_disk_looks_like(tmp_path: Path) -> None:
    database = sqlite3.connect(tmp_path / "x.sqlite")
    database.execute("PRAGMA max_page_count = 2")
    database.execute("CREATE TABLE t (x)")
    with pytest.raises(sqlite3.OperationalError) as full:
        database.execute("INSERT INTO t VALUES (zeroblob(100000))")
    database.close()
    wrapped = RuntimeError("no checkpoint")
    wrapped.__cause__ = OSError(errno.EDQUOT, "quota")

    assert is_full(full.value)
    assert is_full(OSError(errno.ENOSPC, "full"))
    assert is_full(wrapped)
    assert not is_full(OSError(errno.EIO, "broken"))
    assert not is_full(sqlite3.OperationalError("no such table"))


async def test_an_error_is_answered_though_its_payment_cannot_be_looked_up(house: House) -> None:
    async def full(_payment_id: str) -> None:
        raise sqlite3.OperationalError("database or disk is full")

    who = await house.agent()
    house.settlements.report = full  # type: ignore[method-assign,assignment]
    answer = await house.pay("/sandbox/create", who, house.sbtc(who, 1), {"sats": 500})
    assert (answer.status, answer.code, answer.funds_moved) == (422, "payment_amount_insufficient", "unknown")
