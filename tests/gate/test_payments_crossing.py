"""Payments that meet: one payment at two gates or for two wallets, a payment for a wallet that is gone, a chain that turns back;
and the words and receipts a payer is given on the way.
"""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import get_args

import pytest
from aiohttp.test_utils import TestClient

from actors.wallet.state import Phase
from gate.front.app import create_app
from gate.front.discovery import openapi
from gate.parts.receipts import is_valid
from gate.parts.views import Views
from operations.models import Receipt
from operations.sandbox import PaymentStatus
from relay_client.states import PaymentState
from stacks import PrivateKey
from stacks.signing import sign_sponsor
from tests.gate.gatehouse import NETWORK, SATS, Answer, GateServer, House, Who, header_of

STRANGER = PrivateKey(b"\x07" * 32).address(NETWORK)
WORDS = {"paymentId", "status", "checkStatusUrl", "terminalReason", "nextSteps"}


@contextlib.asynccontextmanager
async def second_gate(house: House) -> AsyncIterator[House]:
    """Another gate of the same deployment: nothing of the first one's memory, all of what is behind it."""
    services = replace(house.services, views=Views(house.services.system, house.clock, 1000))
    async with TestClient(GateServer(create_app(services))) as client:
        yield replace(house, client=client, services=services)


async def deposited(house: House, who: Who, sats: int) -> None:
    await house.until(lambda: house.state(who).accounts.deposits == -sats * SATS)


async def test_two_gates_at_once_are_one_payment(house: House) -> None:
    who = await house.agent()
    tx = house.sbtc(who, 500)
    async with second_gate(house) as other:
        asked = [gate.pay("/sandbox/create", who, tx, {"sats": 500}) for gate in (house, other) * 4]
        answers = await asyncio.gather(*asked)
        assert {answer.status for answer in answers} == {201}
        assert len({answer.body["paymentId"] for answer in answers}) == 1
        await house.settled(answers[0].body["paymentId"])
        await deposited(house, who, 500)
        late = await asyncio.gather(*(gate.pay("/sandbox/create", who, tx, {"sats": 500}) for gate in (house, other)))
    assert {answer.body["status"] for answer in late} == {"confirmed"}
    await deposited(house, who, 500)
    assert len(await house.node.runtimes()) == 1


async def test_two_wallets_at_two_gates_at_once_one_of_them_is_paid(house: House) -> None:
    payer, one, two = await house.agent(), await house.agent(), await house.agent()
    await house.created(one)
    await house.created(two)
    tx = house.sbtc(payer, 60)
    async with second_gate(house) as other:
        answers = await asyncio.gather(
            house.pay("/sandbox/extend", payer, tx, {"sats": 60, "address": one.address}),
            other.pay("/sandbox/extend", payer, tx, {"sats": 60, "address": two.address}),
        )
    paid = [answer for answer in answers if answer.status == 201]
    refused = [answer for answer in answers if answer.status != 201]
    assert [(answer.status, answer.code) for answer in refused] == [(409, "payment_target_conflict")]
    await house.settled(paid[0].body["paymentId"])
    await house.until(lambda: house.state(one).accounts.deposits + house.state(two).accounts.deposits == -1060 * SATS)
    wallet = paid[0].body["payment"]["address"]
    assert house.state(wallet).accounts.deposits == -560 * SATS


async def test_a_gate_that_starts_anew_answers_as_the_one_before(house: House) -> None:
    who, friend = await house.agent(), await house.agent()
    await house.created(friend)
    tx = house.sbtc(who, 500)
    first = await house.pay("/sandbox/create", who, tx, {"sats": 500}, identifier="request-0123456789")
    await house.until(lambda: house.state(who).phase in (Phase.ALIVE, Phase.GRACE))
    async with second_gate(house) as again:
        same = await again.pay("/sandbox/create", who, tx, {"sats": 500}, identifier="request-0123456789")
        assert (same.status, same.body["paymentId"]) == (201, first.body["paymentId"])
        other = await again.pay("/sandbox/create", who, tx, {"sats": 499}, identifier="request-0123456789")
        assert other.code == "payment_identifier_conflict"
        gift = await again.pay("/sandbox/extend", who, tx, {"sats": 500, "address": friend.address})
        assert gift.code == "payment_target_conflict"
        status = await again.ask("GET", f"/payment-status/{first.body['paymentId']}")
        assert status.body["paymentId"] == first.body["paymentId"]


