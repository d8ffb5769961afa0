"""Bitcoin messages by our light verifier, against the vectors and against the libraries the gate proves pairs with."""

import base64
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gate.genesis.bitcoin import parse_bitcoin_address as parse_by_library
from gate.genesis.bitcoin import verify_bitcoin as verify_by_library
from operations.errors import SatboxError
from stacks.bitcoin import bip137_hash, parse_bitcoin_address, verify_bitcoin_message
from stacks.errors import AddressError, HighSSignature, SignatureError
from stacks.keys import HALF_ORDER, PrivateKey, recover_rsv
from tests.stacks.stacks_vectors import load

VECTORS: list[dict[str, Any]] = load("bitcoin_messages")
SIGNED = [(v, kind, scheme) for v in VECTORS for scheme in ("bip137", "bip322") for kind in v[scheme]]
OFFICIAL = [  # bip-0322/basic-test-vectors.json
    ("bc1q9vza2e8x573nczrlzms0wvx3gsqjx7vavgkx0l", "",
     "AkcwRAIgM2gBAQqvZX15ZiysmKmQpDrG83avLIT492QBzLnQIxYCIBaTpOaD20qRlEylyxFSeEA2ba9YOixpX8z46TSDtS40ASECx/EgAxlkQpQ9"
     "hYjgGu6EBCPMVPwVIVJqO4XCsMvViHI="),
    ("bc1q9vza2e8x573nczrlzms0wvx3gsqjx7vavgkx0l", "Hello World",
     "AkcwRAIgZRfIY3p7/DoVTty6YZbWS71bc5Vct9p9Fia83eRmw2QCICK/ENGfwLtptFluMGs2KsqoNSk89pO7F29zJLUx9a/sASECx/EgAxlkQpQ9"
     "hYjgGu6EBCPMVPwVIVJqO4XCsMvViHI="),
    ("bc1pss0zhytly75awhm6x2hhvd5lnzv3vssgrf9axfheq8ldyzn88ges79fler", "No prefix fallback",
     "AUCJYOwOjxYAvatTAGYaVlNXBVyFuc4MwNQkOuK2tl8xhfKDONd0NjfYyNSYcRqeCp8hsAnCEPHAVEkO9h6vbQ/R"),
]  # fmt: skip


@pytest.mark.parametrize(("vector", "kind", "scheme"), SIGNED)
def test_vectors(vector: dict[str, Any], kind: str, scheme: str) -> None:
    address, signature = parse_bitcoin_address(vector["addresses"][kind]), vector[scheme][kind]

    assert address.type == kind
    assert verify_bitcoin_message(address, vector["message"], signature) == scheme
    with pytest.raises(SignatureError):
        verify_bitcoin_message(address, vector["message"] + " ", signature)
    if scheme == "bip137":
        raw = base64.b64decode(signature)
        key = recover_rsv(bip137_hash(vector["message"]), raw[1:] + bytes([(raw[0] - 27) % 4]))
        assert key == PrivateKey.from_hex(vector["private_key"][:64]).public_key


@pytest.mark.parametrize(("address", "message", "signature"), OFFICIAL)
def test_official_vectors(address: str, message: str, signature: str) -> None:
    parsed = parse_bitcoin_address(address)
    assert verify_bitcoin_message(parsed, message, signature) == "bip322"
    assert verify_bitcoin_message(parsed, message, "smp" + signature) == "bip322"
    for wrong in ("", "smpAA==", "AA==", base64.b64encode(bytes(65)).decode()):
        with pytest.raises(SignatureError):
            verify_bitcoin_message(parsed, message, wrong)


def _by_library(address: str, message: str, signature: str) -> str | None:
    try:
        return verify_by_library(parse_by_library(address, None), message, signature)
    except SatboxError:
        return None


def _by_us(address: str, message: str, signature: str) -> str | None:
    try:
        return verify_bitcoin_message(parse_bitcoin_address(address), message, signature)
    except SignatureError:
        return None


@settings(max_examples=300, deadline=None)
@given(
    st.sampled_from(SIGNED),
    st.sampled_from(["p2pkh", "p2sh_p2wpkh", "p2wpkh", "p2tr"]),
    st.integers(0, 255),
    st.booleans(),
)
def test_our_answers_are_those_of_the_libraries(
    signed: tuple[Any, str, str], kind: str, header: int, bent: bool
) -> None:
    """Every header byte with every address, and each kind's signature with every other kind's address."""
    vector, of, scheme = signed
    raw = base64.b64decode(vector[scheme][of])
    if scheme == "bip137" and bent:
        raw = bytes([header]) + raw[1:]
    signature, address = base64.b64encode(raw).decode(), vector["addresses"][kind]
    assert _by_us(address, vector["message"], signature) == _by_library(address, vector["message"], signature)


def test_high_s_is_refused_by_name() -> None:
    raw = base64.b64decode(VECTORS[0]["bip137"]["p2pkh"])
    s = 2 * HALF_ORDER + 1 - int.from_bytes(raw[33:], "big")
    twin = base64.b64encode(bytes([raw[0] ^ 1]) + raw[1:33] + s.to_bytes(32, "big")).decode()
    with pytest.raises(HighSSignature):
        verify_bitcoin_message(parse_bitcoin_address(VECTORS[0]["addresses"]["p2pkh"]), VECTORS[0]["message"], twin)


ADDRESSES = [address for vector in VECTORS for address in vector["addresses"].values()]


@given(st.sampled_from(ADDRESSES), st.integers(0, 100), st.characters(min_codepoint=33, max_codepoint=126))
def test_changed_text_is_no_address(text: str, at: int, letter: str) -> None:
    at %= len(text)
    changed = text[:at] + letter + text[at + 1 :]
    if changed != text:
        with pytest.raises(AddressError):
            parse_bitcoin_address(changed)


@pytest.mark.parametrize(
    "text",
    ["", "1", "bc1", "bc1q", "tb1p", "1" * 40, "z" * 89, "é", "bc1" + "q" * 87, "B" + ADDRESSES[1][1:],
     "bc1qrp33g0q5c5txsp9arysrx4k6zdkfs4nce4xj0gdcccefvpysxf3qccfmv3"],
)  # fmt: skip
def test_what_is_no_address_of_one_key(text: str) -> None:
    with pytest.raises(AddressError):
        parse_bitcoin_address(text)


def test_electrum_signs_for_p2sh_with_the_header_of_p2pkh() -> None:
    """A signature that Electrum made for a p2sh-p2wpkh address."""
    address, message = "3LJaPE7b7oyCRCofu2mPx3fybp4pWKE7TX", "satbox gate challenge 81cf4fc72f89a72d2fc8fc95"
    signature = "IIfmFWvAKCctzdlApnRCKxBnc0zcdvpZ58UpCDqHxrHtFYrdHGaEk3fVfqTXyltGAHOq+ujSOBBwbXCdPW5xN88="

    assert _by_us(address, message, signature) == _by_library(address, message, signature) == "bip137"
    assert _by_us(address, message + "0", signature) is None
