import contextlib
import subprocess
import sys
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stacks.c32 import Address, Principal
from stacks.clarity import (
    DEPTH_MAX,
    ClarityValue,
    deserialize,
    serialize,
    to_text,
)
from stacks.errors import (
    AddressError,
    ClarityError,
    DecodeError,
    HighSSignature,
    KeyFormatError,
    MalformedSignature,
    SignatureError,
    StacksError,
    UnsupportedMultisig,
    UnsupportedPayload,
    WrongSigner,
)
from stacks.keys import PrivateKey, recover_rsv, recover_vrs
from stacks.network import Network, UnknownNetwork
from stacks.payloads import padded_memo
from stacks.signing import (
    Sender,
    origin_identity_bytes,
    sign_origin,
    sign_sponsor,
    token_transfer,
    verify_origin,
    verify_sponsor,
)
from stacks.spending import AuthField, HashMode, MultiSig, SingleSig
from stacks.transaction import (
    TRANSACTION_BYTES_MAX,
    AnyTransaction,
    Transaction,
    decode_any_transaction,
    decode_transaction,
)
from tests.stacks.stacks_strategies import addresses, any_transactions, transactions, values
from tests.stacks.stacks_vectors import load

ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
KEY = PrivateKey(bytes.fromhex("edf9aee84d9b7abc145504dde6726c64f369d37ee34ded868fabd876c26570bc"))
OTHER = PrivateKey(bytes.fromhex("753b7cc01a1a2e86221266a154af739463fce51219d97e4f856cd7200c3bd2a6"))


@given(values)
def test_a_value_has_one_encoding_and_reads_back(value: ClarityValue) -> None:
    data = serialize(value)

    assert deserialize(data) == value
    assert serialize(deserialize(data)) == data
    assert to_text(value)


@given(addresses)
def test_an_address_reads_back(address: Address) -> None:
    assert Address.parse(str(address)) == address
    assert address.to_network(Network.MAINNET).hash160 == address.hash160


@given(addresses, st.integers(0, 40), st.characters(min_codepoint=33, max_codepoint=126))
def test_changed_text_is_no_address(address: Address, position: int, letter: str) -> None:
    text = str(address)
    position %= len(text)
    changed = text[:position] + letter + text[position + 1 :]
    if changed != text:
        with pytest.raises(AddressError):
            Address.parse(changed)


@given(transactions)
def test_a_payment_reads_back(tx: Transaction) -> None:
    assert decode_transaction(tx.serialize()) == tx


@given(any_transactions)
def test_a_transaction_of_any_kind_reads_back(tx: AnyTransaction) -> None:
    assert decode_any_transaction(tx.serialize()) == tx


@given(st.binary(max_size=400))
def test_noise_is_refused_by_name(data: bytes) -> None:
    for read in (deserialize, decode_transaction):
        with contextlib.suppress(StacksError):
            read(data)


@given(st.text(max_size=60))
def test_noise_is_no_principal(text: str) -> None:
    with contextlib.suppress(AddressError):
        assert str(Principal.parse(text)) == text


VECTORS = [str(v.get("sponsored_hex") or v["origin_signed_hex"]) for v in load("stacks_transactions")]


def _proven(raw: bytes) -> Transaction:
    tx = decode_transaction(raw)
    verify_origin(tx)
    if tx.is_sponsored:
        verify_sponsor(tx)
    return tx


@given(st.sampled_from(VECTORS), st.integers(0, 10_000), st.integers(1, 255))
def test_a_changed_byte_never_verifies(vector: str, position: int, change: int) -> None:
    raw = bytearray(bytes.fromhex(vector))
    raw[position % len(raw)] ^= change
    with pytest.raises(StacksError):
        _proven(bytes(raw))


@given(st.sampled_from(VECTORS), st.integers(0, 10_000))
def test_cut_or_trailing_bytes_are_refused(vector: str, length: int) -> None:
    raw = bytes.fromhex(vector)
    with pytest.raises(StacksError):
        decode_transaction(raw[: length % len(raw)])
    with pytest.raises(DecodeError):
        decode_transaction(raw + b"\0")


@given(st.binary(min_size=32, max_size=32), st.binary(min_size=32, max_size=32).filter(any))
def test_signatures_recover_and_their_high_s_twins_do_not(digest: bytes, secret: bytes) -> None:
    try:
        key = PrivateKey(secret)
    except KeyFormatError:
        return
    rsv = key.sign_rsv(digest)
    twin = rsv[:32] + (ORDER - int.from_bytes(rsv[32:64], "big")).to_bytes(32, "big") + bytes([rsv[64] ^ 1])

    assert recover_rsv(digest, rsv) == recover_rsv(digest, "0x" + rsv.hex()) == key.public_key
    assert recover_rsv(digest, rsv[:64] + bytes([rsv[64] + 27])) == key.public_key
    assert recover_vrs(digest, key.sign_vrs(digest)) == key.public_key
    with pytest.raises(HighSSignature):
        recover_rsv(digest, twin)


@pytest.mark.parametrize("signature", ["", "zz" * 65, "00" * 64, "00" * 66, b"", bytes(64)])
def test_malformed_signatures(signature: bytes | str) -> None:
    with pytest.raises(MalformedSignature) as caught:
        recover_rsv(bytes(32), signature)
    assert caught.value.code == "malformed"


