"""What a payment's own bytes prove, one refusal at a time, and that no mutation gets through."""

import json
import pathlib
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from payment_builders import (
    NETWORK,
    OTHER,
    PAY_TO,
    PAY_TO_KEY,
    PAYER,
    QUOTED,
    SBTC,
    Terms,
    read_quote,
    sbtc_payment,
    sender,
    stx_payment,
    verified,
)

from operations.errors import SatboxError
from relay_client.verify import decode_payment, verify_payment
from stacks import Network, Principal, decode_transaction
from stacks.clarity import Buffer, NoneValue, Some, UInt, principal_value
from stacks.postconditions import AssetId, Comparison, FungiblePostCondition, PostConditionMode, StxPostCondition
from stacks.signing import contract_call, sign_origin, sign_sponsor, sip010_transfer, token_transfer

TO = Principal.parse(PAY_TO)
ME = Principal(PAYER.public_key.address(NETWORK))
VECTORS = pathlib.Path(__file__).parent.parent / "vectors" / "stacks_transactions.json"


def code_of(raw: bytes, **changes) -> str:
    arguments = {"accepted": QUOTED, "network": NETWORK, "pay_to": PAY_TO, "read_quote": read_quote} | changes
    with pytest.raises(SatboxError) as caught:
        verify_payment(raw, **arguments)
    assert caught.value.funds_moved is False
    return caught.value.code


def call(
    arguments, *, contract=SBTC.contract, function="transfer", mode=PostConditionMode.ALLOW, conditions=(), fee=1000
):
    tx = contract_call(
        sender(fee=fee), contract, function, arguments, post_condition_mode=mode, post_conditions=conditions
    )
    return sign_origin(tx, PAYER).serialize()


def plain(amount=250, source=ME, to=TO, memo=None):
    last = NoneValue() if memo is None else memo
    return (UInt(amount), principal_value(source), principal_value(to), last)


def on_sbtc(comparison, amount, principal=ME, name="sbtc-token"):
    return FungiblePostCondition(principal, AssetId(SBTC.contract, name), comparison, amount)


def test_an_sbtc_payment_is_read_for_what_it_is():
    tx = sbtc_payment(250, nonce=7, memo="x402:abc")
    payment = verified(tx)
    assert (payment.asset, payment.amount, payment.usat) == ("sBTC", 250, 250_000_000)
    assert (payment.origin, payment.nonce, payment.chain_id) == (str(ME), 7, 0x80000000)
    assert payment.txid == tx.txid()
    assert payment.memo == b"x402:abc"
    assert not payment.sponsored


def test_an_stx_payment_is_worth_what_its_quote_says_and_overpayment_counts():
    assert verified(stx_payment(1_000_000)).usat == 1_000_000_000
    assert verified(stx_payment(1_500_001)).usat == 1_500_001_000


def test_a_sponsored_payment_has_one_identity_whoever_sponsors_it():
    tx = sbtc_payment(sponsored=True)
    open_slot, first, second = (
        verified(tx),
        *(verified(sign_sponsor(tx, key, fee=900, nonce=3)) for key in (OTHER, PAY_TO_KEY)),
    )
    assert open_slot.identity == first.identity == second.identity
    assert open_slot.txid is None
    assert first.txid != second.txid
    assert (open_slot.unsponsored, first.unsponsored) == (True, False)


def test_what_stands_in_an_empty_sponsor_slot_changes_nothing():
    tx = sbtc_payment(sponsored=True)
    assert tx.sponsor is not None
    odd = replace(tx, sponsor=replace(tx.sponsor, nonce=9, signer=b"\x07" * 20))
    assert verified(odd) == verified(tx)


def test_a_broken_sponsor_signature_cannot_spoil_an_identity():
    tx = sign_sponsor(sbtc_payment(sponsored=True), OTHER, fee=900, nonce=3)
    assert tx.sponsor is not None
    broken = replace(tx, sponsor=replace(tx.sponsor, nonce=4))
    assert code_of(broken.serialize()) == "payment_signature_invalid"


def test_identities_of_different_payments_differ():
    payments = [sbtc_payment(), sbtc_payment(251), sbtc_payment(nonce=1), sbtc_payment(memo="a"), stx_payment()]
    assert len({verified(tx).identity for tx in payments}) == len(payments)


