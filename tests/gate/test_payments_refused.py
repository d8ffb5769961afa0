"""Payments that are refused by their own bytes, by their quote or by the chain: each by its code, nothing moved, nothing kept."""

import base64
import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stacks import Network, PrivateKey, Transaction, sbtc
from stacks.c32 import Address, Principal
from stacks.clarity import NoneValue, UInt, principal_value
from stacks.postconditions import PostConditionMode
from stacks.signing import Sender, contract_call, sign_origin, sip010_transfer
from stacks.spending import MultiSig
from stacks.tokens import Token
from tests.gate.gatehouse import NETWORK, PAY_TO, House, Who, header_of

STRANGER = PrivateKey(b"\x07" * 32).address(NETWORK)
Make = Callable[[House, Who], Transaction]


def _other_token() -> Token:
    real = sbtc(NETWORK)
    fake = replace(real.contract, address=STRANGER)
    return replace(real, contract=fake)


def _resigned(who: Who, tx: Transaction, **changes: Any) -> Transaction:
    return sign_origin(replace(tx, **changes), who.key)


def _foreign_network(house: House, who: Who) -> Transaction:
    sender = Sender(who.key.public_key, Network.MAINNET, 0, 1000)
    to = PAY_TO.to_network(Network.MAINNET)
    return sign_origin(sip010_transfer(sender, sbtc(Network.MAINNET), to, 500), who.key)


def _tampered(house: House, who: Who) -> Transaction:
    """Signed for one sat, then raised to five hundred."""
    small = house.sbtc(who, 1)
    call = small.payload
    return replace(small, payload=replace(call, arguments=(UInt(500), *call.arguments[1:])))


def _sender_mismatch(house: House, who: Who) -> Transaction:
    token = sbtc(NETWORK)
    arguments = (UInt(500), principal_value(Principal(STRANGER)), principal_value(Principal(PAY_TO)), NoneValue())
    tx = contract_call(
        house.sender(who), token.contract, "transfer", arguments, post_condition_mode=PostConditionMode.ALLOW
    )
    return sign_origin(tx, who.key)


def _multisig(house: House, who: Who) -> Transaction:
    tx = house.sbtc(who, 500)
    return replace(tx, origin=MultiSig(1, tx.origin.signer, tx.origin.nonce, 1000, (), 2))


REFUSED: list[tuple[str, Make]] = [
    ("payment_wrong_recipient", lambda h, w: h.sbtc(w, 500, to=STRANGER)),
    ("payment_wrong_asset", lambda h, w: h.sbtc(w, 500, token=_other_token())),
    ("payment_amount_insufficient", lambda h, w: h.sbtc(w, 499)),
    ("payment_wrong_network", _foreign_network),
    ("payment_multisig_unsupported", _multisig),
    ("payment_signature_invalid", _tampered),
    ("payment_post_conditions_abort", lambda h, w: _resigned(w, h.sbtc(w, 500), post_conditions=())),
    ("payment_fee_too_low", lambda h, w: h.sbtc(w, 500, fee=10)),
    ("payment_sender_mismatch", _sender_mismatch),
    ("payment_nonce_gap", lambda h, w: h.sbtc(w, 500, nonce=9)),
    ("quote_invalid", lambda h, w: h.stx(w, 5_000_000)),
]


async def untouched(house: House, who: Who, tx: Transaction) -> None:
    """Nothing was broadcast, credited or begun."""
    assert house.world.chain.find(tx.txid()) is None
    state = house.state(who)
    assert (state.accounts.deposits, state.pending, state.runtime, state.phase.value) == (0, (), None, "none")


@pytest.mark.parametrize(("code", "make"), REFUSED, ids=[code for code, _ in REFUSED])
async def test_each_fault_has_its_code_and_moves_nothing(house: House, code: str, make: Make) -> None:
    who = await house.agent()
    tx = make(house, who)
    answer = await house.pay("/sandbox/create", who, tx, {"sats": 500})
    assert (answer.code, answer.funds_moved) == (code, False)
    assert 400 <= answer.status < 500
    assert answer.status != 402
    await untouched(house, who, tx)


