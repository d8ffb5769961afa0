"""Every source's parser against answers in its documented shape, and against answers made to break it."""

import asyncio
import copy
import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from hypothesis import given
from hypothesis import strategies as st

from oracle.pairs import PICO, Pair
from oracle.parsing import (
    SourceFailed,
    exact_json,
    number,
    pico,
    time_of_ms,
    time_of_seconds,
    time_of_text,
)
from oracle.sources import ANSWER_BYTES_MAX, KINDS, HttpSource, SourceKind, SourceRequest, devnet_bases, public_bases

RECORDED = Path(__file__).parent / "recorded"
NOW_MS = 1_790_940_160_000
CASES = [
    pytest.param(kind, case, id=f"{kind.name}-{number}")
    for kind in KINDS
    for number, case in enumerate(json.loads((RECORDED / f"{kind.name}.json").read_text()))
]


def ask_of(kind: SourceKind, path: str) -> SourceRequest:
    return next(ask for ask in kind.asks if ask.path == path)


def told_by(kind: SourceKind, path: str, raw: str) -> dict[str, tuple[int, int]]:
    return {pair.value: (value, at) for pair, value, at in ask_of(kind, path).read(exact_json(raw.encode()), NOW_MS)}


@pytest.mark.parametrize(("kind", "case"), CASES)
def test_recorded_answers_are_read_to_the_last_digit(kind: SourceKind, case: dict[str, Any]) -> None:
    expected = {
        pair: (int(Decimal(price) * PICO), NOW_MS if at_ms is None else at_ms)
        for pair, (price, at_ms) in case["told"].items()
    }
    assert told_by(kind, case["path"], json.dumps(case["body"])) == expected


def test_every_request_has_a_recorded_answer() -> None:
    for kind in KINDS:
        recorded = {case["path"] for case in json.loads((RECORDED / f"{kind.name}.json").read_text())}
        assert recorded == {ask.path for ask in kind.asks}, kind.name


def test_there_are_at_least_six_independent_sources_of_both_legs() -> None:
    def pairs(kind: SourceKind) -> set[str]:
        return {pair for case in json.loads((RECORDED / f"{kind.name}.json").read_text()) for pair in case["told"]}

    both = {kind.group for kind in KINDS if {"BTC/USD", "STX/USD"} <= pairs(kind)}
    assert len(both) >= 6
    assert {kind.name for kind in KINDS if "STX/BTC" in pairs(kind)} >= {"binance", "coingecko"}
    assert len({(kind.timeout_seconds, kind.heartbeat_ms, kind.stale_ms) for kind in KINDS}) >= 4
    assert all(kind.heartbeat_ms < kind.stale_ms for kind in KINDS)


