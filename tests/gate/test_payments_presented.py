"""What follows a payment: once whatever is repeated, honest whatever breaks, never a second 402."""

import asyncio
from pathlib import Path

import pytest

from operations.errors import SatboxError
from sandboxes.protocol import StartFailed
from tests.gate.gatehouse import OPERATOR_TOKEN, SATS, House, gatehouse, header_of

OPERATOR = {"Authorization": f"Bearer {OPERATOR_TOKEN}"}


async def test_the_same_bytes_are_one_payment_and_one_credit(house: House) -> None:
    who = await house.agent()
    tx = house.sbtc(who, 500)
    answers = await asyncio.gather(*(house.pay("/sandbox/create", who, tx, {"sats": 500}) for _ in range(8)))
    assert {answer.status for answer in answers} == {201}
    assert len({answer.body["paymentId"] for answer in answers}) == 1
    await house.settled(answers[0].body["paymentId"])
    await house.until(lambda: house.state(who).accounts.deposits)
    later = await house.pay("/sandbox/create", who, tx, {"sats": 500})
    assert (later.status, later.body["status"]) == (201, "confirmed")
    assert house.state(who).accounts.deposits == -500 * SATS
    assert len(await house.node.runtimes()) == 1


async def test_a_repeat_after_the_reap_does_not_wait_for_what_has_happened(house: House) -> None:
    who = await house.agent()
    tx = house.sbtc(who, 500)
    first = await house.pay("/sandbox/create", who, tx, {"sats": 500})
    await house.settled(first.body["paymentId"])
    await house.until(lambda: house.state(who).phase.value == "alive")
    await house.ask("POST", "/sandbox/reap", who=who, json={})
    async with asyncio.timeout(2.5):  # the wait for a new payment's effect is 3 seconds in this house
        again = await house.pay("/sandbox/create", who, tx, {"sats": 500})
    assert (again.status, again.body["sandbox"]["state"]) == (202, "reaped")
    assert again.body["paymentId"] == first.body["paymentId"]
    assert await house.node.runtimes() == []


async def test_the_same_bytes_for_another_wallet_or_purpose_conflict(house: House) -> None:
    who, friend = await house.agent(), await house.agent()
    await house.created(friend)
    await house.created(who)
    tx = house.sbtc(who, 50)
    first = await house.pay("/sandbox/extend", who, tx, {"sats": 50})
    assert first.status == 201
    gift = await house.pay("/sandbox/extend", who, tx, {"sats": 50, "address": friend.address})
    assert (gift.status, gift.code, gift.funds_moved) == (409, "payment_target_conflict", True)
    thief = await house.pay("/sandbox/extend", friend, tx, {"sats": 50})
    assert (thief.status, thief.code) == (409, "payment_target_conflict")
    create = await house.pay("/sandbox/create", who, tx, {"sats": 50})
    assert (create.status, create.code) == (409, "payment_target_conflict")
    await house.settled(first.body["paymentId"])
    await house.until(lambda: house.state(who).accounts.deposits == -550 * SATS)
    assert house.state(friend).accounts.deposits == -500 * SATS


async def test_a_payment_identifier_names_one_request(house: House) -> None:
    who = await house.agent()
    await house.created(who)
    name, other = "request-0123456789", "request-9876543210"
    tx = house.sbtc(who, 50)
    first = await house.pay("/sandbox/extend", who, tx, {"sats": 50}, identifier=name)
    assert first.status == 201
    same = await house.pay("/sandbox/extend", who, tx, {"sats": 50}, identifier=name)
    assert same.body["paymentId"] == first.body["paymentId"]
    changed = await house.pay("/sandbox/extend", who, tx, {"sats": 49}, identifier=name)
    assert (changed.status, changed.code) == (409, "payment_identifier_conflict")
    new_bytes = await house.pay("/sandbox/extend", who, house.sbtc(who, 50), {"sats": 50}, identifier=name)
    assert new_bytes.code == "payment_identifier_conflict"
    renamed = await house.pay("/sandbox/extend", who, tx, {"sats": 50}, identifier=other)
    assert renamed.body["paymentId"] == first.body["paymentId"], "one payment may be known by several names"
    await house.settled(first.body["paymentId"])
    await house.until(lambda: house.state(who).accounts.deposits == -550 * SATS)


