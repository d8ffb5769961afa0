"""Clients that can sign, pay and send JSON, and cannot set a header: AIBTC's MCP client is one."""

import io
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gate.identity.carried_passes import BODY_BYTES_MAX
from operations.sandbox import PaymentStatus
from tests.gate.gatehouse import House, Who, header_of


def carried(who: Who, house: House) -> dict[str, str]:
    return {"pass": house.bearer(who)["Authorization"].removeprefix("Bearer ")}


async def test_a_pass_opens_the_same_in_body_and_query(house: House) -> None:
    who = await house.agent()
    await house.created(who)
    by_body = await house.ask("POST", "/sandbox/reap", json=carried(who, house))
    by_query = await house.ask("GET", "/sandbox/status", params=carried(who, house))
    assert (by_body.status, by_query.status) == (200, 200), (by_body.raw, by_query.raw)
    assert by_query.body["address"] == who.address


async def test_a_create_is_paid_without_any_header_but_the_payment(house: House) -> None:
    who = await house.agent()
    body = {"sats": 500, **carried(who, house)}
    asked = await house.ask("POST", "/sandbox/create", json=body)
    assert asked.status == 402
    tx = house.sbtc(who, 500)
    paid = await house.ask("POST", "/sandbox/create", json=body, headers={"payment-signature": header_of(tx)})
    assert paid.status == 201, paid.raw
    assert b"pass" not in json.dumps(paid.body["receipt"]).encode()
    # The same request with the pass in its header is the same request.
    again = await house.pay("/sandbox/create", who, tx, {"sats": 500})
    assert again.body["paymentId"] == paid.body["paymentId"]


@pytest.mark.parametrize("bad", ["", "nonsense", "x" * 5_000, "päss", 7, None, ["a"], {"a": 1}])
async def test_what_is_no_pass_opens_nothing(house: House, bad: object) -> None:
    answer = await house.ask("POST", "/sandbox/reap", json={"pass": bad})
    assert (answer.status, answer.code) in {(401, "pass_invalid"), (401, "pass_missing")}
    if isinstance(bad, str):
        answer = await house.ask("GET", "/sandbox/status", params={"pass": bad})
        assert (answer.status, answer.code) in {(401, "pass_invalid"), (401, "pass_missing")}


async def test_the_operators_token_is_taken_from_its_header_only(house: House) -> None:
    token = {"pass": house.services.settings.operator_token}
    assert (await house.ask("GET", "/operator/disputes", params=token)).code == "pass_missing"
    assert (await house.ask("POST", "/sandbox/reap", json=token)).code == "pass_invalid"


async def test_a_header_wins_over_the_field(house: House) -> None:
    who, other = await house.agent(), await house.agent()
    await house.created(who)
    answer = await house.ask("GET", "/sandbox/status", who=who, params=carried(other, house))
    assert answer.body["address"] == who.address


async def test_a_body_without_a_pass_is_as_bounded_as_any(house: House) -> None:
    body = io.BytesIO(b"{" + b" " * BODY_BYTES_MAX + b"}")
    answer = await house.ask("POST", "/sandbox/exec", data=body)
    assert (answer.status, answer.code) == (413, "body_too_large")


async def test_the_price_of_a_create_is_shown_to_anybody(house: House) -> None:
    answer = await house.ask("POST", "/sandbox/create", json={"sats": 700, "size_class": "medium"})
    assert answer.status == 402
    assert {entry["extra"]["sats"] for entry in answer.body["accepts"]} == {700}
    assert answer.body["extensions"]["satbox-pass"]["info"]["required"] is True
    assert (await house.ask("POST", "/sandbox/create")).status == 402
    assert (await house.ask("POST", "/sandbox/create", json={"size_class": "huge"})).code == "invalid_request"


async def test_the_price_of_time_shows_nothing_of_a_wallet(house: House) -> None:
    owner = await house.agent()
    await house.created(owner)
    known = await house.ask("POST", "/sandbox/extend", json={"sats": 10, "address": owner.address})
    unknown = await house.ask("POST", "/sandbox/extend", json={"sats": 10, "address": (await house.agent()).address})
    assert known.status == unknown.status == 402
    assert known.body["accepts"] == unknown.body["accepts"]
    assert known.body["error"] == unknown.body["error"]


async def test_a_payment_without_a_pass_is_refused_before_it_is_sent(house: House) -> None:
    who = await house.agent()
    tx = house.sbtc(who, 500)
    answer = await house.ask(
        "POST", "/sandbox/create", json={"sats": 500}, headers={"payment-signature": header_of(tx)}
    )
    assert (answer.status, answer.code, answer.funds_moved) == (401, "pass_missing", False)
    assert house.world.chain.find(tx.txid()) is None


async def test_an_equal_top_up_with_a_reference_is_another_request(house: House) -> None:
    who = await house.agent()
    await house.created(who)
    first = await house.pay("/sandbox/extend", who, house.sbtc(who, 300), {"sats": 300, "reference": "monday"})
    second = await house.pay("/sandbox/extend", who, house.sbtc(who, 300), {"sats": 300, "reference": "tuesday"})
    assert first.body["paymentId"] != second.body["paymentId"]
    for status in (first, second):
        await house.settled(status.body["paymentId"])
    assert (await house.ask("POST", "/sandbox/extend", who=who, json={"sats": 1, "reference": "\n"})).status == 400


async def test_payment_status_has_no_null(house: House) -> None:
    who = await house.agent()
    await house.fault("drop_reply", routes="relay", path="/settle")
    await house.fault("down", routes="stacks", mode="503")
    paid = await house.pay("/sandbox/create", who, house.sbtc(who, 500, sponsored=True), {"sats": 500})
    early = await house.ask("GET", f"/payment-status/{paid.body['paymentId']}")
    assert early.status == 200
    assert None not in early.body.values()
    assert "txid" not in early.body
    await house.heal()
    await house.settled(paid.body["paymentId"])
    late = await house.ask("GET", f"/payment-status/{paid.body['paymentId']}")
    assert None not in late.body.values()
    assert len(late.body["txid"]) == 64


@given(st.builds(PaymentStatus, paymentId=st.text(), status=st.text(), checkStatusUrl=st.text()))
def test_no_payment_status_has_a_null(status: PaymentStatus) -> None:
    document = json.loads(status.model_dump_json())
    assert None not in document.values()
    assert PaymentStatus.model_validate(document) == status


async def test_machines_find_their_way_from_the_root(house: House) -> None:
    root = await house.ask("GET", "/")
    assert (root.status, root.body["name"]) == (200, "satbox")
    discovery = await house.ask("GET", "/.well-known/x402")
    assert (discovery.status, discovery.body["version"]) == (200, 1)
    assert any(url.endswith("/sandbox/create") for url in discovery.body["resources"])
    assert "POST /sandbox/create" in discovery.body["endpoints"]
    page = await house.ask("GET", "/", headers={"Accept": "text/html"})
    assert page.headers["Content-Type"].startswith("text/html")
