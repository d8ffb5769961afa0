import pytest

from stacks.c32 import Principal
from stacks.clarity import Buffer, NoneValue, Some, UInt, principal_value
from stacks.keys import PrivateKey
from stacks.network import Network
from stacks.postconditions import PostConditionMode
from stacks.signing import (
    Sender,
    contract_call,
    is_unsponsored,
    origin_identity_bytes,
    recover_origin,
    recover_sponsor,
    sign_origin,
    sign_sponsor,
    sip010_transfer,
    token_transfer,
    verify_origin,
    verify_sponsor,
)
from stacks.tokens import sbtc, usdcx
from stacks.transaction import Transaction, decode_transaction
from tests.stacks.stacks_vectors import load

VECTORS = load("stacks_transactions")
IDS = [f"{i}-{v['kind']}-{v['network']}-{'sponsored' if v['sponsored'] else 'standard'}" for i, v in enumerate(VECTORS)]
each_vector = pytest.mark.parametrize("vector", VECTORS, ids=IDS)


def built(vector: dict[str, object]) -> Transaction:
    """The transaction a vector describes, from its parameters alone."""
    network = Network(vector["network"])
    key = PrivateKey.from_hex(str(vector["origin_private_key"]))
    fee = int(str(vector["fee"]))
    sender = Sender(key.public_key, network, int(str(vector["nonce"])), fee, bool(vector["sponsored"]))
    recipient = Principal.parse(str(vector["recipient"]))
    amount, memo = int(str(vector["amount"])), str(vector["memo"])
    if vector["kind"] == "stx":
        return token_transfer(sender, recipient, amount, memo)
    token = (sbtc if vector["kind"] == "sbtc" else usdcx)(network)
    if vector["post_condition_mode"] == 2:
        return sip010_transfer(sender, token, recipient, amount, memo or None)
    arguments = (
        UInt(amount),
        principal_value(sender.principal),
        principal_value(recipient),
        Some(Buffer(memo.encode())) if memo else NoneValue(),
    )
    allow = PostConditionMode.ALLOW
    return contract_call(sender, token.contract, "transfer", arguments, post_condition_mode=allow)


@each_vector
def test_built_and_signed_bytes_are_those_of_the_reference(vector: dict[str, object]) -> None:
    signed = sign_origin(built(vector), PrivateKey.from_hex(str(vector["origin_private_key"])))

    assert signed.serialize().hex() == vector["origin_signed_hex"]
    assert signed.txid() == vector["origin_signed_txid"]


@each_vector
def test_sponsored_bytes_are_those_of_the_reference(vector: dict[str, object]) -> None:
    tx = decode_transaction(bytes.fromhex(str(vector["origin_signed_hex"])))
    assert is_unsponsored(tx) == vector["sponsored"]
    if not vector["sponsored"]:
        return
    key = PrivateKey.from_hex(str(vector["sponsor_private_key"]))
    sponsored = sign_sponsor(tx, key, int(str(vector["sponsor_fee"])), int(str(vector["sponsor_nonce"])))

    assert sponsored.serialize().hex() == vector["sponsored_hex"]
    assert sponsored.txid() == vector["txid"]
    assert origin_identity_bytes(sponsored) == origin_identity_bytes(tx)
    assert not is_unsponsored(sponsored)


@each_vector
def test_decoded_bytes_round_trip_and_prove_their_signers(vector: dict[str, object]) -> None:
    raw = bytes.fromhex(str(vector.get("sponsored_hex") or vector["origin_signed_hex"]))
    tx = decode_transaction(raw)

    assert tx.serialize() == raw
    assert tx.txid() == vector["txid"]
    assert str(verify_origin(tx)) == vector["origin"]
    assert recover_origin(tx) == PrivateKey.from_hex(str(vector["origin_private_key"])).public_key
    if vector["sponsored"]:
        assert str(verify_sponsor(tx)) == vector["sponsor"]
        assert recover_sponsor(tx) == PrivateKey.from_hex(str(vector["sponsor_private_key"])).public_key
