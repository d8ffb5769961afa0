"""Metered operations: the most is held, what was used is paid, and what fails or never starts costs nothing."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from pydantic import Field

from gate.context import RequestContext
from gate.front.app import add_operation
from gate.wire.outcomes import Stream
from operations.errors import SatboxError
from operations.models import Input, Output
from operations.prices import Metered
from operations.registry import Auth, Operation
from operations.surfaces import NoTool, Verb
from tests.gate.gatehouse import SATS, House, Who, gatehouse


class Work(Input):
    most: int = Field(ge=1)
    used: int = 0
    ends: str = "well"


class Worked(Output):
    used: int


WORK = Operation(
    "test.work", "POST", "/test/work", "Work for so much.", Work, Worked, Auth.NONE,
    Verb(("work",), "for tests"), NoTool("for tests"),
    price=Metered("verification", lambda work: work.most),
)  # fmt: skip


class Workshop:
    """The action: says what it used, fails, hangs or streams."""

    def __init__(self) -> None:
        self.runs = 0
        self.may_end = asyncio.Event()

    async def __call__(self, context: RequestContext, data: Work) -> Any:
        self.runs += 1
        match data.ends:
            case "badly":
                raise SatboxError("overloaded")
            case "unknown":
                raise RuntimeError("broken")
            case "later":
                await self.may_end.wait()
            case "streamed":
                return Stream(self._half(context, data))
        context.used_usat = data.used
        return Worked(used=data.used)

    async def _half(self, context: RequestContext, data: Work) -> AsyncIterator[bytes]:
        yield b"half"
        context.used_usat = data.used


@pytest_asyncio.fixture
async def shop(tmp_path: Path) -> AsyncIterator[tuple[House, Workshop]]:
    made = Workshop()
    async with gatehouse(tmp_path, mounts=[lambda app: add_operation(app, WORK, made)]) as house:
        yield house, made


async def work(house: House, who: Who | None, most: int, used: int = 0, ends: str = "well", **headers: str) -> Any:
    body = {"most": most, "used": used, "ends": ends}
    return await house.ask("POST", "/test/work", who=who, json=body, headers=headers)


async def buyer(house: House) -> Who:
    who = await house.agent()
    tx = house.sbtc(who, 100)
    put = await house.pay("/bucket/deposit", who, tx, {"address": who.address, "sats": 100})
    await house.settled(put.body["paymentId"])
    await house.until(lambda: house.state(who).accounts.bucket == 100 * SATS)
    return who


async def test_what_was_used_is_paid_to_the_micro_sat(shop: tuple[House, Workshop]) -> None:
    house, _ = shop
    who = await buyer(house)
    paid = await work(house, who, 7 * SATS, 1_234_567)
    assert (paid.status, paid.headers["X-Satbox-Charge"]) == (200, "1234567")
    await house.until(lambda: house.state(who).accounts.burnt == 1_234_567)


@pytest.mark.parametrize(("ends", "status"), [("badly", 503), ("unknown", 500)])
async def test_what_fails_costs_nothing(shop: tuple[House, Workshop], ends: str, status: int) -> None:
    house, _ = shop
    who = await buyer(house)
    failed = await work(house, who, 7 * SATS, 5, ends)
    assert (failed.status, failed.body["error"]["funds_moved"]) == (status, False)
    assert (await work(house, who, 7 * SATS, 0)).status == 200
    assert house.state(who).accounts.burnt == 0
    await back(house, who)


async def back(house: House, who: Who) -> None:
    """All that was set aside has gone back."""
    async with asyncio.timeout(60):
        while house.state(who).accounts.reserved:
            house.clock.ahead_ms += 1_000
            await asyncio.sleep(0.05)
    assert house.state(who).accounts.bucket == 100 * SATS


async def test_more_than_was_held_is_never_billed(shop: tuple[House, Workshop]) -> None:
    house, _ = shop
    who = await buyer(house)
    paid = await work(house, who, 3 * SATS, 9 * SATS)
    assert paid.headers["X-Satbox-Charge"] == str(3 * SATS)
    await house.until(lambda: house.state(who).accounts.burnt == 3 * SATS)


async def test_what_the_bucket_does_not_cover_never_starts(shop: tuple[House, Workshop]) -> None:
    house, made = shop
    who = await buyer(house)
    refused = await work(house, who, 101 * SATS, 1)
    assert (refused.status, refused.code, made.runs) == (409, "credit_insufficient", 0)


async def test_two_that_run_at_once_are_both_held(shop: tuple[House, Workshop]) -> None:
    house, made = shop
    who = await buyer(house)
    first = asyncio.create_task(work(house, who, 60 * SATS, 60 * SATS, "later"))
    await house.until(lambda: made.runs == 1)
    assert (await work(house, who, 60 * SATS, 1)).code == "credit_insufficient"
    made.may_end.set()
    assert (await first).status == 200
    await house.until(lambda: house.state(who).accounts.burnt == 60 * SATS)


async def test_a_stream_is_paid_for_what_it_delivered(shop: tuple[House, Workshop]) -> None:
    house, _ = shop
    who = await buyer(house)
    assert (await work(house, who, 9 * SATS, 4 * SATS, "streamed")).raw == b"half"
    await house.until(lambda: house.state(who).accounts.burnt == 4 * SATS)


async def test_a_key_of_its_own_makes_a_purchase_one(shop: tuple[House, Workshop]) -> None:
    house, made = shop
    who = await buyer(house)
    named = {"Idempotency-Key": "one"}
    assert (await work(house, who, 2 * SATS, SATS, **named)).status == 200
    again = await work(house, who, 2 * SATS, SATS, **named)
    assert (again.status, again.code, made.runs) == (409, "order_used", 1)
    assert (await work(house, who, 2 * SATS, SATS)).status == 200
    await house.until(lambda: house.state(who).accounts.burnt == 2 * SATS)


@pytest.mark.parametrize("most", [-1, 10**18])
async def test_an_estimate_that_is_no_amount_is_refused(shop: tuple[House, Workshop], most: int) -> None:
    house, made = shop
    who = await buyer(house)
    refused = await work(house, who, most, 1)
    assert (refused.status, refused.code) == (400, "invalid_request")
    assert made.runs == 0


async def test_the_offer_is_in_whole_sats(shop: tuple[House, Workshop]) -> None:
    house, _ = shop
    offered = await work(house, None, 1_500_000, 1)
    assert offered.status == 402
    assert offered.body["accepts"][-1]["amount"] == "2"
    probe = await house.ask("POST", "/test/work")
    assert (probe.status, probe.body["accepts"][-1]["amount"]) == (402, "1")
