"""PyPI x402-stacks 2.0.1, unmodified: pays in STX; its token transfers are refused before anything is broadcast."""

import pytest

from tests.clients.customers import Customer
from tests.clients.witness import Witness

pytestmark = [pytest.mark.ray, pytest.mark.sandbox, pytest.mark.asyncio(loop_scope="session")]

SCRIPT = "x402_stacks_session"


@pytest.mark.parametrize("choice", [{"query": {"tokenType": "STX"}}, {"headers": {"X-PAYMENT-TOKEN-TYPE": "STX"}}])
async def test_create_and_extend_in_stx(customer: Customer, choice: dict[str, dict[str, str]]) -> None:
    [created] = await customer.python(SCRIPT, requests=[{"path": "/sandbox/create", "body": {"sats": 600}, **choice}])
    await customer.credited(600)  # it goes by the node's nonce, which a payment in the mempool has not used up yet
    [extended] = await customer.python(SCRIPT, requests=[{"path": "/sandbox/extend", "body": {"sats": 250}, **choice}])

    assert (created["status"], extended["status"]) == (201, 201), (created, extended)
    for paid in (created, extended):
        assert paid["signatures"] == 1
        assert paid["settled"]["success"] is True
        assert paid["settled"]["payer"] == customer.address
    await customer.credited(600, 250)


@pytest.mark.parametrize("choice", [{}, {"query": {"tokenType": "sBTC"}}], ids=["first offer", "sBTC"])
async def test_sbtc_is_refused_with_cause_and_way_out(customer: Customer, choice: dict[str, dict[str, str]]) -> None:
    async with Witness(customer.service.gate_url) as witness:
        [refused] = await customer.python(
            SCRIPT, gate=witness.url, requests=[{"path": "/sandbox/create", "body": {"sats": 600}, **choice}]
        )

    await shows_nothing_moved(customer, refused)
    assert len(witness.payments) == 1
    assert [exchange.asks_for_payment for exchange in witness.exchanges] == [True, False]
    # The way out, taken.
    [paid] = await customer.python(
        SCRIPT, requests=[{"path": "/sandbox/create", "body": {"sats": 600}, "query": {"tokenType": "STX"}}]
    )
    assert paid["status"] == 201, paid
    await customer.credited(600)


async def test_usdcx_is_refused_with_cause_and_way_out(mainnet_customer: Customer) -> None:
    [refused] = await mainnet_customer.python(
        SCRIPT, requests=[{"path": "/sandbox/create", "body": {"sats": 600}, "query": {"tokenType": "USDCx"}}]
    )

    await shows_nothing_moved(mainnet_customer, refused)


async def shows_nothing_moved(customer: Customer, refused: dict[str, object]) -> None:
    """The answer names the cause and the way out, and the chain knows nothing of the payer."""
    assert refused["status"] == 422, refused
    assert refused["signatures"] == 1
    body = refused["body"]
    assert isinstance(body, dict)
    error = body["error"]
    assert (error["code"], error["funds_moved"]) == ("payment_post_conditions_abort", False)
    assert error["details"] == {"reason": "deny mode without a post-condition on the transferred asset", "mode": "deny"}
    assert "x402-stacks 2.0.1" in error["hint"]
    assert "?tokenType=STX" in error["hint"]
    assert await customer.on_chain() == []
    account = await customer.service.devnet_get(f"/stacks/v2/accounts/{customer.address}?proof=0")
    assert account["nonce"] == 0