async def test_a_payment_for_a_reaped_wallet_wakes_it(house: House) -> None:
    who = await house.agent()
    await house.created(who)
    await house.ask("POST", "/sandbox/reap", who=who, json={})
    await house.until(lambda: house.state(who).phase.value == "reaped")
    answer = await house.pay("/sandbox/extend", who, house.sbtc(who, 50), {"sats": 50})
    assert (answer.status, answer.body["sandbox"]["state"]) == (201, "alive")
    await house.settled(answer.body["paymentId"])
    await deposited(house, who, 550)


async def test_a_wallet_with_debts_pays_them_first(house: House) -> None:
    who = await house.agent()
    await house.created(who, sats=1)
    for _ in range(22):
        await house.advance(10)  # dry, then through grace
    await house.until(lambda: house.state(who).phase.value == "reaped")
    owed = house.state(who).accounts.debt_usat
    assert owed > 0
    answer = await house.pay("/sandbox/extend", who, house.sbtc(who, 1), {"sats": 1})
    await house.settled(answer.body["paymentId"])
    await deposited(house, who, 2)
    accounts = house.state(who).accounts
    assert accounts.debt_usat == 0, "arrears come first"
    assert accounts.burnt >= SATS + owed
    assert 0 < accounts.bucket <= SATS - owed


async def test_a_gift_to_a_wallet_that_was_never_created_moves_nothing(house: House) -> None:
    payer, nobody = await house.agent(), await house.agent()
    tx = house.sbtc(payer, 50)
    answer = await house.pay("/sandbox/extend", payer, tx, {"sats": 50, "address": nobody.address})
    assert (answer.status, answer.code, answer.funds_moved) == (404, "wallet_not_found", False)
    assert house.world.chain.find(tx.txid()) is None
    again = await house.pay("/sandbox/create", payer, tx, {"sats": 50})
    assert again.status == 201, "refused before anything was written, the same bytes are still good"


async def test_a_confirmed_payment_that_is_displaced_is_taken_back_and_the_wallet_goes_through_grace(
    house: House,
) -> None:
    who = await house.agent()
    await house.created(who)
    house.world.chain.reorganise(3, vanish=True)
    rival = house.sbtc(who, 1, to=STRANGER, nonce=0)
    async with house.devnet.post("/stacks/v2/transactions", data=rival.serialize()) as reply:
        assert reply.status == 200
    house.world.mine()
    for _ in range(40):
        house.clock.ahead_ms += 1_000
        house.world.mine()
        house.node.tick()
        await asyncio.sleep(0.01)
        if house.state(who).accounts.deposits == 0:
            break
    await deposited(house, who, 0)
    assert house.state(who).accounts.bucket <= 0
    assert house.state(who).phase.value in ("grace", "stopping", "reaped")


async def test_a_payer_who_bumps_the_fee_by_themselves_is_told_that_it_was_replaced(house: House) -> None:
    who = await house.agent()
    await house.fault("hold_confirmations", count=2)
    slow = house.sbtc(who, 500, nonce=0, fee=1_000)
    answer = await house.pay("/sandbox/create", who, slow, {"sats": 500})
    assert answer.status == 201
    fast = house.sbtc(who, 500, nonce=0, fee=2_000)
    async with house.devnet.post("/stacks/v2/transactions", data=fast.serialize()) as reply:
        assert reply.status == 200
    report = await house.settled(answer.body["paymentId"])
    assert (report.state, report.credited_usat) == ("replaced", 0)
    refused = await house.pay("/sandbox/create", who, slow, {"sats": 500})
    assert refused.body["error"]["details"]["terminalReason"] == "nonce_replacement"
    assert refused.body["error"]["details"]["nextSteps"] == "start_new_payment"
    # The money that did arrive is its payer's to present, and nobody else's: anybody can copy it out of the block.
    thief = await house.agent()
    stolen = await house.pay("/sandbox/create", thief, fast, {"sats": 500})
    assert (stolen.status, stolen.code) == (409, "payment_nonce_stale")
    shown = await house.pay("/sandbox/create", who, fast, {"sats": 500})
    await house.settled(shown.body["paymentId"])
    await deposited(house, who, 500)


