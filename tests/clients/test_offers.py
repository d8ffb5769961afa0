"""Every 402 we emit, read by the models of others: PyPI x402 2.25 and both x402-stacks."""

import base64
import json
from collections.abc import Callable

import pytest
from x402.http.utils import decode_payment_required_header
from x402.schemas.payments import PaymentRequired
from x402_stacks import PaymentRequiredV2, decode_payment_required

from operations.catalogue import REGISTRY
from satbox.keys import load_keys
from stacks import Network
from tests.clients.customers import Customer
from tests.service.running_service import SATS

pytestmark = [pytest.mark.ray, pytest.mark.sandbox, pytest.mark.asyncio(loop_scope="session")]

SYMBOLS = {Network.TESTNET: ("sBTC", "STX"), Network.MAINNET: ("sBTC", "STX", "USDCx")}
WAYS: dict[str, Callable[[str], tuple[str, dict[str, str]]]] = {
    "query": lambda symbol: (f"?tokenType={symbol}", {}),
    "header": lambda symbol: ("", {"X-PAYMENT-TOKEN-TYPE": symbol}),
    "lower case": lambda symbol: (f"?tokenType={symbol.lower()}", {}),
}
PAID = [operation for operation in REGISTRY.values() if operation.is_on_chain]


async def offers_of(customer: Customer, path: str, headers: dict[str, str], whose: dict[str, str]) -> PaymentRequired:
    """The offers of a 402, which its header and its body state alike, as the general x402 models read them."""
    status, body, sent = await customer.ask(path, {"sats": 300, **whose}, headers)
    assert status == 402, body
    assert json.loads(base64.b64decode(sent["payment-required"], validate=True)) == body
    required = PaymentRequired.model_validate(body)
    assert decode_payment_required_header(sent["payment-required"]) == required
    assert json.loads(required.model_dump_json(by_alias=True, exclude_none=True)) == body  # no member is lost on it
    assert decode_payment_required(sent["payment-required"]) == PaymentRequiredV2.model_validate(body)
    return required


async def walk(customer: Customer) -> None:
    """Every paid operation, with no choice of asset and with every choice in every way."""
    network = customer.service.network
    names = [operation.name for operation in PAID]
    assert names == ["sandbox.create", "sandbox.extend", "bucket.deposit"]  # else this walk misses one
    for operation in PAID:
        if operation.name == "sandbox.extend":
            await customer.client.sandbox_create(sats=300)
        whose = {"address": customer.address} if operation.name == "bucket.deposit" else {}
        everything = await offers_of(customer, operation.path, {}, whose)
        assert [symbol_of(entry.asset) for entry in everything.accepts] == list(SYMBOLS[network])
        for symbol in SYMBOLS[network]:
            for way in WAYS.values():
                query, headers = way(symbol)
                chosen = await offers_of(customer, operation.path + query, headers, whose)
                assert [symbol_of(entry.asset) for entry in chosen.accepts] == [symbol]
        for entry in everything.accepts:
            assert (entry.scheme, entry.network) == ("exact", network.caip2)
            assert entry.pay_to == customer.service.pay_to
            assert int(entry.amount) > 0
            assert entry.max_timeout_seconds > 0
        assert everything.resource is not None
        assert everything.resource.url == f"{customer.service.gate_url}{operation.path}"


def symbol_of(asset: str) -> str:
    return {"STX": "STX", "sbtc-token": "sBTC", "usdcx": "USDCx"}[asset.partition(".")[2] or asset]


async def test_every_offer_parses(customer: Customer) -> None:
    await walk(customer)
    await customer.credited(300)


async def test_every_offer_parses_as_on_mainnet(mainnet_customer: Customer) -> None:
    await walk(mainnet_customer)
    await mainnet_customer.credited(300)


async def test_a_wake_that_credit_does_not_cover_is_no_402(customer: Customer) -> None:
    """A 402 without offers is one that no client can read."""
    await customer.client.sandbox_create(sats=300)
    await customer.credited(300)
    await customer.client.sandbox_reap()
    operator = load_keys(customer.service.settings.home).operator_token
    dear = {"address": customer.address, "rate_usat_per_second": 1000 * SATS}
    assert (await customer.ask("/operator/rate", dear, {"authorization": f"Bearer {operator}"}))[0] == 200

    [woken] = await customer.node("x402_stacks", requests=[{"path": "/sandbox/wake", "body": {}}])

    assert (woken["status"], woken["signatures"]) == (409, 0), woken
    assert woken["body"]["error"]["code"] == "credit_insufficient"
    await customer.audit(300)


async def test_an_asset_that_is_not_offered_is_named(customer: Customer) -> None:
    for query, headers in (way("USDCx") for way in WAYS.values()):
        status, body, sent = await customer.ask(f"/sandbox/create{query}", {"sats": 300}, headers)
        assert (status, body["error"]["code"]) == (422, "asset_not_offered")
        assert "payment-required" not in sent
