"""Statements: what is signed agrees with what is in the file, and the file holds the wallet's books and nothing else."""

import asyncio
import contextlib
import csv
import io
import json
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from actors.books.chain import broken_links
from actors.books.ranges import Range
from actors.books.span_chain import chained
from actors.wallet.commands import SpanRecord
from actors.wallet.journal import Entry
from gate.books.statements import statement_file
from gate.front.sending import send_stream
from gate.parts.receipts import is_valid
from gate.reach.streams import file_out
from operations.models import Receipt
from tests.gate.gatehouse import SATS, House, Who, gatehouse


async def used(house: House, *, times: int = 4) -> Who:
    """A wallet with a deposit and some charges."""
    who = await house.agent()
    await house.created(who)
    for _ in range(times):
        await house.advance(10)
        await house.ask("POST", "/sandbox/pause", who=who)
        await house.until(lambda: house.state(who).runtime.is_paused)
        await house.ask("POST", "/sandbox/resume", who=who)
        await house.until(lambda: not house.state(who).runtime.is_paused)
    return who


def entry_of(item: dict[str, Any]) -> Entry:
    return Entry(
        item["seq"], item["at_ms"], item["kind"], item["reference"], tuple(item["postings"].items()),
        item["balance_after_usat"], item["previous"], item["hash"],
    )  # fmt: skip


async def key_of(house: House) -> str:
    return str((await house.ask("GET", "/key")).body["public_key"])


async def test_pages_follow_each_other_by_head_and_balance(house: House) -> None:
    who, key = await used(house), await key_of(house)
    after, head, balance, entries = 0, "0" * 64, "0", []
    while True:
        page = (await house.ask("GET", "/sandbox/ledger", who=who, params={"after": str(after), "limit": "2"})).body
        receipt = Receipt.model_validate(page["statement"])
        assert is_valid(receipt, key)
        said = receipt.statement
        assert (said["opening_head"], said["opening_usat"], said["after_seq"]) == (head, balance, after)
        assert (said["journal_head"], said["wallet"]) == (page["chain_head"], who.address)
        head, balance, after = said["closing_head"], said["closing_usat"], page["next_cursor"]
        counted = {kind: sum(i["kind"] == kind for i in page["items"]) for kind in {i["kind"] for i in page["items"]}}
        assert {kind: part["count"] for kind, part in said["totals"].items()} == counted
        entries += page["items"]
        if not page["has_more"]:
            break
    assert len(entries) > 3
    assert head == page["chain_head"]
    assert list(broken_links(who.address, map(entry_of, entries))) == []


