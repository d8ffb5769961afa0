"""Multi-signature conditions of every sort decode with their fields, prove themselves, and are refused as payments by name."""

from dataclasses import replace

import pytest
from hypothesis import given, settings

from operations.errors import SatboxError
from relay_client.verify import decode_payment
from stacks.authorization import MissingSignature, authorizations, multisig_signer
from stacks.c32 import Address, Principal
from stacks.describe import HASH_MODES
from stacks.errors import DecodeError, UnsupportedMultisig, WrongSigner
from stacks.keys import PrivateKey
from stacks.network import Network
from stacks.payloads import TokenTransfer
from stacks.postconditions import PostConditionMode
from stacks.sighash import ORIGIN_FLAG, cleared_hash, post_sign, pre_sign
from stacks.signing import verify_origin
from stacks.spending import AuthField, MultiSig
from stacks.transaction import AnchorMode, Transaction, decode_transaction
from stacks.verification import transaction_report
from tests.stacks.stacks_signed import Signed, signed_transactions

KEYS = [PrivateKey(bytes([number]) * 32) for number in (1, 2, 3)]
PAYLOAD = TokenTransfer(Principal(KEYS[0].address(Network.TESTNET)), 1_000, bytes(34))


def _unsigned(mode: int, required: int) -> Transaction:
    signer = multisig_signer(tuple(key.public_key for key in KEYS), required, is_segwit=mode in (3, 7))
    origin = MultiSig(mode, signer, 5, 1_000, (), required)
    deny = PostConditionMode.DENY
    return Transaction(Network.TESTNET, origin, None, AnchorMode.ANY, deny, (), PAYLOAD)


def _signed(mode: int, required: int = 2, signers: tuple[int, ...] = (0, 2)) -> Transaction:
    tx = _unsigned(mode, required)
    assert isinstance(tx.origin, MultiSig)
    current, fields = cleared_hash(tx), []
    for index, key in enumerate(KEYS):
        if index not in signers:
            fields.append(AuthField(0, key.public_key.data))
            continue
        digest = pre_sign(current, ORIGIN_FLAG, tx.origin)
        fields.append(AuthField(2, key.sign_vrs(digest)))
        if tx.origin.is_sequential:
            current = post_sign(digest, 0, fields[-1].data)
    return replace(tx, origin=replace(tx.origin, fields=tuple(fields)))


@pytest.mark.parametrize("mode", [1, 3, 5, 7])
def test_each_sort_decodes_proves_itself_and_is_no_payment(mode: int) -> None:
    raw = _signed(mode).serialize()
    report = transaction_report(raw.hex())

    assert report["valid"]
    origin = report["origin"]
    assert (origin["hash_mode"], origin["signatures_required"]) == (HASH_MODES[mode], 2)
    assert [field["kind"] for field in origin["fields"]] == ["signature", "public_key", "signature"]
    assert origin["public_keys"] == [key.public_key.data.hex() for key in KEYS]
    assert Address.parse(origin["address"]).version == Network.TESTNET.multi_sig_version
    with pytest.raises(SatboxError) as refused:
        decode_payment(raw, Network.TESTNET)
    assert (refused.value.code, refused.value.funds_moved) == ("payment_multisig_unsupported", False)
    with pytest.raises(UnsupportedMultisig):
        verify_origin(decode_transaction(raw))


@pytest.mark.parametrize("mode", [1, 3, 5, 7])
def test_too_few_signatures_and_other_keys_are_told_apart(mode: int) -> None:
    short = authorizations(_signed(mode, 2, (0,)))[0]
    assert isinstance(short.error, MissingSignature)
    whole = _signed(mode)
    assert isinstance(whole.origin, MultiSig)
    swapped = replace(whole.origin, fields=(whole.origin.fields[1], whole.origin.fields[0], whole.origin.fields[2]))
    assert isinstance(authorizations(replace(whole, origin=swapped))[0].error, WrongSigner)


@pytest.mark.parametrize(("mode", "is_valid"), [(1, False), (3, False), (5, True), (7, True)])
def test_more_signatures_than_asked_for(mode: int, is_valid: bool) -> None:
    """SIP-005 wants exactly as many; the order-independent modes of SIP-027 at least as many."""
    assert authorizations(_signed(mode, 2, (0, 1, 2)))[0].is_valid == is_valid


@pytest.mark.parametrize("mode", [3, 7])
def test_segwit_scripts_have_no_uncompressed_keys(mode: int) -> None:
    raw = bytearray(_signed(mode).serialize())
    at = 1 + 4 + 1 + 1 + 20 + 8 + 8 + 4
    assert raw[at] == 2
    raw[at] = 3
    with pytest.raises(DecodeError):
        decode_transaction(bytes(raw))


@settings(deadline=None, max_examples=60)
@given(signed_transactions())
def test_no_multi_signature_is_ever_taken_as_a_payment(made: Signed) -> None:
    if not isinstance(made.tx.origin, MultiSig):
        return
    with pytest.raises(SatboxError) as refused:
        decode_payment(made.tx.serialize(), made.tx.network)
    assert refused.value.code in ("payment_multisig_unsupported", "payment_payload_unsupported", "payment_malformed")