def leaves(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    if isinstance(value, dict):
        return [found for key, inner in value.items() for found in leaves(inner, (*path, key))]
    if isinstance(value, list):
        return [found for key, inner in enumerate(value) for found in leaves(inner, (*path, key))]
    return [path]


def changed(body: Any, path: tuple[Any, ...], value: Any) -> Any:
    made = copy.deepcopy(body)
    inner = made
    for step in path[:-1]:
        inner = inner[step]
    inner[path[-1]] = value
    return made


HOSTILE: list[Any] = [
    None, True, False, [], {}, "", " ", "soon", "NaN", "Infinity", "-1", -1, -0.5, 0, "0", "1e999", 1e300, "1e-999",
    "0x10", "1,000", "\uff11", "1_000", "+1", ".5", "5.", "9" * 41, [1], {"price": 1}, 10**30, "1" + "0" * 25,
]  # fmt: skip


@pytest.mark.parametrize(("kind", "case"), CASES)
def test_hostile_bodies_are_refused(kind: SourceKind, case: dict[str, Any]) -> None:
    """Any leaf replaced by any nonsense: the answer is refused, or it still tells of plausible numbers and times."""
    for path in leaves(case["body"]):
        for value in HOSTILE:
            check_is_harmless(kind, case["path"], json.dumps(changed(case["body"], path, value)))
    for raw in ("", "null", "[]", "{}", "[" * 100_000, '{"price": NaN}', "\ud800", '"' + "9" * 1_000, "{" * 5):
        check_is_harmless(kind, case["path"], raw, told_nothing=True)


def check_is_harmless(kind: SourceKind, path: str, raw: str, *, told_nothing: bool = False) -> None:
    try:
        told = ask_of(kind, path).read(exact_json(raw.encode("utf-8", "surrogatepass")), NOW_MS)
    except SourceFailed:
        return
    assert not told_nothing, raw[:80]
    assert told
    for pair, value, at_ms in told:
        assert isinstance(pair, Pair)
        assert isinstance(value, int)
        assert 0 < value <= 10**24
        assert isinstance(at_ms, int)
        assert 0 < at_ms < 2**43


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["data", "price", "error", "result", "c", "parsed", "list", "time", "usd", "prices", "stx"]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(body=JSON, choice=st.sampled_from([(kind, ask) for kind in KINDS for ask in kind.asks]))
def test_no_json_gets_past_a_parser_but_as_a_price_or_a_refusal(
    body: Any, choice: tuple[SourceKind, SourceRequest]
) -> None:
    kind, ask = choice
    check_is_harmless(kind, ask.path, json.dumps(body))


@pytest.mark.parametrize("value", ["1", "0.512345678901", "98765.43", "6.2e-06", "1E+2"])
def test_numbers_keep_every_digit(value: str) -> None:
    assert pico(value) == int(Decimal(value) * PICO)
    assert number(Decimal(value)) == Decimal(value)


@pytest.mark.parametrize("value", [1, 1.5, True, None, b"1", [], "1.", "-1", "1e9999", "1e13", "1e-13", "NaN"])
def test_what_is_no_exact_positive_number_is_refused(value: Any) -> None:
    with pytest.raises(SourceFailed):
        pico(value)


@pytest.mark.parametrize(
    ("read", "value"),
    [
        (time_of_ms, "soon"), (time_of_ms, "-1"), (time_of_ms, Decimal("1.5")), (time_of_ms, "9" * 20),
        (time_of_seconds, Decimal("1e300")), (time_of_seconds, Decimal(-5)), (time_of_seconds, None),
        (time_of_text, "2026-01-01T00:00:00"), (time_of_text, "0001-01-01T00:00:00Z"), (time_of_text, "x" * 100),
        (time_of_text, 5), (time_of_text, "2026-13-01T00:00:00Z"),
    ],
)  # fmt: skip
def test_what_is_no_time_is_refused(read: Any, value: Any) -> None:
    with pytest.raises(SourceFailed):
        read(value)


def test_a_pyth_price_that_doubts_itself_is_no_price() -> None:
    kind = next(kind for kind in KINDS if kind.name == "pyth")
    body = json.loads((RECORDED / "pyth.json").read_text())[0]["body"]
    body["parsed"][1]["price"]["conf"] = "700000"  # over a hundredth of 61234567
    with pytest.raises(SourceFailed, match="confidence"):
        told_by(kind, kind.asks[0].path, json.dumps(body))


def test_an_answer_about_another_coin_is_refused() -> None:
    okx = next(kind for kind in KINDS if kind.name == "okx")
    case = json.loads((RECORDED / "okx.json").read_text())[0]
    with pytest.raises(SourceFailed, match="something else"):
        told_by(okx, okx.asks[1].path, json.dumps(case["body"]))


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        ({"text": '{"price": "' + "9" * ANSWER_BYTES_MAX + '"}'}, "answer too large"),
        ({"status": 302, "headers": {"Location": "/elsewhere"}}, "HTTP 302"),
        ({"status": 429}, "HTTP 429"),
        ({"text": "<html>"}, "no JSON"),
        (None, "no answer in time"),
    ],
)
async def test_what_a_host_may_do_is_bounded(answer: dict[str, Any] | None, error: str) -> None:
    let_go = asyncio.Event()

    async def handle(_: web.Request) -> web.Response:
        if answer is None:
            await let_go.wait()
        return web.Response(**(answer or {}))

    app = web.Application()
    app.router.add_get("/{path:.*}", handle)
    kind = SourceKind(
        "x",
        "x",
        1,
        "",
        (SourceRequest("/ticker", KINDS[0].asks[0].read),),
        timeout_seconds=0.05 if answer is None else 5,
    )
    async with TestServer(app) as server, aiohttp.ClientSession() as session:
        source = HttpSource(kind, str(server.make_url("/")), session)
        with pytest.raises(SourceFailed, match=error):
            await source.fetch(lambda: NOW_MS)
        let_go.set()


async def test_a_host_that_is_not_there_is_a_failed_source() -> None:
    async with aiohttp.ClientSession() as session:
        with pytest.raises(SourceFailed):
            await HttpSource(KINDS[0], "http://127.0.0.1:1", session).fetch(lambda: NOW_MS)


def test_hosts_come_from_settings_and_five_groups_must_be_left() -> None:
    assert public_bases()["kraken"] == "https://api.kraken.com"
    assert public_bases({"kraken": "http://127.0.0.1:9"}, ["binance"])["kraken"] == "http://127.0.0.1:9"
    assert "binance" not in public_bases(without=["binance"])
    assert set(devnet_bases("http://127.0.0.1:9/prices").values()) == {
        f"http://127.0.0.1:9/prices/{kind.name}" for kind in KINDS
    }
    for changes, without in (({"moon": "http://x"}, []), ({}, ["moon"])):
        with pytest.raises(ValueError, match="no such price source"):
            public_bases(changes, without)
    with pytest.raises(ValueError, match="at least 5"):
        public_bases(without=["kraken", "binance", "okx", "bybit", "gate"])
    assert public_bases(without=["kraken", "binance", "okx", "coinbase"]), "coinbase has a second face"
