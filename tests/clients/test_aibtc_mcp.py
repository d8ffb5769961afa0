"""What the AIBTC MCP client does with a paid endpoint, replayed step by step (protocols 3.3 and 3.6)."""

import asyncio
import base64
import json
from typing import Any

import pytest

from tests.clients.customers import Customer
from tests.clients.witness import Witness
from tests.service.running_service import eventually

pytestmark = [pytest.mark.ray, pytest.mark.sandbox, pytest.mark.asyncio(loop_scope="session")]

SCRIPT = "aibtc_mcp"
IDENTIFIER = "pay_0123456789abcdef0123456789abcdef"
CREATE: dict[str, Any] = {"path": "/sandbox/create", "body": {"sats": 400}, "identifier": IDENTIFIER}


def payload(result: dict[str, Any]) -> dict[str, Any]:
    decoded: dict[str, Any] = json.loads(base64.b64decode(result["signature"]))
    return decoded


@pytest.mark.parametrize("asset", [None, "sBTC", "STX"])
async def test_it_pays_and_polls_until_confirmed(customer: Customer, asset: str | None) -> None:
    await customer.service.devnet("faults", {"kind": "hold_confirmations", "address": customer.address})
    async with Witness(customer.service.gate_url, header_only=True) as witness:
        paying = asyncio.create_task(customer.node(SCRIPT, gate=witness.url, **CREATE, asset=asset))
        await eventually(customer.on_chain)
        await customer.service.heal()
        result = await paying

    assert (result["status"], result["settled"]["success"]) == (201, True), result
    assert len(witness.payments) == 1
    sent = payload(result)
    assert sent["payload"]["transaction"].startswith("0x")
    assert result["body"]["checkStatusUrl"].startswith(customer.service.gate_url)
    assert result["body"]["checkStatusUrl"].endswith(result["body"]["paymentId"])
    assert set(result["polls"]) <= {"mempool", "confirmed"}
    assert (result["final"]["status"], result["final"]["paymentId"]) == ("confirmed", result["body"]["paymentId"])
    assert result["final"]["txid"] == result["settled"]["transaction"]
    assert result["final"]["asset"] == (asset or "sBTC")
    await customer.credited(400)


async def test_the_same_identifier_and_payment_get_the_same_answer(customer: Customer) -> None:
    first = await customer.node(SCRIPT, **CREATE)
    await customer.credited(400)

    again = await customer.node(SCRIPT, **CREATE, signature=first["signature"])

    assert again["status"] == first["status"] == 201
    for word in ("paymentId", "checkStatusUrl"):
        assert again["body"][word] == first["body"][word]
    assert again["body"]["sandbox"]["runtime_id"] == first["body"]["sandbox"]["runtime_id"]
    assert again["settled"] == first["settled"]
    assert again["final"] == first["final"]
    await customer.audit(400)


async def test_the_same_identifier_with_another_payment_is_refused(customer: Customer) -> None:
    await customer.node(SCRIPT, **CREATE)
    await customer.credited(400)

    other = {**CREATE, "path": "/sandbox/extend", "body": {"sats": 100}}
    refused = await customer.node(SCRIPT, **other)

    assert refused["status"] == 409, refused
    error = refused["body"]["error"]
    assert (error["code"], error["funds_moved"]) == ("payment_identifier_conflict", False)
    assert (refused["settled"], refused["polls"]) == (None, [])
    await customer.audit(400)
    # With an identifier of its own the same nonce pays.
    paid = await customer.node(SCRIPT, **{**other, "identifier": IDENTIFIER[::-1]})
    assert paid["final"]["status"] == "confirmed"
    await customer.credited(400, 100)


async def test_what_it_pays_by_default_is_within_its_caps(customer: Customer) -> None:
    for asset, cap in (("sBTC", 10_000), ("STX", 1_000_000)):
        status, required, _ = await customer.ask(f"/sandbox/create?tokenType={asset}", {})
        assert status == 402
        assert int(required["accepts"][0]["amount"]) <= cap * 3 // 4  # and prices move
