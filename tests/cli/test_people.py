"""Tables for people: 80 columns, no id broken over lines, amounts that are exact, the newest events."""

import json
import re
import time
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st

from satbox.agent.keystore import Keystore, agent_of
from satbox.cli.books.books_tables import ledger_amount
from satbox.cli.people import event_words
from satbox.cli.sandbox.events import TYPE_CHARS
from satbox.cli.sandbox.sandbox_tables import state_means
from satbox.cli.short_texts import coin_text, short_id, time_text
from tests.cli.running import satbox
from tests.client.fake_gate import BITCOIN_KEY, STACKS_KEY, FakeGate, status_of

RUNTIME, PAYMENT = "rt_43035ce09d1d26018f4cd453", "pay_2d5eaeb28a8b8234376a35f1bcbb82b4"
ADDRESS = "ST" + "T" * 39
AT, NEXT_DAY = "2026-11-21T12:50:28.482Z", "2026-11-22T00:00:01.000Z"
HUGE = 1_234_567_123_456


@pytest.fixture
def home(tmp_path: Path) -> Path:
    Keystore(tmp_path).save(agent_of("default", STACKS_KEY, BITCOIN_KEY))
    return tmp_path


async def shown(home: Path, path: str, answer: Any, *words: str) -> list[str]:
    async def serve(request: web.Request) -> web.StreamResponse:
        return web.json_response(answer(request) if callable(answer) else answer)

    async with FakeGate(wall_seconds=time.time).running(("GET", path, serve)) as gate:
        ended = await satbox(*words, "--table", home=home, gate=gate.url, environment={"COLUMNS": "80"})
    assert ended.code == 0, ended.stderr
    lines = ended.stdout.decode().splitlines()
    assert max(map(len, lines)) <= 80
    return [line.rstrip() for line in lines]


def _entry(seq: int, at: str, kind: str, reference: str | None, **postings: int) -> dict[str, Any]:
    return {
        "seq": seq, "at": at, "kind": kind, "reference": reference, "postings": postings,
        "balance_after_usat": HUGE, "previous": "0" * 64, "hash": "1" * 64,
    }  # fmt: skip


@pytest.mark.parametrize("second_day", [AT, NEXT_DAY])
async def test_the_ledger_has_a_line_for_each_entry(home: Path, second_day: str) -> None:
    items = [
        _entry(9_997, AT, "charge", RUNTIME, owed=-32_020, burnt=32_020),
        _entry(9_998, second_day, "deposit", PAYMENT, deposits=-HUGE, bucket=HUGE),
        _entry(9_999, second_day, "arrears", None, bucket=-32_020, owed=32_020),
    ]
    answer = {
        "items": items, "accounts": {"bucket": HUGE, "owed": -5, "burnt": 1, "deposits": -HUGE, "write_offs": 0},
        "chain_head": "a" * 64, "next_cursor": 9_999, "has_more": True,
    }  # fmt: skip
    lines = await shown(home, "/sandbox/ledger", answer, "ledger")
    rows = [line.split() for line in lines if line.split()[0] in ("9997", "9998", "9999")]
    assert [row[-2] for row in rows] == ["-0.032020", "+1,234,567.123456", "-0.032020"]
    assert "rt_43035…453" in rows[0]
    assert any(line.split() == ["deposits", "1,234,567.123456", "sats"] for line in lines)
    assert any("satbox ledger --after 9999" in line for line in lines)


@given(st.integers(0, 10**12), st.integers(0, 10**12))
def test_an_entrys_amount_is_what_the_wallet_gained_or_what_moved(credit: int, debt: int) -> None:
    assert ledger_amount({"bucket": -credit, "owed": -debt, "burnt": credit + debt}) == -(credit + debt)
    assert ledger_amount({"bucket": credit, "deposits": -credit}) == credit
    assert ledger_amount({"bucket": -debt, "owed": debt}) == -debt


async def test_the_meter_is_readable_and_its_arithmetic_is_there(home: Path) -> None:
    span = {
        "seq": 123_456, "runtime_id": RUNTIME, "boot_id": "b" * 36, "from_ms": 10**12, "to_ms": 10**12 + 86_400_001,
        "elapsed_ms": 86_400_001, "rate_usat_per_second": 20_000, "remainder_before": 0, "remainder_after": 20,
        "charge_usat": 1_728_000_020, "arithmetic": "(20000 * 86400001 + 0) // 1000 = 1728000020, remainder 20",
    }  # fmt: skip
    answer = {"spans": [span], "charged_usat": 1_728_000_020, "journal_charged_usat": 1_728_000_020, "matches": True}
    lines = await shown(home, "/sandbox/meter", answer, "meter", "explain")
    (row,) = [line for line in lines if "123456" in line]
    assert row.split() == [
        "123456", "rt_43035…453", "86400.001", "s", "0.020000", "sats/s", "1,728.000020", "sats",
    ]  # fmt: skip
    assert not any("//" in line for line in lines)
    verbose = await shown(home, "/sandbox/meter", answer, "meter", "explain", "--verbose")
    assert verbose[-1] == f"123456: {span['arithmetic']}"