def test_recovery_byte_is_strict_in_transactions() -> None:
    signature = KEY.sign_vrs(bytes(32))
    with pytest.raises(MalformedSignature):
        recover_vrs(bytes(32), bytes([signature[0] + 27]) + signature[1:])
    with pytest.raises(SignatureError):
        recover_rsv(bytes(32), bytes(65))


def _transfer(*, sponsored: bool = False) -> Transaction:
    sender = Sender(KEY.public_key, Network.TESTNET, 7, 0 if sponsored else 300, sponsored)
    return token_transfer(sender, OTHER.address(Network.TESTNET), 1000, "x402:test")


def test_only_the_origin_can_sign_as_origin() -> None:
    with pytest.raises(WrongSigner):
        sign_origin(_transfer(), OTHER)
    with pytest.raises(SignatureError):
        verify_origin(_transfer())


def test_a_standard_transaction_has_no_sponsor() -> None:
    with pytest.raises(WrongSigner):
        sign_sponsor(_transfer(), OTHER, 1, 1)
    with pytest.raises(WrongSigner):
        verify_sponsor(_transfer())


def test_one_payment_keeps_its_identity_under_two_sponsors() -> None:
    tx = sign_origin(_transfer(sponsored=True), KEY)
    first, second = sign_sponsor(tx, OTHER, 500, 3), sign_sponsor(tx, OTHER, 500, 4)

    assert first.txid() != second.txid()
    assert origin_identity_bytes(first) == origin_identity_bytes(second) == origin_identity_bytes(tx)
    assert verify_sponsor(first) == OTHER.address(Network.TESTNET)


def test_a_sponsor_cannot_be_moved_to_another_fee() -> None:
    tx = sign_sponsor(sign_origin(_transfer(sponsored=True), KEY), OTHER, 500, 3)
    assert isinstance(tx.sponsor, SingleSig)
    with pytest.raises(SignatureError):
        verify_sponsor(replace(tx, sponsor=replace(tx.sponsor, fee=501)))


def test_uncompressed_and_segwit_signers_verify() -> None:
    plain = PrivateKey(KEY.secret, compressed=False)
    sender = Sender(plain.public_key, Network.MAINNET, 0, 300)
    tx = sign_origin(token_transfer(sender, OTHER.address(Network.MAINNET), 5), plain)
    assert verify_origin(decode_transaction(tx.serialize())) == plain.address(Network.MAINNET)

    base = _transfer()
    assert isinstance(base.origin, SingleSig)
    script = replace(base.origin, hash_mode=HashMode.P2WPKH_P2SH)
    script = replace(script, signer=script.signer_of(KEY.public_key))
    segwit = sign_origin(replace(base, origin=script), KEY)
    assert str(verify_origin(decode_transaction(segwit.serialize()))).startswith("SN")


def test_multi_signature_is_refused_by_name() -> None:
    condition = MultiSig(1, bytes(20), 0, 300, (AuthField(2, bytes(65)),), 2)
    tx = decode_transaction(replace(_transfer(), origin=condition).serialize())

    assert tx.origin == condition
    assert str(tx.origin_address).startswith("SN")
    with pytest.raises(UnsupportedMultisig):
        verify_origin(tx)
    with pytest.raises(UnsupportedMultisig):
        sign_origin(tx, KEY)


@pytest.mark.parametrize("kind", [1, 3, 4, 5, 6, 7, 8, 255])
def test_other_payloads_are_refused_by_name(kind: int) -> None:
    raw = bytearray(_transfer().serialize())
    raw[-(1 + 22 + 8 + 34)] = kind
    with pytest.raises(UnsupportedPayload) as caught:
        decode_transaction(bytes(raw))
    assert caught.value.kind == kind


def test_limits() -> None:
    with pytest.raises(DecodeError):
        decode_transaction(bytes(TRANSACTION_BYTES_MAX + 1))
    with pytest.raises(ClarityError):
        deserialize(b"\x0a" * DEPTH_MAX + b"\x03")
    assert deserialize(b"\x0a" * (DEPTH_MAX - 1) + b"\x03")
    with pytest.raises(DecodeError):
        padded_memo("x" * 35)


@pytest.mark.parametrize(
    "data",
    [
        "",
        "0f",
        "0b00000001",
        "0c00000002016203016103",  # keys out of order
        "0c00000002016103016103",  # the same key twice
        "0c0000000103610a6203",  # a line feed in a key
        "0d0000000180",
        "0e00000001ff",
        "0300",
        "0517" + "00" * 20,  # a version nobody has
    ],
)
def test_values_that_are_not_canonical(data: str) -> None:
    with pytest.raises(ClarityError):
        deserialize(bytes.fromhex(data))


def test_secrets_stay_out_of_repr() -> None:
    assert KEY.secret.hex() not in repr(KEY)
    assert "edf9" not in repr(KEY)


@pytest.mark.parametrize("text", ["", "00" * 32, "ff" * 32, "11" * 33, "11" * 31, "zz" * 32])
def test_bad_private_keys(text: str) -> None:
    with pytest.raises(KeyFormatError):
        PrivateKey.from_hex(text)


def test_networks() -> None:
    assert Network.from_caip2("stacks:2147483648") is Network.TESTNET
    assert Network.from_chain_id(1) is Network.MAINNET
    with pytest.raises(UnknownNetwork):
        Network.from_caip2("stacks:2")


def test_import_is_light() -> None:
    """Command lines import this: nothing slow may come along."""
    heavy = ["aiohttp", "pydantic", "ray", "bitcoinlib", "Crypto", "asyncio"]
    code = f"import sys, stacks.signing, stacks.sip018, stacks.message; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "[]"