async def test_somebody_elses_payment_waits_for_a_chain_that_can_be_asked(house: House) -> None:
    """Without the chain nobody can tell a copy from the original: under another pass it is refused, nothing moves."""
    payer, other = await house.agent(), await house.agent()
    tx = house.sbtc(payer, 500)
    await house.fault("down", routes="stacks", mode="503")
    refused = await house.pay("/sandbox/create", other, tx, {"sats": 500})
    await house.heal()
    assert (refused.status, refused.code, refused.funds_moved) == (503, "overloaded", False)
    assert house.world.chain.find(tx.txid()) is None
    shown = await house.pay("/sandbox/create", payer, tx, {"sats": 500})
    await house.settled(shown.body["paymentId"])
    await deposited(house, payer, 500)


@pytest.mark.parametrize("sponsored", [False, True])
async def test_a_transfer_in_the_mempool_is_its_payers_to_present(house: House, sponsored: bool) -> None:
    """Whoever broadcasts before presenting shows the bytes to all the world; nobody else may have them credited."""
    who, thief = await house.agent(), await house.agent()
    await house.fault("hold_confirmations", count=2)
    sent = house.sbtc(who, 500, sponsored=sponsored)
    if sponsored:
        sponsor = await house.agent()
        sent = sign_sponsor(sent, sponsor.key, 3_000, 0)
    async with house.devnet.post("/stacks/v2/transactions", data=sent.serialize()) as reply:
        assert reply.status == 200
    stolen = await house.pay("/sandbox/create", thief, sent, {"sats": 500})
    assert (stolen.status, stolen.code) == (409, "payment_nonce_stale")
    shown = await house.pay("/sandbox/create", who, sent, {"sats": 500})
    await house.settled(shown.body["paymentId"])
    await deposited(house, who, 500)


# Words and receipts


async def test_payments_are_told_in_the_words_clients_poll_for(house: House) -> None:
    who = await house.agent()
    answer = await house.pay("/sandbox/create", who, house.sbtc(who, 500), {"sats": 500})
    paid = answer.body
    assert paid["paymentId"].startswith("pay_")
    assert (paid["status"], paid["checkStatusUrl"]) == (
        "mempool",
        f"http://gate.test/payment-status/{paid['paymentId']}",
    )
    waiting = (await house.ask("GET", f"/payment-status/{paid['paymentId']}")).body
    assert set(waiting) >= WORDS - {"terminalReason"}  # what is not known is left out
    assert ("terminalReason" in waiting, waiting["nextSteps"]) == (False, "wait_for_confirmation")
    await house.settled(paid["paymentId"])
    done = (await house.ask("GET", f"/payment/{paid['paymentId']}")).body
    assert (done["status"], "nextSteps" in done) == ("confirmed", False)


async def test_an_unknown_payment_is_not_found_in_the_same_words(house: House) -> None:
    for path in ("/payment-status/pay_0", "/payment/pay_0"):
        answer = await house.ask("GET", path)
        details = answer.body["error"]["details"]
        assert (answer.status, answer.code) == (404, "payment_not_found")
        assert details == {
            "paymentId": "pay_0",
            "status": "not_found",
            "terminalReason": "unknown_payment_identity",
            "nextSteps": "start_new_payment",
        }


async def test_a_refused_payment_is_told_in_the_same_words(house: House) -> None:
    who = await house.agent()
    await house.fault("relay_error", error_reason="client_insufficient_funds", count=1)
    answer = await house.pay("/sandbox/create", who, house.sbtc(who, 500), {"sats": 500})
    assert (answer.status, answer.code, answer.funds_moved) == (422, "payment_insufficient_funds", False)
    details = answer.body["error"]["details"]
    assert set(details) >= WORDS
    assert (details["status"], details["terminalReason"]) == ("failed", "invalid_transaction")


