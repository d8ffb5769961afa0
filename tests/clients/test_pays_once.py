"""One request never makes x402-stacks pay twice, whatever we answer after a payment.

The client pays again for every 402 that carries requirements, without limit. So after a payment nothing may ask for one, and
what it signed is counted twice: by the nonces it looked up, and by the payments that arrived.
"""

import asyncio
from dataclasses import dataclass, replace
from typing import Any

import pytest

from oracle.quotes import quote_reader, sign_quote
from satbox.keys import load_keys
from tests.clients.customers import Customer, Service
from tests.clients.witness import Rewrite, Witness
from tests.service.running_service import eventually

pytestmark = [pytest.mark.ray, pytest.mark.sandbox, pytest.mark.asyncio(loop_scope="session")]

CREATE = {"path": "/sandbox/create", "body": {"sats": 600}}
HOURS_MS = 3_600_000


async def paid_request(customer: Customer, request: dict[str, Any], rewrite: Rewrite | None = None) -> dict[str, Any]:
    """What the client made of one request: one 402, one signature, one payment sent, nothing more asked for."""
    async with Witness(customer.service.gate_url, rewrite) as witness:
        [result] = await customer.node("x402_stacks", gate=witness.url, requests=[request])
    assert isinstance(result, dict)
    assert result["signatures"] == 1, result
    assert len(witness.payments) == 1
    assert [exchange.asks_for_payment for exchange in witness.exchanges] == [True, False]
    return result


@dataclass(frozen=True)
class Trouble:
    """A devnet fault for one payer, and what the client is told because of it."""

    name: str
    fault: dict[str, Any]
    statuses: tuple[int, ...]
    payment: tuple[str, ...] = ()
    code: str | None = None
    query: dict[str, str] | None = None
    funds_moved: bool | str = False

    def __str__(self) -> str:
        return self.name


def relay(reason: str, **more: Any) -> dict[str, Any]:
    return {"kind": "relay_error", "error_reason": reason, "count": 1, **more}


HELD = {"kind": "hold_confirmations"}
UNDER_WAY = ("queued", "broadcasting")
SETTLED = [
    Trouble("no trouble", {"kind": "delay", "path": "/nowhere"}, (201,), ("mempool", "confirmed")),
    Trouble("confirmation held", HELD, (201,), ("mempool",)),
    Trouble("confirmation held, start only on confirmed", HELD, (202,), ("mempool",), query={"settle": "confirmed"}),
    Trouble("relay says try again", relay("broadcast_failed"), (202,), UNDER_WAY),
    Trouble("relay breaks before the work", relay("unexpected_settle_error", status=500), (202,), UNDER_WAY),
    Trouble(
        "relay breaks after the work", relay("unexpected_settle_error", status=500, after_work=True), (202,), UNDER_WAY
    ),
    Trouble("relay says a word nobody knows", relay("moon_phase"), (202,), UNDER_WAY),
    Trouble(
        "reply lost",
        {"kind": "drop_reply", "routes": "relay", "path": "/settle", "count": 1},
        (201, 202),
        (*UNDER_WAY, "mempool", "confirmed"),
    ),
]
REFUSED = [
    Trouble("relay refuses: funds", relay("client_insufficient_funds"), (422,), code="payment_insufficient_funds"),
    Trouble(
        "relay refuses: nonce", relay("conflicting_nonce"), (409,), code="payment_nonce_stale", funds_moved="unknown"
    ),
    Trouble("relay refuses: bytes", relay("invalid_transaction_state"), (422,), code="payment_refused"),
]


@pytest.mark.parametrize("trouble", SETTLED, ids=str)
async def test_a_payment_under_way_is_not_paid_again(customer: Customer, trouble: Trouble) -> None:
    await customer.service.devnet("faults", {**trouble.fault, "address": customer.address})

    result = await paid_request(customer, {**CREATE, "query": trouble.query})

    assert result["status"] in trouble.statuses, result
    assert result["body"]["status"] in trouble.payment
    await customer.service.heal()
    await customer.credited(600)
    await customer.until(lambda now: now.state == "alive")


async def held_by_the_relay(customer: Customer) -> None:
    await customer.service.devnet("faults", {**relay("transaction_held"), "address": customer.address})

    result = await paid_request(customer, CREATE)

    assert (result["status"], result["body"]["status"]) == (202, "queued"), result
    assert await customer.on_chain() == []
    assert await customer.deposits() == []


async def test_a_payment_that_the_relay_holds_is_not_paid_again(customer: Customer) -> None:
    await held_by_the_relay(customer)