@pytest.mark.parametrize("identifier", ["short", "x" * 129, "spaces are not allowed", "ümlaut-ümlaut-ümlaut"])
async def test_a_malformed_identifier_is_refused(house: House, identifier: str) -> None:
    who = await house.agent()
    answer = await house.pay("/sandbox/create", who, house.sbtc(who, 500), {"sats": 500}, identifier=identifier)
    assert (answer.code, answer.funds_moved) == ("payment_identifier_invalid", False)


async def test_overpayment_is_credited_in_full(house: House) -> None:
    who = await house.agent()
    answer = await house.pay("/sandbox/create", who, house.sbtc(who, 777), {"sats": 500})
    assert (await house.settled(answer.body["paymentId"])).credited_usat == 777 * SATS


async def test_a_repeat_is_not_refused_because_the_price_rose_since(house: House) -> None:
    """The money is already here: to call it too little now and say that nothing moved would be two lies."""
    who = await house.agent()
    await house.created(who)
    tx = house.sbtc(who, 20)
    first = await house.pay("/sandbox/extend", who, tx, {"seconds": 1000})
    assert first.status == 201
    rate = {"address": who.address, "rate_usat_per_second": 90_000}
    assert (await house.ask("POST", "/operator/rate", headers=OPERATOR, json=rate)).status == 200
    again = await house.pay("/sandbox/extend", who, tx, {"seconds": 1000})
    assert (again.status, again.body["paymentId"]) == (201, first.body["paymentId"])
    fresh = await house.pay("/sandbox/extend", who, house.sbtc(who, 20), {"seconds": 1000})
    assert (fresh.code, fresh.funds_moved) == ("payment_amount_insufficient", False)


# A start that fails, a relay that falls silent, a chain that changes its mind


async def test_a_failed_start_keeps_the_credit_and_says_so(house: House) -> None:
    who = await house.agent()
    house.node.fail_next_start(StartFailed("image_broken", "it broke", retryable=False))
    answer = await house.pay("/sandbox/create", who, house.sbtc(who, 500), {"sats": 500})
    assert answer.status == 202
    assert answer.body["sandbox"]["reason"] == "start_failed"
    assert "credit is kept" in answer.body["message"]
    await house.settled(answer.body["paymentId"])
    await house.until(lambda: house.state(who).accounts.deposits == -500 * SATS)
    accounts = house.state(who).accounts
    assert (accounts.burnt, accounts.owed) == (0, 0)
    if house.state(who).phase.value == "reaped":
        woken = await house.ask("POST", "/sandbox/wake", who=who, json={})
        assert (woken.status, woken.body["state"]) == (200, "alive")


async def test_wake_says_when_the_start_fails(house: House) -> None:
    who = await house.agent()
    await house.created(who)
    await house.ask("POST", "/sandbox/reap", who=who, json={})
    house.node.fail_next_start(StartFailed("image_broken", "it broke", retryable=False))
    answer = await house.ask("POST", "/sandbox/wake", who=who, json={})
    assert (answer.status, answer.code, answer.funds_moved) == (503, "start_failed", False)


async def test_a_lost_reply_is_under_way_and_credited_once(house: House) -> None:
    who = await house.agent()
    await house.fault("drop_reply", routes="relay", path="settle", count=1)
    tx = house.sbtc(who, 500)
    answer = await house.pay("/sandbox/create", who, tx, {"sats": 500})
    assert answer.status in (201, 202)
    report = await house.settled(answer.body["paymentId"])
    assert (report.state, report.credited_usat) == ("confirmed", 500 * SATS)
    await house.until(lambda: house.state(who).accounts.deposits == -500 * SATS)
    again = await house.pay("/sandbox/create", who, tx, {"sats": 500})
    assert again.body["paymentId"] == answer.body["paymentId"]
    assert house.state(who).accounts.deposits == -500 * SATS


async def test_with_the_relay_down_the_answer_is_under_way(house: House) -> None:
    who = await house.agent()
    await house.fault("down", routes="relay")
    answer = await house.pay("/sandbox/create", who, house.sbtc(who, 500), {"sats": 500})
    assert (answer.status, answer.body["status"] in ("queued", "broadcasting", "mempool", "confirmed")) == (202, True)
    assert "Do not pay again" in (answer.body["message"] or "Do not pay again")
    report = await house.settled(answer.body["paymentId"])
    assert report.state == "confirmed", "the chain is asked directly in the end"
    await house.until(lambda: house.state(who).accounts.deposits == -500 * SATS)


