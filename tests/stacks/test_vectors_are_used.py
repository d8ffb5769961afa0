"""No vector lies unused: every case of every file goes through the public reports, and the cases are counted."""

import base64
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from gate.genesis.bitcoin import parse_bitcoin_address, verify_bitcoin
from operations.errors import SatboxError
from stacks.clarity import serialize
from stacks.verification import (
    address_report,
    bitcoin_report,
    clarity_report,
    message_report,
    sip018_report,
    transaction_report,
)
from tests.stacks.stacks_vectors import load, parse_clarity

COUNTS = {
    "stacks_transactions": 48, "stacks_addresses": 8, "stacks_messages": 8, "sip018": 8, "bitcoin_messages": 8,
    "bitcoin_messages_loose_headers": 6,
}  # fmt: skip


def _flipped(text: str) -> str:
    """Hex with one bit changed, in the middle."""
    raw = bytearray(bytes.fromhex(text))
    raw[len(raw) // 2] ^= 1
    return raw.hex()


def _transaction(case: dict[str, Any]) -> int:
    numbers = {"amount", "nonce", "fee", "sponsor_fee", "sponsor_nonce"}  # decimal text in the file
    vector = {name: int(value) if name in numbers else value for name, value in case.items()}
    used = 0
    for name, txid in (("origin_signed_hex", "origin_signed_txid"), ("sponsored_hex", "txid")):
        if name not in vector:
            continue
        used += 1
        for text in (vector[name], "0x" + vector[name]):
            report = transaction_report(text)
            assert report["valid"]
            assert report["txid"] == vector[txid]
        assert report["network"] == vector["network"]
        assert report["auth"] == ("sponsored" if vector["sponsored"] else "standard")
        origin = report["origin"]
        assert (origin["address"], origin["nonce"], origin["signature_valid"]) == (
            vector["origin"],
            vector["nonce"],
            True,
        )
        assert origin["fee"] == (0 if vector["sponsored"] else vector["fee"])
        assert report["post_condition_mode"] == {1: "allow", 2: "deny"}[vector["post_condition_mode"]]
        _payload(report, vector)
        if name == "sponsored_hex":
            sponsor = report["sponsor"]
            assert (sponsor["address"], sponsor["nonce"]) == (vector["sponsor"], vector["sponsor_nonce"])
            assert (sponsor["fee"], sponsor["signature_valid"]) == (vector["sponsor_fee"], True)
        elif vector["sponsored"]:
            assert report["sponsor"]["signature_error"] == "unsigned"
        else:
            assert report["sponsor"] is None
    return used


def _payload(report: dict[str, Any], vector: dict[str, Any]) -> None:
    payload = report["payload"]
    if vector["kind"] == "stx":
        assert payload["kind"] == "token_transfer"
        assert (payload["recipient"], payload["amount"], payload["memo"]) == (
            vector["recipient"], vector["amount"], vector["memo"],
        )  # fmt: skip
        return
    assert (payload["kind"], payload["function"]) == ("contract_call", "transfer")
    told = [argument["clarity"] for argument in payload["args"]]
    memo = f"(some 0x{vector['memo'].encode().hex()})" if vector["memo"] else "none"
    assert told == [f"u{vector['amount']}", vector["origin"], vector["recipient"], memo]
    for argument in payload["args"]:
        assert clarity_report(argument["hex"])["clarity"] == argument["clarity"]
    if vector["post_condition_mode"] == 2:
        (condition,) = report["post_conditions"]
        assert (condition["kind"], condition["condition"], condition["amount"]) == (
            "fungible",
            "equal",
            vector["amount"],
        )


def _address(vector: dict[str, Any]) -> int:
    report = address_report(vector["mainnet"])
    assert (report["mainnet"], report["testnet"]) == (vector["mainnet"], vector["testnet"])
    assert report["hash160"] == vector["hash160"]
    assert address_report(vector["testnet"])["network"] == "testnet"
    assert address_report(vector["mainnet_uncompressed"])["type"] == "single_sig"
    return 1


def _message(vector: dict[str, Any]) -> int:
    told = message_report(vector["message"], vector["signature_rsv"], vector["address"])
    assert (told["valid"], told["hash"], told["address"]) == (True, vector["hash"], vector["address"])
    assert message_report(vector["message"], "0x" + vector["signature_rsv"])["valid"]
    assert not message_report(vector["message"], _flipped(vector["signature_rsv"]), vector["address"])["valid"]
    return 1


def _structured(vector: dict[str, Any]) -> int:
    domain, message = vector["domain_clarity_hex"], vector["message_clarity_hex"]
    told = sip018_report(domain, "0x" + message, vector["signature_rsv"], vector["address"])
    assert told["valid"]
    assert (told["address"], told["hash"]) == (vector["address"], vector["signed_hash"])
    assert told["public_key"] == vector["public_key"]
    assert clarity_report(message)["hex"] == serialize(parse_clarity(vector["message_pretty"])).hex()
    assert not sip018_report(domain, message, _flipped(vector["signature_rsv"]), vector["address"])["valid"]
    return 1


def _bitcoin(vector: dict[str, Any]) -> int:
    used = 0
    for scheme in ("bip137", "bip322"):
        for kind, signature in vector[scheme].items():
            used += 1
            told = bitcoin_report(vector["addresses"][kind], vector["message"], signature)
            assert (told["valid"], told["scheme"], told["address_type"]) == (True, scheme, kind)
            raw = bytearray(base64.b64decode(signature))
            raw[len(raw) // 2] ^= 1
            changed = base64.b64encode(raw).decode()
            assert not bitcoin_report(vector["addresses"][kind], vector["message"], changed)["valid"]
    return used


def _loose(vector: dict[str, Any]) -> int:
    """Every header that a wallet may write for a compressed key, with every address type of that key."""
    used = 0
    signatures = {vector["compressed_p2pkh_header"], *vector["strict"].values()}
    for kind, address in vector["addresses"].items():
        for signature in signatures:
            used += 1
            told = bitcoin_report(address, vector["message"], signature)
            assert (told["valid"], told["scheme"]) == (True, "bip137"), (kind, signature)
            assert verify_bitcoin(parse_bitcoin_address(address, None), vector["message"], signature) == "bip137"
            with pytest.raises(SatboxError):
                verify_bitcoin(parse_bitcoin_address(address, None), vector["message"] + ".", signature)
    return used


USES = {
    "stacks_transactions": (_transaction, 48 + 24),
    "stacks_addresses": (_address, 8),
    "stacks_messages": (_message, 8),
    "sip018": (_structured, 8),
    "bitcoin_messages": (_bitcoin, 8 * 6),
    "bitcoin_messages_loose_headers": (_loose, 6 * 3 * 3),
}


@pytest.mark.parametrize("name", USES)
def test_every_case_is_used(name: str) -> None:
    use, expected = USES[name]
    cases: list[dict[str, Any]] = load(name)
    assert len(cases) == COUNTS[name]
    assert sum(use(case) for case in cases) == expected


def test_no_file_of_vectors_is_forgotten() -> None:
    found = Counter(path.stem for path in (Path(__file__).parents[1] / "vectors").glob("*.json"))
    assert set(USES) <= set(found)