def test_refusals_name_their_cause():
    good = sbtc_payment().serialize()
    assert code_of(b"") == "payment_malformed"
    assert code_of(good[:-1]) == "payment_malformed"
    assert code_of(good + b"\0") == "payment_malformed"
    assert code_of(bytes(5000)) == "payment_malformed"
    assert code_of(good, network=Network.MAINNET) == "payment_wrong_network"
    assert code_of(b"\0" + good[1:]) == "payment_wrong_network"
    assert code_of(good, pay_to=str(OTHER.public_key.address(NETWORK))) == "payment_wrong_recipient"
    assert code_of(good, required_usat=250_000_001) == "payment_amount_insufficient"
    assert code_of(sbtc_payment(key=PAY_TO_KEY).serialize()) == "payment_to_self"
    assert (
        code_of(sign_origin(token_transfer(sender(fee=179), TO, 1_000_000), PAYER).serialize()) == "payment_fee_too_low"
    )


def test_version_and_chain_id_are_each_checked():
    raw = sbtc_payment().serialize()
    assert raw[:5].hex() == "8080000000"
    assert code_of(bytes.fromhex("8000000001") + raw[5:]) == "payment_wrong_network"
    assert code_of(bytes.fromhex("0080000000") + raw[5:]) == "payment_wrong_network"
    assert code_of(bytes.fromhex("8080000001") + raw[5:]) == "payment_wrong_network"
    assert code_of(bytes.fromhex("1780000000") + raw[5:]) == "payment_malformed"


def test_payloads_that_are_no_transfer_are_named():
    raw = sbtc_payment().serialize()
    where = raw.index(bytes([0x02, 26]) + TO.address.hash160[:0])  # contract call, then a testnet address
    for kind in (0x01, 0x03, 0x04, 0x05, 0x06):  # contract deploy, poison, coinbases
        assert code_of(raw[:where] + bytes([kind]) + raw[where + 1 :]) in (
            "payment_payload_unsupported",
            "payment_malformed",
        )


def test_the_origin_must_have_signed():
    tx = sbtc_payment()
    assert code_of(replace(tx, origin=replace(tx.origin, nonce=5)).serialize()) == "payment_signature_invalid"
    assert (
        code_of(replace(tx, origin=replace(tx.origin, signature=bytes(65))).serialize()) == "payment_signature_invalid"
    )


def test_calls_that_are_no_transfer_of_an_offered_token_are_refused():
    other = Principal(SBTC.contract.address, "other-token")
    forged = Principal(OTHER.public_key.address(NETWORK), "sbtc-token")
    assert code_of(call(plain(), contract=other)) == "payment_wrong_asset"
    assert code_of(call(plain(), contract=forged)) == "payment_wrong_asset"
    assert code_of(call(plain(), function="mint")) == "payment_payload_unsupported"
    assert code_of(call(plain()[:2])) == "payment_payload_unsupported"
    assert code_of(call((*plain()[:3], Buffer(b"bare")))) == "payment_payload_unsupported"
    assert code_of(call(plain(memo=Some(Buffer(bytes(35)))))) == "payment_payload_unsupported"
    assert code_of(call((NoneValue(), *plain()[1:]))) == "payment_payload_unsupported"
    assert code_of(call(plain(source=Principal(OTHER.public_key.address(NETWORK))))) == "payment_sender_mismatch"
    assert code_of(call(plain(to=Principal(TO.address, "vault")))) == "payment_wrong_recipient"
    assert code_of(call(plain(0))) == "payment_malformed"


def test_deny_without_conditions_is_the_trap_of_a_public_client():
    assert code_of(call(plain(), mode=PostConditionMode.DENY)) == "payment_post_conditions_abort"
    assert code_of(call(plain(), mode=PostConditionMode.ORIGINATOR)) == "payment_post_conditions_abort"