async def test_the_sqlite_file_is_the_wallets_books_and_nothing_else(house: House, tmp_path: Path) -> None:
    who, key = await used(house), await key_of(house)
    answer = await house.ask("GET", "/sandbox/ledger/statement", who=who)
    assert answer.headers["Content-Type"] == "application/vnd.sqlite3"
    path = tmp_path / "statement.sqlite"
    path.write_bytes(answer.raw)
    db = sqlite3.connect(path)
    tables = {name for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    assert tables == {"journal", "spans", "documents"}
    documents = dict(db.execute("SELECT name, body FROM documents"))
    receipt = Receipt.model_validate_json(documents["statement"])
    assert is_valid(receipt, key)
    entries = [
        Entry(r[0], r[1], r[2], r[3], tuple(json.loads(r[4]).items()), *r[5:])
        for r in db.execute("SELECT * FROM journal ORDER BY seq")
    ]
    spans = [SpanRecord(*row) for row in db.execute("SELECT * FROM spans ORDER BY seq")]
    db.close()
    assert list(broken_links(who.address, iter(entries))) == []
    said = receipt.statement
    assert said["closing_head"] == entries[-1].hash == said["journal_head"]
    assert said["closing_usat"] == str(entries[-1].balance_after_usat)
    assert said["totals"]["deposit"]["postings_usat"] == {"deposits": str(-500 * SATS), "bucket": str(500 * SATS)}
    assert len(spans) > 3
    assert (said["spans_seq"], said["spans_head"]) == (spans[-1].seq, chained(spans))
    charged = sum(span.charge_usat for span in spans)
    assert said["totals"]["charge"]["postings_usat"]["burnt"] == str(charged)


async def test_json_and_csv_hold_the_same_entries(house: House) -> None:
    who, key = await used(house), await key_of(house)
    as_json = (await house.ask("GET", "/sandbox/ledger/statement", who=who, params={"format": "json"})).body
    answer = await house.ask("GET", "/sandbox/ledger", who=who, headers={"Accept": "text/csv"})
    lines = answer.raw.decode().splitlines()
    rows = list(csv.DictReader(io.StringIO("\n".join(line for line in lines if not line.startswith("#")))))
    assert [row["hash"] for row in rows] == [item["hash"] for item in as_json["items"]]
    assert [json.loads(row["postings"]) for row in rows] == [item["postings"] for item in as_json["items"]]
    (signed,) = [line for line in lines if line.startswith("# statement ")]
    assert is_valid(Receipt.model_validate_json(signed.removeprefix("# statement ")), key)
    assert as_json["format"] == "satbox-statement/1"
    assert len(as_json["spans"]) > 3


async def test_a_range_is_one_run_of_entries(house: House) -> None:
    who = await used(house)
    items = (await house.ask("GET", "/sandbox/ledger", who=who)).body["items"]
    middle = items[-1]["at"]
    later = (await house.ask("GET", "/sandbox/ledger", who=who, params={"since": middle})).body
    earlier = (await house.ask("GET", "/sandbox/ledger", who=who, params={"until": middle})).body
    assert [i["seq"] for i in earlier["items"] + later["items"]] == [i["seq"] for i in items]
    assert later["items"][0]["at"] >= middle > earlier["items"][-1]["at"]
    assert later["statement"]["statement"]["opening_head"] == earlier["items"][-1]["hash"]
    nothing = (await house.ask("GET", "/sandbox/ledger", who=who, params={"since": "2999-01-01"})).body
    assert nothing["items"] == []
    assert nothing["statement"]["statement"]["totals"] == {}


@pytest.mark.parametrize("since", ["yesterday", "2026-13-41", "2026-01-01T99:00Z", "0000-01-01"])
async def test_a_moment_that_is_none_is_refused(house: House, since: str) -> None:
    who = await house.agent()
    assert (await house.ask("GET", "/sandbox/ledger", who=who, params={"since": since})).code == "invalid_request"


async def test_a_file_has_a_limit_and_an_owner(tmp_path: Path) -> None:
    async with gatehouse(tmp_path, statement_rows_max=2) as house:
        who, other = await used(house), await house.agent()
        answer = await house.ask("GET", "/sandbox/ledger/statement", who=who)
        assert answer.code == "statement_too_large"
        params = {"address": who.address}
        assert (await house.ask("GET", "/sandbox/ledger/statement", who=other, params=params)).code == "not_owner"
        assert (await house.ask("GET", "/sandbox/ledger/statement", who=other)).code == "wallet_not_found"


async def test_old_wallets_keep_their_statements(tmp_path: Path) -> None:
    """Spans are those of the whole life: they do not count against the range that is asked for."""
    async with gatehouse(tmp_path, statement_rows_max=4) as house:
        who = await used(house)
        state = house.state(who)
        for _ in range(5):
            await house.advance(7.3)
            await house.ask("POST", "/sandbox/pause", who=who)
            await house.until(lambda: house.state(who).runtime.is_paused)
            await house.ask("POST", "/sandbox/resume", who=who)
            await house.until(lambda: not house.state(who).runtime.is_paused)
        assert house.state(who).span_seq > max(4, state.span_seq)
        params = {"until": "2001-01-01"}
        assert (await house.ask("GET", "/sandbox/ledger/statement", who=who, params=params)).status == 200


async def test_slow_readers_hold_up_nobody_and_have_few_files(house: House) -> None:
    slow, other = await used(house), await house.agent()
    await house.created(other)
    async with (
        statement_file(house.services, slow.address, Range(), "json"),
        statement_file(house.services, slow.address, Range(), "json"),
    ):
        async with asyncio.timeout(120):
            assert (await house.ask("GET", "/sandbox/ledger/statement", who=other)).status == 200
        assert (await house.ask("GET", "/sandbox/ledger/statement", who=slow)).code == "overloaded"
    assert (await house.ask("GET", "/sandbox/ledger/statement", who=slow)).status == 200
    await house.until(lambda: not house.services.statements_under_way)


async def test_who_takes_nothing_of_a_file_is_let_go(tmp_path: Path) -> None:
    file, ended = tmp_path / "file", asyncio.Event()
    file.write_bytes(bytes(32 << 20))

    async def serve(request: web.Request) -> web.StreamResponse:
        try:
            stream = await file_out(contextlib.nullcontext(file), "text/csv", "x", 0.2)
            return await send_stream(request, stream, {"x-request-id": "req_1"})
        finally:
            ended.set()

    app = web.Application()
    app.router.add_get("/", serve)
    async with TestServer(app) as server:
        reader, writer = await asyncio.open_connection(server.host, server.port, limit=1024)
        writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        async with asyncio.timeout(120):
            await ended.wait()
        writer.close()
        del reader
