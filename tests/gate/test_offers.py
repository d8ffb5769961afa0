"""What a request without a payment is answered, and what never gets as far as an offer."""

import base64
import json
from pathlib import Path

import pytest

from gate.parts.receipts import is_valid
from operations.models import Receipt
from sandboxes.protocol import Reservation
from stacks import Network, sbtc
from tests.gate.gatehouse import PAY_TO, SATS, House, gatehouse, header_of


async def test_a_402_says_the_same_in_header_and_body(house: House) -> None:
    who = await house.agent()
    answer = await house.ask("POST", "/sandbox/create", who=who, json={"sats": 200})
    assert answer.status == 402
    header = json.loads(base64.b64decode(answer.headers["payment-required"]))
    assert header == answer.body
    assert header["x402Version"] == 2
    assert [entry["asset"] for entry in header["accepts"]] == [str(sbtc(Network.TESTNET).contract), "STX"]
    first = header["accepts"][0]
    assert (first["amount"], first["payTo"], first["network"]) == ("200", str(PAY_TO), "stacks:2147483648")
    assert first["extra"].pop("feePayer", "relay") == "relay"  # there once the relay was asked whether it sponsors
    assert first["extra"] == {"sats": 200, "seconds": 28_571}
    assert header["resource"]["url"].endswith("/sandbox/create")
    assert not house.state(who).is_planned, "an offer writes nothing"


@pytest.mark.parametrize(
    ("query", "headers", "assets"),
    [
        ("?tokenType=STX", {}, ["STX"]),
        ("?tokenType=sbtc", {}, ["sbtc-token"]),
        ("", {"X-PAYMENT-TOKEN-TYPE": "stx"}, ["STX"]),
    ],
)
async def test_a_client_may_choose_the_asset(
    house: House, query: str, headers: dict[str, str], assets: list[str]
) -> None:
    who = await house.agent()
    answer = await house.ask("POST", f"/sandbox/create{query}", who=who, headers=headers, json={})
    assert [entry["asset"].rpartition(".")[2] for entry in answer.body["accepts"]] == assets


async def test_an_unknown_asset_is_no_402(house: House) -> None:
    answer = await house.ask("POST", "/sandbox/create?tokenType=DOGE", who=await house.agent(), json={})
    assert (answer.status, answer.code) == (422, "asset_not_offered")
    assert "payment-required" not in answer.headers


async def test_x402_version_1_is_told_so(house: House) -> None:
    answer = await house.ask("POST", "/sandbox/create", who=await house.agent(), headers={"X-PAYMENT": "e30="}, json={})
    assert (answer.status, answer.code, answer.funds_moved) == (400, "payment_v1_unsupported", False)


async def test_no_room_is_said_before_anybody_pays(tmp_path: Path, house: House) -> None:
    for _ in range(3):
        await house.created(await house.agent(), confirmed=False)
    house.clock.ahead_ms += 300  # past the moment for which capacity is remembered
    late = await house.agent()
    answer = await house.ask("POST", "/sandbox/create", who=late, json={})
    assert (answer.status, answer.code, answer.funds_moved) == (503, "no_capacity", False)
    assert int(answer.headers["Retry-After"]) > 0
    nano = await house.ask("POST", "/sandbox/create", who=late, json={"size_class": "nano"})
    assert nano.status == 402, "other classes have room"


async def test_a_payment_that_finds_no_room_never_reaches_the_relay(house: House) -> None:
    late = await house.agent()
    tx = house.sbtc(late, 500)
    for _ in range(3):
        await house.created(await house.agent(), confirmed=False)
    answer = await house.pay("/sandbox/create", late, tx, {"sats": 500})
    assert (answer.status, answer.code, answer.funds_moved) == (503, "no_capacity", False)
    assert house.world.chain.find(tx.txid()) is None
    # With room again the very same bytes are good.
    first = next(iter(await house.node.runtimes()))
    await house.ask(
        "POST",
        "/sandbox/reap",
        headers={"Authorization": "Bearer " + house.services.settings.operator_token},
        json={"address": first.address},
    )
    again = await house.pay("/sandbox/create", late, tx, {"sats": 500})
    assert again.status == 201, again.raw