async def test_paying_oneself_is_no_payment(house: House) -> None:
    from tests.gate.gatehouse import PAY_TO_KEY

    who = await house.agent()
    await house.devnet_post("faucet", {"address": str(PAY_TO), "stx": 1_000_000, "sbtc": 1_000})
    sender = Sender(PAY_TO_KEY.public_key, NETWORK, 0, 1000)
    tx = sign_origin(sip010_transfer(sender, sbtc(NETWORK), PAY_TO, 500), PAY_TO_KEY)
    assert (await house.pay("/sandbox/create", who, tx, {"sats": 500})).code == "payment_to_self"


async def test_a_used_nonce_is_stale(house: House) -> None:
    who = await house.agent()
    await house.created(who)
    tx = house.sbtc(who, 50, nonce=0)
    answer = await house.pay("/sandbox/extend", who, tx, {"sats": 50})
    assert (answer.code, answer.funds_moved) == ("payment_nonce_stale", False)
    assert house.state(who).accounts.deposits == -500_000_000


async def test_an_empty_purse_is_told_before_the_relay_is_asked(house: House) -> None:
    who = await house.agent(sats=10)
    tx = house.sbtc(who, 500)
    answer = await house.pay("/sandbox/create", who, tx, {"sats": 500})
    assert (answer.code, answer.funds_moved) == ("payment_insufficient_funds", False)
    await untouched(house, who, tx)


# Quotes


async def test_stx_pays_by_its_quote(house: House) -> None:
    who = await house.agent()
    entry = (await house.offers("/sandbox/create", who, {"sats": 300}))["STX"]
    tx = house.stx(who, int(entry["amount"]))
    answer = await house.pay("/sandbox/create", who, tx, {"sats": 300}, accepted=entry)
    assert answer.status == 201, answer.raw
    report = await house.settled(answer.body["paymentId"])
    assert report.credited_usat == 300_000_000


async def test_an_expired_quote_is_refused_for_new_payments_only(house: House) -> None:
    who = await house.agent()
    entry = (await house.offers("/sandbox/create", who, {"sats": 300}))["STX"]
    early, late = house.stx(who, int(entry["amount"])), await house.agent()
    first = await house.pay("/sandbox/create", who, early, {"sats": 300}, accepted=entry)
    assert first.status == 201
    await house.settled(first.body["paymentId"])
    house.clock.ahead_ms += 311_000
    tx = house.stx(late, int(entry["amount"]))
    answer = await house.pay("/sandbox/create", late, tx, {"sats": 300}, accepted=entry)
    assert (answer.code, answer.funds_moved) == ("quote_expired", False)
    await untouched(house, late, tx)
    again = await house.pay("/sandbox/create", who, early, {"sats": 300}, accepted=entry)
    assert again.body["paymentId"] == first.body["paymentId"], "what was paid in time replays its answer"


@pytest.mark.parametrize("forge", ["text", "pass", "other key", "cheaper", "other deployment"])
async def test_a_forged_quote_is_not_one_of_ours(house: House, forge: str) -> None:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    from oracle import sign_quote

    who = await house.agent()
    entry = (await house.offers("/sandbox/create", who, {"sats": 300}))["STX"]
    token = entry["extra"]["quote"]
    quote, here = house.services.read_quote(token), {"network": NETWORK.caip2, "pay_to": str(PAY_TO)}
    if forge == "text":
        token = "not.a.quote"
    elif forge == "pass":
        token = house.bearer(who)["Authorization"].removeprefix("Bearer ")
    elif forge == "other key":
        token = sign_quote(Ed25519PrivateKey.generate(), quote, **here).token
    elif forge == "cheaper":
        token = replace(quote, atomic_amount=1).token
    else:
        token = sign_quote(house.services.operator_key, quote, network="stacks:1", pay_to="SP000").token
    tx = house.stx(who, int(entry["amount"]))
    answer = await house.pay("/sandbox/create", who, tx, {"sats": 300}, accepted={"extra": {"quote": token}})
    assert (answer.code, answer.funds_moved) == ("quote_invalid", False)
    await untouched(house, who, tx)


async def test_a_quote_for_little_does_not_pay_for_much(house: House) -> None:
    who = await house.agent()
    small = (await house.offers("/sandbox/create", who, {"sats": 10}))["STX"]
    tx = house.stx(who, int(small["amount"]))
    answer = await house.pay("/sandbox/create", who, tx, {"sats": 300}, accepted=small)
    assert answer.code == "payment_amount_insufficient"
    assert int(answer.body["error"]["details"]["required"]) > int(answer.body["error"]["details"]["paid"])