@pytest.mark.nightly
async def test_a_payment_that_the_relay_held_is_credited_once(customer: Customer) -> None:
    await held_by_the_relay(customer)
    await customer.until(lambda now: now.state == "alive", 60)  # the same bytes go out again after half a minute
    await customer.credited(600)


@pytest.mark.parametrize("trouble", REFUSED, ids=str)
async def test_a_refused_payment_is_not_paid_again_by_itself(customer: Customer, trouble: Trouble) -> None:
    await customer.service.devnet("faults", {**trouble.fault, "address": customer.address})

    result = await paid_request(customer, CREATE)

    assert result["status"] in trouble.statuses, result
    assert (result["body"]["error"]["code"], result["body"]["error"]["funds_moved"]) == (
        trouble.code,
        trouble.funds_moved,
    )
    assert await customer.on_chain() == []
    assert await customer.deposits() == []
    # Another request is another matter: its payment, under the same nonce, is the only one that ever counts.
    assert (await paid_request(customer, CREATE))["status"] == 201
    await customer.credited(600)


def expired(service: Service) -> Rewrite:
    """Offers whose quotes ran out an hour ago, signed by the gate's own key."""
    key, terms = load_keys(service.settings.home).operator, {"network": service.network.caip2, "pay_to": service.pay_to}
    read = quote_reader(key.public_key(), **terms)

    def rewrite(required: dict[str, Any]) -> dict[str, Any]:
        for entry in required["accepts"]:
            quote = read(entry["extra"]["quote"])
            old = replace(
                quote, issued_at_ms=quote.issued_at_ms - HOURS_MS, expires_at_ms=quote.expires_at_ms - HOURS_MS
            )
            entry["extra"]["quote"] = sign_quote(key, old, **terms).token
        return required

    return rewrite


def too_little(required: dict[str, Any]) -> dict[str, Any]:
    """Offers of one unit less than the gate asks for."""
    for entry in required["accepts"]:
        entry["amount"] = str(int(entry["amount"]) - 1)
    return required


@pytest.mark.parametrize(
    ("offers", "status", "code"),
    [("expired", 409, "quote_expired"), ("too little", 422, "payment_amount_insufficient")],
)
async def test_a_payment_of_a_bad_offer_is_not_paid_again(
    customer: Customer, offers: str, status: int, code: str
) -> None:
    rewrite = expired(customer.service) if offers == "expired" else too_little

    result = await paid_request(customer, {**CREATE, "query": {"tokenType": "STX"}}, rewrite)

    assert result["status"] == status, result
    assert (result["body"]["error"]["code"], result["body"]["error"]["funds_moved"]) == (code, False)
    assert await customer.on_chain() == []
    assert await customer.deposits() == []


async def test_a_sandbox_that_does_not_start_is_not_paid_again(customer: Customer) -> None:
    assert (await paid_request(customer, CREATE))["status"] == 201
    await customer.credited(600)
    reaped = await customer.client.sandbox_reap()
    snapshot = customer.service.settings.home / "node" / "snapshots" / f"{reaped.snapshot_digest}.tar.zst"
    snapshot.unlink()  # a disk lost it: nothing can start from it

    result = await paid_request(customer, {"path": "/sandbox/extend", "body": {"sats": 100}})

    assert result["status"] == 202, result
    assert result["body"]["sandbox"]["reason"] == "start_failed"
    assert "credit is kept" in result["body"]["message"]
    await customer.credited(600, 100)
    now = await customer.status()
    assert now.charged_usat == reaped.charged_usat


async def test_a_gate_that_is_killed_is_not_paid_again(customer: Customer) -> None:
    service = customer.service
    slow = {"kind": "delay", "routes": "relay", "path": "/settle", "seconds": 2.5, "address": customer.address}
    await service.devnet("faults", slow)
    async with Witness(service.gate_url) as witness:
        paying = asyncio.create_task(customer.node("x402_stacks", gate=witness.url, requests=[CREATE]))
        await eventually(customer.on_chain)  # broadcast, and the relay has not answered yet
        await service.kill("gate")
        [result] = await paying

    assert (result["status"], result["signatures"]) == (None, 1), result
    assert len(witness.payments) == 1
    await service.heal()
    await customer.credited(600)

    # Asked again by hand, it is told that it has what it paid for.
    [again] = await customer.node("x402_stacks", requests=[CREATE])
    assert (again["status"], again["signatures"]) == (409, 0)
    assert again["body"]["error"]["code"] == "already_exists"
    await customer.audit(600)
