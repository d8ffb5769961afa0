"""The wire models against what clients send, against garbage, and against the models of PyPI `x402`."""

import base64
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from x402.schemas.payments import PaymentRequired as ReferencePaymentRequired

from operations.errors import SatboxError
from relay_client.models import (
    HEADER_CHARS_MAX,
    PaymentRequired,
    ResourceInfo,
    SettleResult,
    decode_payment_header,
    encode_header,
    payment_identifier_extension,
    wire_json,
)
from relay_client.offers import Offer, assets, chosen_asset, in_offer_order, sbtc_offer
from stacks import Network

PAY_TO = "ST1PQHQKV0RJXZFY1DGX8MNSNYVE3VGZJSRTPGZGM"


def header(value) -> str:
    return base64.b64encode(json.dumps(value).encode()).decode()


class Terms:
    quote_id, asset, atomic_amount, usat, expires_at_ms, token = "q1", "STX", 500_000, 7_000_000, 99, "ey.a.b"


def required(network=Network.TESTNET) -> PaymentRequired:
    offers = [
        Offer(assets(network)[1], 500_000, 7_000_000, PAY_TO, network, Terms()),
        sbtc_offer(network, 7_000_001, PAY_TO),
    ]
    return PaymentRequired(
        error="payment required",
        resource=ResourceInfo(url="http://127.0.0.1:4020/sandbox/create", description="a sandbox"),
        accepts=[offer.requirements(rate_usat_per_second=1000) for offer in in_offer_order(offers)],
        extensions=payment_identifier_extension(),
    )


@pytest.mark.parametrize("network", list(Network))
def test_the_models_of_x402_parse_every_402_we_emit(network):
    ours = required(network)
    theirs = ReferencePaymentRequired.model_validate_json(base64.b64decode(encode_header(ours)))
    assert theirs.x402_version == 2
    assert [entry.asset for entry in theirs.accepts] == [entry.asset for entry in ours.accepts]
    assert [entry.amount for entry in theirs.accepts] == ["8", "500000"]
    assert theirs.accepts[0].pay_to == PAY_TO
    assert theirs.accepts[1].extra["quote"] == "ey.a.b"


def test_offers_list_sbtc_first_and_ask_for_whole_sats():
    entries = required().accepts
    assert entries[0].asset.endswith(".sbtc-token")
    assert entries[0].extra == {"sats": 8, "seconds": 8000}
    assert entries[1].asset == "STX"


def test_no_null_goes_out():
    assert "null" not in json.dumps(wire_json(SettleResult(success=True, network="stacks:1")))


@pytest.mark.parametrize("hint", ["stx", "STX", " Stx "])
def test_a_token_hint_chooses_one_asset(hint):
    chosen = chosen_asset(Network.TESTNET, None, hint)
    assert chosen is not None
    assert chosen.symbol == "STX"


@pytest.mark.parametrize("hint", ["USDCx", "dogecoin"])
def test_a_token_that_is_not_offered_is_refused_by_name(hint):
    with pytest.raises(SatboxError) as caught:
        chosen_asset(Network.TESTNET, hint)
    assert caught.value.code == "asset_not_offered"


def test_what_clients_really_send_is_read():
    shapes = [
        {"x402Version": 2, "payload": {"transaction": "0x00ff"}},
        {"x402Version": 2, "payload": {"signedTransaction": "00FF"}, "accepted": None, "resource": None},
        {"x402Version": 2, "payload": {"transaction": "00ff"}, "accepted": {"extra": None}, "extensions": None,
         "resource": {"url": "/x", "description": None}},
    ]  # fmt: skip
    for shape in shapes:
        payload = decode_payment_header(header(shape))
        assert payload.transaction_bytes == b"\x00\xff"
        assert payload.identifier is None
        assert payload.accepted_extra == {}


def test_unpadded_and_url_safe_base64_is_read():
    text = header({"x402Version": 2, "payload": {"transaction": "00"}, "accepted": {"a": "???>>>"}})
    assert decode_payment_header(text.rstrip("=").replace("/", "_").replace("+", "-")).transaction_bytes == b"\0"


@pytest.mark.parametrize(
    ("value", "code"),
    [
        ("%%%", "payment_malformed"),
        (base64.b64encode(b"\xff\xfe").decode(), "payment_malformed"),
        (header([]), "payment_malformed"),
        (header({"x402Version": 2}), "payment_malformed"),
        (header({"payload": {"transaction": "00"}}), "payment_malformed"),
        (header({"x402Version": "2", "payload": {"transaction": "00"}}), "payment_malformed"),
        (header({"x402Version": 1, "payload": {"transaction": "00"}}), "payment_version_unsupported"),
        (header({"x402Version": 2, "payload": {"transaction": "00"}, "accepted": 7}), "payment_malformed"),
        (header({"x402Version": 2, "payload": {"transaction": "ab" * 5000}}), "payment_malformed"),
        ("A" * (HEADER_CHARS_MAX + 1), "payment_malformed"),
        (base64.b64encode(b'{"x402Version":2,"a":NaN}').decode(), "payment_malformed"),
        (base64.b64encode(b"[" * 9000).decode(), "payment_malformed"),
        (base64.b64encode(b'{"x402Version":2,"accepted":' + b'{"a":' * 400 + b"1" + b"}" * 401).decode(),
         "payment_malformed"),
        (base64.b64encode(b'{"x402Version":' + b"9" * 6000 + b"}").decode(), "payment_malformed"),
    ],
)  # fmt: skip
def test_malformed_headers_are_refused_by_name(value, code):
    with pytest.raises(SatboxError) as caught:
        decode_payment_header(value)
    assert caught.value.code == code
    assert caught.value.funds_moved is False


@pytest.mark.parametrize("value", ["zz", "0", "0x"])
def test_a_transaction_that_is_not_hex_is_malformed(value):
    payload = {"x402Version": 2, "payload": {"transaction": value}}
    with pytest.raises(SatboxError) as caught:
        _ = decode_payment_header(header(payload)).transaction_bytes
    assert caught.value.code == "payment_malformed"


@pytest.mark.parametrize(
    ("info", "expected"),
    [({"id": "a" * 16}, "a" * 16), ({"required": False}, None), ({"id": "short"}, "error"), ({"id": 7}, "error"),
     ({"id": "a" * 129}, "error"), ({"id": "a" * 15 + "!"}, "error"), ("text", "error")],
)  # fmt: skip
def test_payment_identifiers_are_checked(info, expected):
    payload = decode_payment_header(
        header(
            {"x402Version": 2, "payload": {"transaction": "00"}, "extensions": {"payment-identifier": {"info": info}}}
        )
    )
    if expected == "error":
        with pytest.raises(SatboxError) as caught:
            _ = payload.identifier
        assert caught.value.code == "payment_identifier_invalid"
    else:
        assert payload.identifier == expected


@given(st.one_of(st.text(max_size=300), st.binary(max_size=300).map(lambda raw: base64.b64encode(raw).decode())))
def test_any_text_decodes_or_is_refused_by_name(text):
    with pytest.raises(SatboxError) as caught:
        decode_payment_header(text)
    assert caught.value.code in ("payment_malformed", "payment_version_unsupported")