async def test_a_dead_node_is_no_reason_to_pay(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    from sandboxes.protocol import NodeUnavailable

    async def silent(*_: object) -> None:
        raise NodeUnavailable("no answer")

    who = await house.agent()
    monkeypatch.setattr(house.node, "capacity", silent)
    monkeypatch.setattr(house.node, "reserve", silent)
    assert (await house.ask("POST", "/sandbox/create", who=who, json={})).code == "node_unavailable"
    tx = house.sbtc(who, 500)
    answer = await house.pay("/sandbox/create", who, tx, {"sats": 500})
    assert (answer.code, answer.funds_moved) == ("node_unavailable", False)
    assert house.world.chain.find(tx.txid()) is None


@pytest.mark.parametrize(
    "body",
    [
        {"sats": 0},
        {"sats": 10_000_001},
        {"sats": 5, "seconds": 5},
        {"seconds": 366 * 86_400 + 1},
        {"sats": "many"},
        {"sats": True, "size_class": "huge"},
        {"image": "../etc"},
        {"image": "nobody-made-this"},
        {"colour": "red"},
        {"environment": {"A": 1}},
    ],
)
async def test_requests_that_cannot_be_sold(house: House, body: dict[str, object]) -> None:
    answer = await house.ask("POST", "/sandbox/create", who=await house.agent(), json=body)
    assert (answer.status, answer.code) == (400, "invalid_request")


async def test_a_create_too_small_to_start_is_refused_before_payment(tmp_path: Path) -> None:
    async with gatehouse(tmp_path, rates_usat_per_second={"nano": 1, "small": 5 * SATS, "medium": 1}) as house:
        who = await house.agent()
        answer = await house.ask("POST", "/sandbox/create", who=who, json={"sats": 9})
        assert answer.code == "invalid_request"
        assert (await house.ask("POST", "/sandbox/create", who=who, json={"sats": 10})).status == 402


async def test_quote_tells_every_way_to_pay(house: House) -> None:
    answer = await house.ask("GET", "/sandbox/quote?seconds=1000")
    offers = {offer["asset"]: offer for offer in answer.body["offers"]}
    assert offers["sBTC"]["amount"] == "7"
    assert int(offers["STX"]["amount"]) > 0
    assert offers["STX"]["quote_id"].startswith("quo_")


async def test_receipts_are_signed_by_the_operator(house: House) -> None:
    answer = await house.created(await house.agent())
    receipt = Receipt.model_validate(answer.body["receipt"])
    assert is_valid(receipt, house.services.receipts.public_key)
    receipt.statement["amount"] = "1"
    assert not is_valid(receipt, house.services.receipts.public_key)


async def test_a_worthless_payment_holds_no_room(house: House) -> None:
    """A signed payment without funds behind it must not keep others out."""
    for _ in range(3):
        poor = await house.agent(sats=1)
        answer = await house.pay("/sandbox/create", poor, house.sbtc(poor, 500), {"sats": 500})
        assert answer.code == "payment_insufficient_funds"
    await house.fault("relay_error", error_reason="invalid_transaction_state", count=1)
    refused = await house.agent()
    answer = await house.pay("/sandbox/create", refused, house.sbtc(refused, 500), {"sats": 500})
    assert (answer.status, answer.funds_moved) == (422, False), answer.raw
    assert (await house.node.capacity()).classes["small"].reserved == 0
    await house.created(await house.agent(), confirmed=False)


async def test_a_worthless_payment_gives_nobody_else_s_room_back(house: House) -> None:
    """Anybody may pay into any bucket and, with a pass, for any sandbox: what is kept for a create under way stays."""
    await house.fault("hold_confirmations")
    owner, poor, giver = await house.agent(), await house.agent(sats=1), await house.agent(sats=1)
    await house.node.reserve(Reservation(owner.address, "small", 60, "pay_of_the_owner"))
    gift = {"address": owner.address, "sats": 50}
    headers = {"payment-signature": header_of(house.sbtc(poor, 50))}
    answers = [
        await house.ask("POST", "/bucket/deposit", headers=headers, json=gift),
        await house.pay("/sandbox/extend", giver, house.sbtc(giver, 50), gift),
    ]
    assert {answer.status >= 400 for answer in answers} == {True}
    assert (await house.node.capacity()).classes["small"].reserved == 1