async def test_an_aborted_payment_is_reaped_written_off_and_not_trusted_again(house: House) -> None:
    who = await house.agent()
    await house.fault("abort", count=1)
    tx = house.sbtc(who, 500)
    answer = await house.pay("/sandbox/create", who, tx, {"sats": 500})
    assert answer.status == 201, "started on credit"
    await house.advance(1.0)
    report = await house.settled(answer.body["paymentId"])
    assert (report.state, report.credited_usat) == ("failed", 0)
    await house.until(lambda: house.state(who).phase.value == "reaped")
    await house.until(lambda: not house.state(who).losses)
    accounts = house.state(who).accounts
    assert accounts.deposits == 0
    assert accounts.write_offs < 0 or accounts.write_offs > 0, "what was used is written off"
    assert await house.settlements.open_loss(who.address) > 0
    repeat = await house.pay("/sandbox/create", who, tx, {"sats": 500})
    assert (repeat.status, repeat.code) == (422, "payment_failed")
    assert repeat.funds_moved is False
    second = await house.pay("/sandbox/create", who, house.sbtc(who, 500), {"sats": 500})
    assert (second.status, second.body["sandbox"]["state"]) == (202, "reaped"), "no second start on credit"
    await house.settled(second.body["paymentId"])
    await house.until(lambda: house.state(who).phase.value == "alive")
    assert await house.settlements.open_loss(who.address) == 0


async def test_a_replaced_payment_stops_what_it_started(house: House) -> None:
    who = await house.agent()
    await house.fault("replace", count=1)
    answer = await house.pay("/sandbox/create", who, house.sbtc(who, 500), {"sats": 500})
    report = await house.settled(answer.body["paymentId"])
    assert report.credited_usat == 0
    await house.until(lambda: house.state(who).phase.value == "reaped")
    assert await house.node.runtimes() == []


@pytest.mark.parametrize("mode", ["first", "second"])
async def test_sponsored_twice_is_credited_once(house: House, mode: str) -> None:
    who = await house.agent()
    await house.fault("sponsor_twice", mode=mode, count=1)
    answer = await house.pay("/sandbox/create", who, house.sbtc(who, 500, sponsored=True), {"sats": 500})
    report = await house.settled(answer.body["paymentId"])
    assert report.credited_usat == 500 * SATS
    await house.until(lambda: house.state(who).accounts.deposits == -500 * SATS)


async def test_settle_confirmed_starts_nothing_before_the_block(house: House) -> None:
    who = await house.agent()
    answer = await house.pay("/sandbox/create?settle=confirmed", who, house.sbtc(who, 500), {"sats": 500})
    assert (answer.status, answer.body["sandbox"]["state"]) == (202, "none")
    assert await house.node.runtimes() == []
    await house.settled(answer.body["paymentId"])
    await house.until(lambda: house.state(who).phase.value == "alive")


class Broken:
    """Settlements or wallets that cannot be reached from some call on."""

    def __init__(self, inner: object, method: str, error: Exception, after: int = 0) -> None:
        self._inner, self._method, self._error, self._left = inner, method, error, after

    def __getattr__(self, name: str) -> object:
        if name == self._method:
            if self._left <= 0:
                return self._fail
            self._left -= 1
        return getattr(self._inner, name)

    async def _fail(self, *_: object, **__: object) -> None:
        raise self._error


@pytest.mark.parametrize("method", ["recall", "present"])
async def test_when_settlements_do_not_answer_nobody_claims_to_know(tmp_path: Path, method: str) -> None:
    async with gatehouse(tmp_path) as house:
        who = await house.agent()
        real = house.services.settlements
        silent = Broken(real, method, SatboxError("timeout", "settlements-0 does not answer"))
        object.__setattr__(house.services, "settlements", silent)
        answer = await house.pay("/sandbox/create", who, house.sbtc(who, 500), {"sats": 500})
        assert (answer.code, answer.funds_moved) == ("timeout", "unknown")


async def test_when_the_wallet_does_not_answer_after_the_payment_the_answer_says_that_it_moved(tmp_path: Path) -> None:
    async with gatehouse(tmp_path) as house:
        who = await house.agent()
        system = house.services.system
        object.__setattr__(house.services.views, "_system", Broken(system, "look", SatboxError("timeout"), after=1))
        answer = await house.pay("/sandbox/create", who, house.sbtc(who, 500), {"sats": 500})
        assert (answer.code, answer.funds_moved) == ("timeout", True)
        assert answer.body["error"]["details"]["paymentId"].startswith("pay_")


