"""Signed orders: what is signed is SIP-018 over their tuple, and nothing that was not signed so is an order."""

import base64
import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from operations.errors import SatboxError
from relay_client.orders import ORDER_SECONDS_MAX, Order, SignedOrder, order_domain, read_order, verify_order
from stacks import Network, PrivateKey
from stacks.sip018 import structured_hash

NOW = 1_700_000_000
KEY = PrivateKey(bytes([7]) * 32)
PAYER = str(KEY.public_key.address(Network.TESTNET))
PAYEE = str(PrivateKey(bytes([8]) * 32).public_key.address(Network.TESTNET))
RESOURCE = f"GET /sandbox/proxy/{PAYEE}/8000/quote"
ORDER = Order("here", PAYER, PAYEE, 5, RESOURCE, "0f" * 16, NOW + 60)
ASCII = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), max_size=300)


def verify(order: Order, signature: str | None = None, sats: int = 5, resource: str = RESOURCE) -> str:
    signed = SignedOrder(order, signature or order.signed(KEY, Network.TESTNET))
    order_id, signer = verify_order(
        signed,
        network=Network.TESTNET,
        deployment="here",
        payee=PAYEE,
        resource=resource,
        sats=sats,
        wall_ms=NOW * 1000,
    )
    if signer != order.payer:
        raise SatboxError(
            "stx_signature_invalid", funds_moved=False
        )  # what a gate says that finds no key of that signer
    return order_id


def refusal(order: Order, **changes: Any) -> str:
    with pytest.raises(SatboxError) as caught:
        verify(order, **changes)
    assert caught.value.funds_moved is False
    return caught.value.code


@given(
    texts=st.tuples(ASCII, ASCII, ASCII, ASCII, ASCII), sats=st.integers(0, 2**128 - 1), at=st.integers(0, 2**128 - 1)
)
@pytest.mark.parametrize("network", Network)
def test_the_bytes_of_an_order_are_those_of_its_tuple(
    network: Network, texts: tuple[str, str, str, str, str], sats: int, at: int
) -> None:
    deployment, payer, payee, resource, nonce = texts
    order = Order(deployment, payer, payee, sats, resource, nonce, at)
    assert order.digest(network) == structured_hash(order_domain(network), order.message())


def test_a_signed_order_is_taken_and_named_after_what_was_signed() -> None:
    assert verify(ORDER) == ORDER.order_id(Network.TESTNET)
    assert verify(ORDER, "0x" + ORDER.signed(KEY, Network.TESTNET).upper()) == verify(ORDER)
    assert replace(ORDER, nonce="1f" * 16).order_id(Network.TESTNET) != verify(ORDER)


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"deployment": "elsewhere"}, "order_invalid"),
        ({"payee": PAYER}, "order_invalid"),
        ({"resource": RESOURCE + "x"}, "order_invalid"),
        ({"max_sats": 4}, "order_too_small"),
        ({"max_sats": 10**12}, "order_invalid"),
        ({"expires_at": NOW}, "order_expired"),
        ({"expires_at": NOW + ORDER_SECONDS_MAX + 60}, "order_expired"),
        ({"payer": PAYEE}, "stx_signature_invalid"),
        ({"payer": PAYER[:-1] + "0"}, "stx_address_invalid"),
        ({"payer": PAYER.lower()}, "stx_address_invalid"),
        ({"payer": str(KEY.public_key.address(Network.MAINNET))}, "stx_network_mismatch"),
    ],
)
def test_what_is_wrong_with_an_order_is_named(changes: dict[str, Any], code: str) -> None:
    assert refusal(replace(ORDER, **changes)) == code


@pytest.mark.parametrize("name", ["payer", "max_sats", "nonce", "expires_at"])
def test_nothing_that_was_signed_can_be_changed(name: str) -> None:
    changed: dict[str, Any] = {"payer": PAYEE, "max_sats": 6, "nonce": "1f" * 16, "expires_at": NOW + 61}
    signature = ORDER.signed(KEY, Network.TESTNET)
    assert refusal(replace(ORDER, **{name: changed[name]}), signature=signature) == "stx_signature_invalid"


def test_another_networks_signature_and_its_twin_in_the_upper_half_are_refused() -> None:
    assert refusal(ORDER, signature=ORDER.signed(KEY, Network.MAINNET)) == "stx_signature_invalid"
    raw = bytes.fromhex(ORDER.signed(KEY, Network.TESTNET))
    half = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
    twin = raw[:32] + (half - int.from_bytes(raw[32:64], "big")).to_bytes(32, "big") + bytes([raw[64] ^ 1])
    assert refusal(ORDER, signature=twin.hex()) == "signature_high_s"
    assert refusal(ORDER, signature="00" * 65) in {"stx_signature_invalid", "signature_high_s"}


def header(**changes: Any) -> str:
    payload = {"order": ORDER.wire() | changes, "signature": ORDER.signed(KEY, Network.TESTNET)}
    return base64.b64encode(json.dumps({"x402Version": 2, "payload": payload}).encode()).decode()


def test_an_order_is_read_as_it_was_written_and_a_transaction_is_not_one() -> None:
    read = read_order(header())
    assert read is not None
    assert read.order == ORDER
    other = base64.b64encode(json.dumps({"x402Version": 2, "payload": {"transaction": "00"}}).encode()).decode()
    assert read_order(other) is None


@pytest.mark.parametrize(
    "changes",
    [
        {"maxSats": "5"}, {"maxSats": True}, {"maxSats": 5.0}, {"maxSats": 0}, {"expiresAt": -1}, {"expiresAt": 2**53},
        {"from": None}, {"to": ""}, {"to": "\u00e9"}, {"nonce": "0F" * 16}, {"nonce": "0f" * 15}, {"resource": "GET  /x"},
        {"resource": "GET /x\n"}, {"resource": "/x"}, {"resource": "GET /" + "x" * 600}, {"deployment": ["here"]},
    ],
)  # fmt: skip
def test_what_is_no_order_is_malformed(changes: dict[str, Any]) -> None:
    with pytest.raises(SatboxError, match="payment_malformed"):
        read_order(header(**changes))