@pytest.mark.parametrize(
    ("mode", "conditions", "passes"),
    [
        (PostConditionMode.ALLOW, (), True),
        (PostConditionMode.DENY, (on_sbtc(Comparison.EQUAL, 250),), True),
        (PostConditionMode.DENY, (on_sbtc(Comparison.LESS_OR_EQUAL, 250, None),), True),
        (PostConditionMode.ORIGINATOR, (on_sbtc(Comparison.GREATER_OR_EQUAL, 1),), True),
        (PostConditionMode.DENY, (on_sbtc(Comparison.EQUAL, 249),), False),
        (PostConditionMode.ALLOW, (on_sbtc(Comparison.GREATER, 250),), False),
        (PostConditionMode.DENY, (on_sbtc(Comparison.EQUAL, 250, name="sbtc-token-locked"),), False),
        (PostConditionMode.DENY, (on_sbtc(Comparison.EQUAL, 250, TO),), False),
        (PostConditionMode.ALLOW, (StxPostCondition(None, Comparison.EQUAL, 1),), False),
        (PostConditionMode.ALLOW, (StxPostCondition(None, Comparison.EQUAL, 0),), True),
    ],
)
def test_post_conditions_decide_as_the_chain_would(mode, conditions, passes):
    raw = call(plain(), mode=mode, conditions=conditions)
    if passes:
        assert verify_payment(raw, accepted=None, network=NETWORK, pay_to=PAY_TO).amount == 250
    else:
        assert code_of(raw) == "payment_post_conditions_abort"


def test_an_stx_transfer_takes_no_post_conditions():
    tx = replace(
        token_transfer(sender(), TO, 1_000_000), post_conditions=(StxPostCondition(None, Comparison.EQUAL, 1_000_000),)
    )
    assert code_of(sign_origin(tx, PAYER).serialize()) == "payment_post_conditions_abort"


def test_quotes_bind_price_and_asset():
    raw = stx_payment(1_000_000).serialize()
    assert code_of(raw, accepted=None) == "quote_invalid"
    assert code_of(raw, accepted={"extra": {"quote": 7}}) == "quote_invalid"
    assert code_of(raw, read_quote=lambda _: Terms(asset="USDCx")) == "quote_invalid"
    assert code_of(raw, read_quote=None) == "asset_not_offered"
    assert code_of(stx_payment(999_999).serialize()) == "payment_amount_insufficient"
    with pytest.raises(SatboxError) as caught:
        verify_payment(
            stx_payment(999_999).serialize(), accepted=QUOTED, network=NETWORK, pay_to=PAY_TO, read_quote=read_quote
        )
    assert (caught.value.details["required"], caught.value.details["paid"]) == ("1000000", "999999")


def test_an_origin_fee_in_a_sponsored_payment_is_refused():
    offered = replace(sender(sponsored=True), fee=5)
    tx = sign_origin(sip010_transfer(offered, SBTC, TO, 250), PAYER)
    assert code_of(tx.serialize()) == "payment_malformed"


def test_transactions_of_stacks_js_are_read_the_same():
    for vector in json.loads(VECTORS.read_text()):
        network = Network(vector["network"])
        raw = bytes.fromhex(vector["origin_signed_hex"])
        if vector["kind"] == "usdcx" and network is Network.TESTNET:
            assert code_of(raw, network=network, pay_to=vector["recipient"]) == "payment_wrong_asset"
            continue
        payment = verify_payment(
            raw, accepted=QUOTED, network=network, pay_to=vector["recipient"],
            read_quote=lambda _, kind=vector["kind"]: Terms(
                asset={"stx": "STX", "usdcx": "USDCx"}[kind], atomic_amount=1, usat=1_000_000
            ),
        )  # fmt: skip
        assert (payment.origin, payment.nonce) == (vector["origin"], int(vector["nonce"]))
        assert payment.amount == int(vector["amount"])
        if not vector["sponsored"]:
            assert payment.txid == vector["txid"]


BASES = [sbtc_payment(memo="x402:abc").serialize(), stx_payment().serialize(), sbtc_payment(sponsored=True).serialize()]


@settings(max_examples=300, deadline=None)
@given(base=st.sampled_from(BASES), position=st.integers(0, 10**6), flip=st.integers(1, 255))
def test_no_changed_byte_passes_as_another_payment(base, position, flip):
    mutated = bytearray(base)
    mutated[position % len(base)] ^= flip
    original = verify_payment(base, accepted=QUOTED, network=NETWORK, pay_to=PAY_TO, read_quote=read_quote)
    try:
        payment = verify_payment(bytes(mutated), accepted=QUOTED, network=NETWORK, pay_to=PAY_TO, read_quote=read_quote)
    except SatboxError as error:
        assert error.funds_moved is False  # noqa: PT017 - either refused, or the same payment
        return
    assert payment == original  # only what stands in an empty sponsor slot may differ


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=400))
def test_any_bytes_are_refused_by_name(raw):
    with pytest.raises(SatboxError):
        decode_payment(raw, NETWORK)


def test_builders_make_canonical_bytes():
    assert decode_transaction(BASES[0]).serialize() == BASES[0]
