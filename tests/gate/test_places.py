"""Places at a seller: one caller who holds on, whoever they are, leaves some for all others."""

import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st

from gate.wire.crowd import Places
from operations.errors import SatboxError
from tests.gate.gatehouse import gatehouse, header_of
from tests.gate.inside import serving
from tests.gate.test_handshakes_and_heads import sold


def fill(places: Places, stack: contextlib.ExitStack, who: str | None, tries: int = 100) -> int:
    """How many places somebody gets."""
    for taken in range(tries):
        try:
            stack.enter_context(places.entered("seller", who))
        except SatboxError as error:
            refused = error
        else:
            continue
        assert (refused.code, refused.retry_after) == ("rate_limited", 1)
        return taken
    return tries


def test_one_caller_takes_half_and_those_behind_it_half_of_the_rest() -> None:
    places = Places(64)
    with contextlib.ExitStack() as stack:
        assert [fill(places, stack, who) for who in "abcdefg"] == [32, 16, 8, 4, 2, 1, 1]
        assert fill(places, stack, "h") == 0
    with contextlib.ExitStack() as stack:
        assert fill(places, stack, None) == 64, "who is not known apart has no share"
    with contextlib.ExitStack() as stack:
        assert fill(places, stack, "a") == 32, "all of it was given back"


@given(st.lists(st.integers(0, 30), max_size=200))
def test_a_newcomer_gets_in_as_long_as_a_few_hold_on(callers: list[int]) -> None:
    places = Places(64)
    with contextlib.ExitStack() as stack:
        for caller in callers:
            with contextlib.suppress(SatboxError):
                stack.enter_context(places.entered("seller", f"caller {caller}"))
        assert fill(places, stack, "newcomer") >= 1


async def test_a_payer_with_slow_bodies_keeps_no_other_payer_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.modules["gate.proxy.serve"], "REQUESTS_PER_WALLET_MAX", 4)
    may_end, begun = asyncio.Event(), asyncio.Semaphore(0)

    async def serve(request: web.Request) -> web.Response:
        begun.release()
        return web.Response(text=str(len(await request.read())))

    async def slow() -> AsyncIterator[bytes]:
        yield b"x"
        await may_end.wait()

    async with gatehouse(tmp_path) as house, serving(house, serve), asyncio.timeout(120):
        seller, holder, other = await sold(house), await house.agent(), await house.agent()
        path = f"/sandbox/proxy/{seller.address}/8000/x"
        held = []
        for _ in range(2):
            headers = {"payment-signature": header_of(house.sbtc(holder, 10))}
            held.append(asyncio.create_task(house.ask("POST", path, headers=headers, data=slow())))
            await begun.acquire()
        more = {"payment-signature": header_of(house.sbtc(holder, 10))}
        refused = await house.ask("POST", path, headers=more, data=b"x")
        assert (refused.status, refused.code) == (429, "rate_limited")
        paid = await house.ask(
            "POST", path, headers={"payment-signature": header_of(house.sbtc(other, 10))}, data=b"xy"
        )
        assert (paid.status, paid.raw) == (200, b"2")
        may_end.set()
        assert [(await task).status for task in held] == [200, 200]