async def test_a_quote_says_what_to_pay_in_coins(home: Path) -> None:
    offer = {"contract": f"{ADDRESS}.sbtc-token", "sats": 500, "seconds": 25_000}
    offers = [
        {**offer, "asset": "sBTC", "amount": "500"},
        {**offer, "asset": "STX", "amount": "1010000", "quote_id": "quo_" + "4" * 32, "expires_at": AT},
    ]
    answer = {"sats": 500, "seconds": 25_000, "rate_usat_per_second": 20_000, "offers": offers}
    lines = await shown(home, "/sandbox/quote", answer, "quote")
    assert any(line.split()[:3] == ["sBTC", "500", "sats"] for line in lines)
    assert any(line.split()[:3] == ["STX", "1.010000", "STX"] and line.endswith("12:50:28") for line in lines)


async def test_a_status_says_each_thing_once(home: Path) -> None:
    answer = status_of(ADDRESS).model_dump(mode="json") | {
        "chain_head": "a" * 64,
        "exhausts_at": AT,
        "seconds_left": 61,
    }
    lines = await shown(home, "/sandbox/status", answer, "status")
    assert len([line for line in lines if line.split()[0] == "balance"]) == 1
    assert not any("aaaa" in line for line in lines)
    assert any(line.split() == ["exhausts", "at", "2026-11-21", "12:50:28Z"] for line in lines)


@pytest.mark.parametrize(
    ("failed", "words"),
    [
        ({"state": "cannot_run", "exit_code": 126}, ("cannot be run (exit 126)", "chmod +x .satbox/start")),
        ({"state": "failed", "exit_code": 3}, ("failed (exit 3)",)),
        ({"state": "failed", "signal": 9}, ("failed (signal 9)",)),
    ],
)
async def test_a_start_file_that_failed_is_in_the_status_with_what_to_do(
    home: Path, failed: dict[str, Any], words: tuple[str, ...]
) -> None:
    answer = status_of(ADDRESS).model_dump(mode="json")
    answer["start_file"] = {"exit_code": None, "signal": None, "process_id": "p7", **failed}
    text = " ".join(" ".join(await shown(home, "/sandbox/status", answer, "status")).split())
    for expected in (*words, "satbox processes logs p7"):
        assert expected in text


def _event(seq: int) -> dict[str, Any]:
    data = {"payment_id": PAYMENT, "usat": 50_000_000, "payer": ADDRESS, "asset": "sBTC"}
    return {"seq": seq, "at": AT if seq < 2_000 else NEXT_DAY, "type": "deposit", "data": data}


def _page(request: web.Request) -> dict[str, Any]:
    after, limit = int(request.query["after"]), int(request.query["limit"])
    items = [_event(seq) for seq in range(after + 1, min(after + limit, 2_345) + 1)]
    last = items[-1]["seq"] if items else after
    return {"items": items, "next_cursor": last, "has_more": last < 2_345}


async def test_events_for_people_are_the_newest(home: Path) -> None:
    lines = await shown(home, "/sandbox/events", _page, "events", "--limit", "2")
    assert lines[0] == "2026-11-22 (UTC)"
    assert [line.split()[0] for line in lines[1:]] == ["2344", "2345"]
    assert "50.000000 sats, sBTC, pay_2d5e…2b4" in lines[1]
    days = await shown(home, "/sandbox/events", _page, "events", "--limit", "1000")
    assert [line for line in days if "(UTC)" in line] == ["2026-11-21 (UTC)", "2026-11-22 (UTC)"]
    assert len(days) == 1_002
    after = await shown(home, "/sandbox/events", _page, "events", "--after", "5", "--limit", "1")
    assert [line.split()[0] for line in after[1:]] == ["6"]


def test_types_of_events_stay_in_their_column() -> None:
    wallet = Path(__file__).parents[2] / "actors" / "wallet"
    types = {found for path in wallet.rglob("*.py") for found in re.findall(r'\.tell\(\s*"(\w+)"', path.read_text())}
    assert "start_file_failed" in types
    assert max(map(len, types)) == TYPE_CHARS


async def test_events_for_machines_are_a_page_from_the_cursor(home: Path) -> None:
    async def serve(request: web.Request) -> web.StreamResponse:
        return web.json_response(_page(request))

    async with FakeGate(wall_seconds=time.time).running(("GET", "/sandbox/events", serve)) as gate:
        ended = await satbox("events", "--limit", "2", home=home, gate=gate.url)
        wrong = await satbox("events", "--limit", "1001", "--table", home=home, gate=gate.url)
    assert [json.loads(line) for line in ended.stdout.splitlines()] == [_event(1), _event(2)]
    assert wrong.code == 2


def test_small_forms() -> None:
    assert short_id(PAYMENT) == "pay_2d5e…2b4"
    assert short_id("short") == "short"
    assert short_id(f"{ADDRESS}.sbtc-token") == "STTTTTTT…TTT.sbtc-token"
    assert short_id(None) is None
    assert time_text(AT) == "2026-11-21 12:50:28Z"
    assert time_text("soon") == "soon"
    assert coin_text("USDCx", "1") == "0.000001 USDCx"
    assert coin_text("other", "12") == "12"
    assert coin_text("STX", "-1") == "-1"
    assert event_words({"reason": "paid", "runtime_id": RUNTIME, "balance_usat": 1, "nothing": None}) == (
        "reason paid, rt_43035…453, balance 0.000001 sats"
    )
    assert state_means({"state": "grace", "grace": None}) is None