# Headers


def b64(text: str | bytes) -> str:
    return base64.b64encode(text.encode() if isinstance(text, str) else text).decode()


@pytest.mark.parametrize(
    "header",
    [
        "",
        "not base64 at all!",
        b64("[]"),
        b64("null"),
        b64("{}"),
        b64('{"x402Version": 2}'),
        b64('{"x402Version": 2, "payload": {"transaction": "zz"}}'),
        b64('{"x402Version": 2, "payload": {"transaction": "00"}}'),
        b64('{"x402Version": 2, "payload": {"transaction": "' + "00" * 5000 + '"}}'),
        b64('{"x402Version": 2, "payload": ' + "[" * 900 + "]" * 900 + "}"),
        b64('{"x402Version": 2, "payload": {"transaction": NaN}}'),
        b64(b"\xff\xfe\x00"),
        "A" * 20_000,
    ],
)
async def test_malformed_payment_headers(house: House, header: str) -> None:
    who = await house.agent()
    answer = await house.ask("POST", "/sandbox/create", who=who, headers={"payment-signature": header}, json={})
    assert (answer.status, answer.code, answer.funds_moved) == (400, "payment_malformed", False)
    assert "payment-required" not in answer.headers


async def test_another_x402_version_is_named(house: House) -> None:
    who = await house.agent()
    sent = {"payment-signature": b64('{"x402Version": 1, "payload": {"transaction": "00"}}')}
    answer = await house.ask("POST", "/sandbox/create", who=who, headers=sent, json={})
    assert answer.code == "payment_version_unsupported"


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
payloads = st.fixed_dictionaries(
    {},
    optional={
        "x402Version": st.sampled_from([2, 2, 2, 1, "2", None, 2.0, True]),
        "payload": st.fixed_dictionaries(
            {}, optional={"transaction": st.binary(max_size=300).map(bytes.hex) | json_values}
        )
        | json_values,
        "accepted": json_values,
        "extensions": st.fixed_dictionaries({"payment-identifier": json_values}) | json_values,
        "resource": json_values,
    },
)
ascii_text = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), max_size=200)


@given(header=payloads.map(json.dumps).map(b64) | st.binary(max_size=200).map(b64) | ascii_text)
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_payment_header_breaks_the_decoder(header: str) -> None:
    from operations.errors import SatboxError
    from relay_client.models import decode_payment_header
    from relay_client.verify import verify_payment

    try:
        payload = decode_payment_header(header)
        _ = payload.identifier
        verify_payment(payload.transaction_bytes, accepted=payload.accepted, network=NETWORK, pay_to=str(PAY_TO))
    except SatboxError as refused:
        error = refused
    else:
        return
    assert (error.kind.status < 500, error.funds_moved) == (True, False)


@given(data=st.data())
@settings(max_examples=20, deadline=None)
def test_no_payment_header_breaks_the_gate(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    """A batch of hostile headers against a whole gate: always a 4xx of ours, never a request to pay again."""
    import asyncio

    from tests.gate.gatehouse import gatehouse

    headers = data.draw(st.lists(payloads.map(json.dumps).map(b64) | ascii_text, min_size=8, max_size=8))

    async def attack() -> None:
        async with gatehouse(tmp_path_factory.mktemp("house")) as house:
            who = Who("attacker")
            for header in headers:
                sent = {"payment-signature": header.strip() or "x"}
                answer = await house.ask("POST", "/sandbox/create", who=who, headers=sent, json={})
                assert 400 <= answer.status < 500, answer.raw
                assert answer.status != 402
                assert answer.funds_moved is False
                assert answer.code

    asyncio.run(attack())


async def test_a_truncated_or_lengthened_transaction_is_malformed(house: House) -> None:
    who = await house.agent()
    raw = house.sbtc(who, 500).serialize()
    for bent in (raw[:-1], raw + b"\0", raw[:40], b""):
        sent = {"payment-signature": header_of(bent)}
        answer = await house.ask("POST", "/sandbox/create", who=who, headers=sent, json={"sats": 500})
        assert answer.code in ("payment_malformed", "payment_signature_invalid"), answer.raw


def test_addresses_used_here_are_real() -> None:
    assert Address.parse(str(STRANGER)) == STRANGER
