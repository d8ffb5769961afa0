"""npm x402-stacks 2.0.3, unmodified: create and extend, in each asset, chosen in each way."""

from typing import Any

import pytest

from tests.clients.customers import Customer
from tests.clients.witness import Witness

pytestmark = [pytest.mark.ray, pytest.mark.sandbox, pytest.mark.asyncio(loop_scope="session")]

IN_QUERY = "query"
IN_HEADER = "headers"


def chosen(where: str | None, asset: str) -> dict[str, Any]:
    """How a request names the asset it wants to pay with."""
    if where == IN_QUERY:
        return {"query": {"tokenType": asset}}
    return {"headers": {"X-PAYMENT-TOKEN-TYPE": asset}} if where == IN_HEADER else {}


async def create_and_extend(customer: Customer, where: str | None, asset: str) -> None:
    choice = chosen(where, asset)
    async with Witness(customer.service.gate_url) as witness:
        created, extended = await customer.node(
            "x402_stacks",
            gate=witness.url,
            requests=[
                {"path": "/sandbox/create", "body": {"sats": 600}, **choice},
                {"path": "/sandbox/extend", "body": {"sats": 250}, **choice},
            ],
        )
    assert (created["status"], extended["status"]) == (201, 201), (created, extended)
    assert created["body"]["sandbox"]["state"] in ("alive", "grace")
    for paid in (created, extended):
        assert paid["signatures"] == 1
        assert paid["settled"]["success"] is True
        assert paid["settled"]["payer"] == customer.address
        assert paid["settled"]["transaction"] == paid["body"]["payment"]["txid"]
        assert paid["body"]["payment"]["asset"] == asset
    assert len(witness.payments) == 2
    assert [e.asks_for_payment for e in witness.exchanges] == [True, False, True, False]
    await customer.credited(600, 250)


@pytest.mark.parametrize(
    ("where", "asset"), [(None, "sBTC"), (IN_HEADER, "sBTC"), (IN_QUERY, "STX"), (IN_HEADER, "STX")]
)
async def test_create_and_extend(customer: Customer, where: str | None, asset: str) -> None:
    await create_and_extend(customer, where, asset)


@pytest.mark.parametrize(
    ("where", "asset"), [(IN_QUERY, "USDCx"), (IN_HEADER, "USDCx"), (None, "sBTC"), (IN_QUERY, "STX")]
)
async def test_create_and_extend_as_on_mainnet(mainnet_customer: Customer, where: str | None, asset: str) -> None:
    await create_and_extend(mainnet_customer, where, asset)
