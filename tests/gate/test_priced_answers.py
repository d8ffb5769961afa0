"""Verification with a price: a pass, a bucket, one fee for one question."""

from pathlib import Path
from typing import Any

from tests.gate.gatehouse import House, Who, gatehouse

SATS = 1_000_000
QUESTION = {"data": "abc"}
ROUTE = "/hashing/sha256"


async def fees_of(house: House, who: Who) -> list[Any]:
    ledger = await house.ask("GET", "/sandbox/ledger", who=who)
    return [entry for entry in ledger.body["items"] if entry["kind"] == "fee"]


async def test_an_answer_is_paid_once_and_told_again_for_free(tmp_path: Path) -> None:
    async with gatehouse(tmp_path, verification_sats=5) as house:
        who = await house.agent()
        await house.created(who, sats=500)
        before = house.state(who).accounts

        first = await house.ask("POST", ROUTE, who=who, json=QUESTION)
        again = await house.ask("POST", ROUTE, who=who, json=QUESTION)
        other = await house.ask("POST", ROUTE, who=who, json={"data": "abd"})

        assert (first.status, again.status, other.status) == (200, 200, 200)
        assert first.body == again.body
        assert [entry["postings"] for entry in await fees_of(house, who)] == [
            {"bucket": -5 * SATS, "burnt": 5 * SATS}
        ] * 2
        assert house.state(who).accounts.bucket <= before.bucket - 10 * SATS


async def test_without_a_pass_or_credit_there_is_no_answer(tmp_path: Path) -> None:
    async with gatehouse(tmp_path, verification_sats=5) as house:
        who, poor = await house.agent(), await house.agent()
        await house.created(poor, sats=1)

        nobody = await house.ask("POST", ROUTE, json=QUESTION)
        nothing = await house.ask("POST", ROUTE, who=who, json=QUESTION)
        little = await house.ask("POST", ROUTE, who=poor, json=QUESTION)

        assert (nobody.status, nobody.code) == (401, "pass_missing")
        assert (nothing.status, nothing.code) == (404, "wallet_not_found")
        assert (little.status, little.code) == (409, "credit_insufficient")


async def test_what_gets_no_answer_costs_nothing(tmp_path: Path) -> None:
    async with gatehouse(tmp_path, verification_sats=5) as house:
        who = await house.agent()
        await house.created(who, sats=500)

        refused = await house.ask("POST", "/stacks/decode/clarity", who=who, json={"hex": "ff"})

        assert refused.status == 422
        assert await fees_of(house, who) == []


async def test_at_no_price_it_stays_open_to_anybody(tmp_path: Path) -> None:
    async with gatehouse(tmp_path) as house:
        assert (await house.ask("POST", ROUTE, json=QUESTION)).status == 200