# Gifts and strangers


async def test_a_gift_by_another_agent(house: House) -> None:
    owner, giver = await house.agent(), await house.agent()
    await house.created(owner)
    body = {"sats": 60, "address": owner.address}
    answer = await house.pay("/sandbox/extend", giver, house.sbtc(giver, 60), body)
    assert answer.status == 201
    assert answer.body["payment"]["payer"] == giver.address
    assert answer.body["receipt"]["statement"]["wallet"] == owner.address
    await house.settled(answer.body["paymentId"])
    await house.until(lambda: house.state(owner).accounts.deposits == -560 * SATS)
    assert not house.state(giver).is_planned


async def test_a_failed_gift_punishes_the_giver_alone(house: House) -> None:
    owner, giver = await house.agent(), await house.agent()
    await house.created(owner)
    await house.ask("POST", "/sandbox/reap", who=owner, json={})
    await house.fault("abort", count=1, address=giver.address)
    answer = await house.pay("/sandbox/extend", giver, house.sbtc(giver, 900), {"sats": 900, "address": owner.address})
    await house.settled(answer.body["paymentId"])
    assert await house.settlements.open_loss(owner.address) == 0


async def test_extending_what_was_never_created(house: House) -> None:
    who, nobody = await house.agent(), await house.agent()
    for body in ({"sats": 10}, {"sats": 10, "address": nobody.address}):
        unpaid = await house.ask("POST", "/sandbox/extend", who=who, json=body)
        assert (unpaid.status, unpaid.code) == (404, "wallet_not_found")
        tx = house.sbtc(who, 10)
        paid = await house.pay("/sandbox/extend", who, tx, body)
        assert (paid.code, paid.funds_moved) == ("wallet_not_found", False)
        assert house.world.chain.find(tx.txid()) is None


async def test_extend_needs_a_pass(house: House) -> None:
    owner = await house.agent()
    await house.created(owner)
    body, headers = {"sats": 10, "address": owner.address}, {"payment-signature": header_of(house.sbtc(owner, 10))}
    answer = await house.ask("POST", "/sandbox/extend", json=body, headers=headers)
    assert (answer.status, answer.code) == (401, "pass_missing")


async def test_creating_twice_is_refused_before_and_after_payment(house: House) -> None:
    who = await house.agent()
    await house.created(who)
    assert (await house.ask("POST", "/sandbox/create", who=who, json={})).code == "already_exists"
    tx = house.sbtc(who, 500)
    paid = await house.pay("/sandbox/create", who, tx, {"sats": 500})
    assert (paid.code, paid.funds_moved) == ("already_exists", False)
    assert house.world.chain.find(tx.txid()) is None


async def test_any_amount_extends(house: House) -> None:
    who = await house.agent()
    await house.created(who)
    answer = await house.pay("/sandbox/extend", who, house.sbtc(who, 1), {"sats": 1})
    assert answer.status == 201


# Payment status


async def test_payment_status_by_both_paths(house: House) -> None:
    who = await house.agent()
    paid = (await house.created(who)).body
    for path in (f"/payment-status/{paid['paymentId']}", f"/payment/{paid['paymentId']}"):
        answer = await house.ask("GET", path)
        assert (answer.status, answer.body["status"], answer.body["credited_usat"]) == (200, "confirmed", 500 * SATS)
    unknown = await house.ask("GET", "/payment-status/pay_unknown")
    assert (unknown.status, unknown.code) == (404, "payment_not_found")
    assert unknown.body["error"]["details"]["status"] == "not_found"


async def test_strangers_cannot_fill_what_a_wallet_follows(house: House) -> None:
    owner = await house.agent()
    await house.created(owner)
    policy = house.services.settings.policy
    await house.fault("hold_confirmations")
    codes = []
    for n in range(policy.pending_max // 2 + 1):
        if n % 10 == 0:
            giver = await house.agent()
        body = {"sats": 1, "address": owner.address}
        answer = await house.pay("/sandbox/extend", giver, house.sbtc(giver, 1), body)
        codes.append(answer.status)
        house.clock.ahead_ms += 1_001  # past the snapshot
        await house.until(lambda n=n: len(house.state(owner).pending) >= min(n + 1, policy.pending_max // 2))
    assert codes[-1] == 503
    assert set(codes[:-1]) == {201}
    mine = await house.pay("/sandbox/extend", owner, house.sbtc(owner, 50), {"sats": 50})
    assert mine.status == 201
