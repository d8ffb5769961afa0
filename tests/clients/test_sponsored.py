"""Sponsored payments built by hand with @stacks/transactions 7.6: relayed, sponsored, confirmed."""

import pytest

from stacks import decode_transaction
from stacks.signing import is_unsponsored
from tests.clients.customers import Customer

pytestmark = [pytest.mark.ray, pytest.mark.sandbox, pytest.mark.asyncio(loop_scope="session")]


@pytest.mark.parametrize("asset", ["sBTC", "STX"])
async def test_a_create_is_paid_by_a_sponsored_transaction(customer: Customer, asset: str) -> None:
    before = await balance_ustx(customer)

    paid = await customer.node("sponsored", path="/sandbox/create", body={"sats": 600}, tokenType=asset)

    assert paid["status"] == 201, paid
    assert is_unsponsored(decode_transaction(bytes.fromhex(paid["transaction"])))
    assert paid["settled"]["success"] is True
    await customer.credited(600)
    [deposit] = await customer.deposits()
    [tx] = await customer.on_chain()
    assert deposit.txid == paid["settled"]["transaction"] == tx["tx_id"].removeprefix("0x")
    assert deposit.asset == asset
    assert (tx["tx_status"], tx["sponsored"], tx["sender_address"]) == ("success", True, customer.address)
    assert tx["sponsor_address"] in (await customer.service.devnet_get("/devnet/status"))["sponsors"]
    # The sponsor paid the fee: the payer is poorer by what it bought, and by nothing else.
    spent = int(deposit.amount or 0) if asset == "STX" else 0
    assert before - await balance_ustx(customer) == spent
    assert int(tx["fee_rate"]) > 0


async def balance_ustx(customer: Customer) -> int:
    found = await customer.service.devnet_get(f"/stacks/extended/v1/address/{customer.address}/stx")
    return int(found["balance"])