@pytest.mark.parametrize("fault", [None, "hold_nonce", "relay_error"])
async def test_submitted_never_leaves_the_process(house: House, fault: str | None) -> None:
    who = await house.agent()
    if fault:
        await house.fault(fault, count=1, **({"error_reason": "submitted"} if fault == "relay_error" else {}))
    answers: list[Answer] = [await house.pay("/sandbox/create", who, house.sbtc(who, 500), {"sats": 500})]
    answers.append(await house.ask("GET", f"/payment-status/{answers[0].body['paymentId']}"))
    for answer in answers:
        assert answer.body["status"] in {state.value for state in PaymentState}
        assert b"submitted" not in answer.raw
    assert '"submitted"' not in json.dumps(openapi())
    assert get_args(PaymentStatus.model_fields["status"].annotation) in (
        (),
        tuple(state.value for state in PaymentState),
    )


async def test_a_mempool_receipt_says_mempool_and_a_new_one_is_issued_on_confirmed(house: House) -> None:
    who = await house.agent()
    tx = house.sbtc(who, 500)
    early = (await house.pay("/sandbox/create", who, tx, {"sats": 500})).body["receipt"]
    assert (early["statement"]["status"], early["statement"]["credited_usat"]) == ("mempool", "0")
    await house.settled(early["statement"]["payment_id"])
    await deposited(house, who, 500)
    late = (await house.pay("/sandbox/create", who, tx, {"sats": 500})).body["receipt"]
    assert (late["statement"]["status"], late["statement"]["credited_usat"]) == ("confirmed", str(500 * SATS))
    assert early["statement"]["payment_id"] == late["statement"]["payment_id"]
    key = house.services.receipts.public_key
    for receipt in (early, late):
        assert is_valid(Receipt(**receipt), key)
        assert not is_valid(Receipt(**{**receipt, "statement": {**receipt["statement"], "status": "confirmed!"}}), key)
    promoted = {**early, "statement": {**early["statement"], "status": "confirmed"}}
    assert not is_valid(Receipt(**promoted), key), "a mempool receipt cannot be made one of a confirmation"


async def test_whatever_a_memo_says_a_payment_is_a_payment(house: House) -> None:
    """No memo can be asked for (protocols 7.11): public clients write what they like, up to 34 bytes."""
    who = await house.agent()
    await house.created(who)
    for memo in (None, "x402:AbCdEf0123456789AbCdEf01", "x" * 34):
        answer = await house.pay("/sandbox/extend", who, house.sbtc(who, 5, memo=memo), {"sats": 5})
        assert answer.status == 201, answer.raw


async def test_the_payment_header_alone_decides_not_the_claims_around_it(house: House) -> None:
    """`accepted` and `resource` are claims: a payload that says it pays more than its bytes do pays what its bytes do."""
    who = await house.agent()
    entry = (await house.offers("/sandbox/create", who, {"sats": 500}))["sbtc-token"]
    tx = house.sbtc(who, 10)
    sent = {"payment-signature": header_of(tx, accepted=entry, resource={"url": "http://gate.test/sandbox/create"})}
    answer = await house.ask("POST", "/sandbox/create", who=who, headers=sent, json={"sats": 500})
    assert (answer.code, answer.funds_moved) == ("payment_amount_insufficient", False)
    assert (answer.body["error"]["details"]["required"], answer.body["error"]["details"]["paid"]) == ("500", "10")


async def test_a_payment_that_never_confirms_starts_one_sandbox_and_no_other(house: House) -> None:
    who = await house.agent()
    await house.fault("hold_confirmations")
    answer = await house.pay("/sandbox/create", who, house.sbtc(who, 500), {"sats": 500})
    assert answer.status == 201
    report = await house.settlements.report(answer.body["paymentId"])
    assert report is not None
    policy = house.services.settings.policy
    rate = house.services.settings.rates_usat_per_second["small"]
    assert report.granted_usat == rate * policy.grace_cap_ms // 1000, "as much as grace can use, not all it buys"
    for _ in range(3 * policy.grace_cap_ms // 1000):
        await house.advance(1.0)
        await asyncio.sleep(0.01)  # the pump sees the payment in the mempool, again and again
    await house.until(lambda: house.state(who).phase.value == "reaped")
    assert len(await house.node.runtimes()) == 0
    assert house.state(who).accounts.debt_usat <= rate * policy.grace_cap_ms // 1000
    await house.heal()
    await house.settled(answer.body["paymentId"])
    await house.until(lambda: house.state(who).phase.value == "alive")
