"""Verification with a price: a pass, a bucket, one fee for one question."""

from pathlib import Path
from typing import Any

from tests.gate.gatehouse import PAY_TO, House, Who, gatehouse, header_of

SATS = 1_000_000
QUESTION = {"data": "abc"}
ROUTE = "/hashing/sha256"


async def fees_of(house: House, who: Who) -> list[Any]:
    ledger = await house.ask("GET", "/sandbox/ledger", who=who)
    return [entry for entry in ledger.body["items"] if entry["kind"] == "spend"]


async def test_an_answer_is_paid_once_and_told_again_for_free(tmp_path: Path) -> None:
    async with gatehouse(tmp_path, prices_sats={"verification": 5}) as house:
        who = await house.agent()
        await house.created(who, sats=500)
        before = house.state(who).accounts

        first = await house.ask("POST", ROUTE, who=who, json=QUESTION)
        again = await house.ask("POST", ROUTE, who=who, json=QUESTION)
        other = await house.ask("POST", ROUTE, who=who, json={"data": "abd"})

        assert (first.status, again.status, other.status) == (200, 200, 200)
        assert first.body == again.body
        assert first.headers["X-Satbox-Charge"] == str(5 * SATS)
        assert "X-Satbox-Charge" not in again.headers
        await house.until(lambda: house.state(who).accounts.burnt >= before.burnt + 10 * SATS)
        fees = await fees_of(house, who)
        assert sum(entry["postings"]["burnt"] for entry in fees) == 10 * SATS
        assert all(entry["reference"].endswith(":operator/verification") for entry in fees)
        assert house.state(who).accounts.bucket <= before.bucket - 10 * SATS


async def test_without_a_pass_or_credit_there_is_no_answer(tmp_path: Path) -> None:
    async with gatehouse(tmp_path, prices_sats={"verification": 5}) as house:
        who, poor = await house.agent(), await house.agent()
        await house.created(poor, sats=1)

        nobody = await house.ask("POST", ROUTE, json=QUESTION)
        nothing = await house.ask("POST", ROUTE, who=who, json=QUESTION)
        little = await house.ask("POST", ROUTE, who=poor, json=QUESTION)

        assert nobody.status == 402
        assert [entry["amount"] for entry in nobody.body["accepts"]][-1] == "5"
        assert nobody.body["accepts"][-1]["payTo"] == str(PAY_TO)
        assert (nothing.status, nothing.code) == (404, "wallet_not_found")
        assert (little.status, little.code) == (409, "credit_insufficient")


async def test_what_gets_no_answer_costs_nothing(tmp_path: Path) -> None:
    async with gatehouse(tmp_path, prices_sats={"verification": 5}) as house:
        who = await house.agent()
        await house.created(who, sats=500)

        refused = await house.ask("POST", "/stacks/decode/clarity", who=who, json={"hex": "ff"})

        assert refused.status == 422
        assert await fees_of(house, who) == []


async def test_at_no_price_it_stays_open_to_anybody(tmp_path: Path) -> None:
    async with gatehouse(tmp_path) as house:
        assert (await house.ask("POST", ROUTE, json=QUESTION)).status == 200


async def test_an_empty_request_gets_the_offer_and_a_wrong_one_its_fault(tmp_path: Path) -> None:
    async with gatehouse(tmp_path, prices_sats={"verification": 5}) as house:
        for probe in ({}, {"json": {}}):
            offered = await house.ask("POST", ROUTE, **probe)
            assert (offered.status, "payment-required" in offered.headers) == (402, True)
        wrong = await house.ask("POST", ROUTE, json={"data": 5})
        assert (wrong.status, wrong.code, "payment-required" in wrong.headers) == (400, "invalid_request", False)


async def test_a_payment_on_chain_buys_an_answer_without_any_pass(tmp_path: Path) -> None:
    async with gatehouse(tmp_path, prices_sats={"verification": 5}) as house:
        payer = await house.agent()
        tx = house.sbtc(payer, 5)
        wrong = await house.ask("POST", ROUTE, headers={"payment-signature": header_of(tx)}, json={"data": 5})
        assert (wrong.status, wrong.code) == (400, "invalid_request")

        paid = await house.ask("POST", ROUTE, headers={"payment-signature": header_of(tx)}, json=QUESTION)

        assert paid.status == 200, paid.raw
        assert {"payment-response", "X-Satbox-Receipt", "X-Satbox-Payment"} <= set(paid.headers)
        again = await house.ask("POST", ROUTE, headers={"payment-signature": header_of(tx)}, json=QUESTION)
        assert again.code == "order_used"
        await house.settled(paid.headers["X-Satbox-Payment"])
        await house.until(lambda: house.state(payer).accounts.burnt == 5 * SATS)
        assert house.state(payer).accounts.bucket == 0
