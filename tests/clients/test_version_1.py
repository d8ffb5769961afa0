"""x402 version 1 is refused in words that name the headers of version 2."""

import pytest

from tests.clients.customers import Customer

pytestmark = [pytest.mark.ray, pytest.mark.sandbox, pytest.mark.asyncio(loop_scope="session")]

PATH = "/sandbox/create"
BODY = {"sats": 600}


async def nothing_moved(customer: Customer) -> None:
    assert await customer.on_chain() == []
    assert await customer.deposits() == []


async def test_a_version_1_payment_is_refused_and_told_the_new_headers(customer: Customer) -> None:
    signed = await customer.node("signed_stx", payTo=customer.service.pay_to, amount="600")

    for more in ({}, {"X-PAYMENT-TOKEN-TYPE": "STX"}):
        status, body, sent = await customer.ask(PATH, BODY, {"X-PAYMENT": signed, **more})

        error = body["error"]
        assert (status, error["code"], error["funds_moved"]) == (400, "payment_v1_unsupported", False)
        for header in ("payment-signature", "payment-required", "payment-response"):
            assert header in error["hint"]
        assert "payment-required" not in sent
        assert "accepts" not in body
    await nothing_moved(customer)


async def test_a_version_1_client_signs_nothing(customer: Customer) -> None:
    """x402-stacks 2.0.3 with its version 1 interceptor does not know our 402 for one of its own."""
    result = await customer.node("x402_stacks_v1", path=PATH, body=BODY)

    assert (result["signatures"], result["body"]) == (0, None), result
    assert result["error"]
    await nothing_moved(customer)
