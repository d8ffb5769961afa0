"""`satbox stacks ...` and `satbox hash ...`: one JSON object, exit codes 0, 1 and 2, values as arguments and from stdin."""

import io
import json
import subprocess
import sys
from dataclasses import dataclass
from typing import Any

import pytest

from satbox.cli.books.verifying import READERS
from satbox.cli.main import outcome
from stacks.clarity import StringAscii, Tuple, UInt, serialize
from stacks.keys import PrivateKey
from stacks.sip018 import sign_structured
from stacks.verification import CLARITY_BYTES_MAX, HASH_BYTES_MAX
from tests.stacks.stacks_vectors import load

TRANSACTIONS: list[dict[str, Any]] = load("stacks_transactions")
SPONSORED = next(v for v in TRANSACTIONS if v["sponsored"] and v["kind"] == "stx")
TOKEN = next(v for v in TRANSACTIONS if v["kind"] == "sbtc" and v["post_condition_mode"] == 2 and not v["sponsored"])
MESSAGE: dict[str, Any] = load("stacks_messages")[0]
STRUCTURED: dict[str, Any] = load("sip018")[1]
BITCOIN: dict[str, Any] = load("bitcoin_messages")[0]
HEAVY = ("ray", "aiohttp", "pydantic", "bitcoinlib", "asyncio", "mcp", "rich", "cryptography", "operations.models")


@dataclass(frozen=True)
class Ran:
    code: int
    stdout: str
    stderr: str

    @property
    def document(self) -> dict[str, Any]:
        assert self.stderr == ""
        (line,) = self.stdout.splitlines()
        document = json.loads(line)
        assert document["valid"] == (self.code == 0)
        return document

    @property
    def complaint(self) -> str:
        """What unusable input is told, on stderr."""
        assert (self.code, self.stdout) == (2, "")
        error = json.loads(self.stderr)["error"]
        assert error["code"] == "invalid_request"
        return str(error["message"])


class Run:
    def __init__(self, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
        self._capsys = capsys
        self._monkeypatch = monkeypatch

    def __call__(self, *words: str, stdin: bytes = b"") -> Ran:
        self._monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin)))
        code = outcome(list(words))
        told = self._capsys.readouterr()
        return Ran(code, told.out, told.err)


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    return Run(capsys, monkeypatch)


def _flipped(text: str, at: int = -1) -> str:
    raw = bytearray(bytes.fromhex(text))
    raw[at] ^= 1
    return raw.hex()


# decode-tx


@pytest.mark.parametrize("vector", TRANSACTIONS)
def test_decode_tx(run: Run, vector: dict[str, Any]) -> None:
    text = vector.get("sponsored_hex") or vector["origin_signed_hex"]
    document = run("stacks", "decode-tx", text).document

    assert document["txid"] == vector["txid"]
    assert document["origin"]["signature_valid"]
    assert (document["sponsor"] is None) == (not vector["sponsored"])
    assert run("stacks", "decode-tx", "-", stdin=f"  0x{text}\n".encode()).document == document


def test_decode_tx_tells_at_least_this(run: Run) -> None:
    document = run("stacks", "decode-tx", TOKEN["origin_signed_hex"]).document
    names = {"txid", "network", "auth", "origin", "sponsor", "post_condition_mode", "post_conditions", "payload"}
    assert names <= set(document)
    assert {"address", "nonce", "fee", "signature_valid"} <= set(document["origin"])
    payload = document["payload"]
    assert payload["contract"].endswith(".sbtc-token")
    assert payload["args"][0] == {
        "clarity": f"u{TOKEN['amount']}", "hex": serialize(UInt(int(TOKEN["amount"]))).hex(),
    }  # fmt: skip


def test_a_sponsored_transaction_may_wait_for_its_sponsor(run: Run) -> None:
    document = run("stacks", "decode-tx", SPONSORED["origin_signed_hex"]).document
    assert (document["origin"]["signature_valid"], document["sponsor"]["signature_valid"]) == (True, False)
    assert document["sponsor"]["signature_error"] == "unsigned"


def test_decode_tx_with_a_signature_of_nobody_exits_1(run: Run) -> None:
    changed = _flipped(SPONSORED["sponsored_hex"])
    document = run("stacks", "decode-tx", changed).document
    assert not document["valid"]
    assert not document["origin"]["signature_valid"]


@pytest.mark.parametrize("text", ["deadbeef", "00", SPONSORED["sponsored_hex"] + "00", SPONSORED["sponsored_hex"][:-2]])
def test_bytes_that_are_no_transaction_exit_1(run: Run, text: str) -> None:
    ran = run("stacks", "decode-tx", text)
    assert (ran.code, ran.document["error"]["code"]) == (1, "undecodable_transaction")


def test_a_payload_that_does_not_exist_exits_1_by_name(run: Run) -> None:
    raw = bytearray.fromhex(SPONSORED["sponsored_hex"])
    raw[-(1 + 22 + 8 + 34)] = 0x2A
    assert run("stacks", "decode-tx", raw.hex()).document["error"]["code"] == "unsupported_payload"


# decode-clarity, address


def test_decode_clarity(run: Run) -> None:
    text = serialize(Tuple.of({"amount": UInt(2**100), "to": StringAscii("x")})).hex()
    document = run("stacks", "decode-clarity", "0x" + text).document
    assert (document["type"], document["clarity"]) == ("tuple", f'(tuple (amount u{2**100}) (to "x"))')
    assert document["value"]["amount"] == {"type": "uint", "value": 2**100}
    assert run("stacks", "decode-clarity", "-", stdin=text.encode()).document["hex"] == text
    assert run("stacks", "decode-clarity", "0a" * 40 + "03").code == 1
    assert run("stacks", "decode-clarity", "0f").document["error"]["code"] == "invalid_clarity"


def test_address(run: Run) -> None:
    document = run("stacks", "address", "SP000000000000000000002Q6VF78.pox-4").document
    assert (document["network"], document["type"], document["hash160"]) == ("mainnet", "single_sig", "00" * 20)
    assert document["testnet"] == "ST000000000000000000002AMW42H.pox-4"
    assert run("stacks", "address", "-", stdin=b"SM0000000000000000000062QV6X\n").document["type"] == "multi_sig"
    for wrong in (
        "SP000000000000000000002Q6VF79",
        "sp000000000000000000002q6vf78",
        "bc1q",
        "SP000000000000000000002Q6VF78.",
    ):
        assert run("stacks", "address", wrong).document["error"]["code"] == "invalid_address"


# signatures


def _sip018(run: Run, *more: str, **changed: str) -> Ran:
    given = {
        "domain": STRUCTURED["domain_clarity_hex"],
        "message": STRUCTURED["message_clarity_hex"],
        "signature": STRUCTURED["signature_rsv"],
    } | changed
    words = ("--domain-hex", given["domain"], "--message-hex", given["message"], "--signature", given["signature"])
    return run("stacks", "verify-sip018", *words, *more)


def test_verify_sip018(run: Run) -> None:
    document = _sip018(run, "--address", STRUCTURED["address"]).document
    assert document == {
        "valid": True, "address": STRUCTURED["address"], "public_key": STRUCTURED["public_key"],
        "hash": STRUCTURED["signed_hash"], "error": None,
    }  # fmt: skip
    assert _sip018(run, domain="0x" + STRUCTURED["domain_clarity_hex"]).document == document
    assert run(
        "stacks", "verify-sip018", "--domain-hex", "-", "--message-hex", STRUCTURED["message_clarity_hex"],
        "--signature", STRUCTURED["signature_rsv"], stdin=STRUCTURED["domain_clarity_hex"].encode(),
    ).document == document  # fmt: skip


def test_verify_sip018_of_another_signer_exits_1(run: Run) -> None:
    other = load("sip018")[0]["address"]
    ran = _sip018(run, "--address", other)
    assert (ran.code, ran.document["error"]["code"], ran.document["address"]) == (
        1,
        "wrong_signer",
        STRUCTURED["address"],
    )
    assert (
        _sip018(run, "--address", STRUCTURED["address"], signature=_flipped(STRUCTURED["signature_rsv"], 3)).code == 1
    )
    assert _sip018(run, signature="00" * 65).document["error"]["code"] == "unrecoverable"
    assert _sip018(run, signature="00" * 64).document["error"]["code"] == "malformed"
    assert _sip018(run, message="0f").document["error"]["code"] == "invalid_clarity"
    assert _sip018(run, domain="03").document["error"]["code"] == "invalid_clarity"


def test_verify_sip018_by_network(run: Run) -> None:
    """The domain's chain-id says whose address is told; --network says otherwise."""
    elsewhere = "mainnet" if STRUCTURED["address"].startswith("ST") else "testnet"
    document = _sip018(run, "--network", elsewhere).document
    assert document["valid"]
    assert document["address"][2:10] == STRUCTURED["address"][2:10]
    assert document["address"] != STRUCTURED["address"]
    refused = _sip018(run, "--network", elsewhere, "--address", STRUCTURED["address"])
    assert (refused.code, refused.document["error"]["code"]) == (1, "wrong_network")


def test_verify_sip018_of_an_unknown_chain_needs_a_network(run: Run) -> None:
    about = Tuple.of({"name": StringAscii("x"), "version": StringAscii("1"), "chain-id": UInt(7)})
    key = PrivateKey(b"\x07" * 32)
    words = [
        "stacks", "verify-sip018", "--domain-hex", serialize(about).hex(), "--message-hex", "03",
        "--signature", sign_structured(key, about, UInt(1)).hex(),
    ]  # fmt: skip
    assert "network" in run(*words).complaint
    assert run(*words, "--network", "testnet").code == 0


def test_verify_message(run: Run) -> None:
    words = ("stacks", "verify-message", "--message", MESSAGE["message"], "--signature")
    document = run(*words, MESSAGE["signature_rsv"], "--address", MESSAGE["address"]).document
    assert (document["valid"], document["hash"]) == (True, MESSAGE["hash"])
    assert run(*words, "0x" + MESSAGE["signature_rsv"]).document["address"] == MESSAGE["address"]
    assert run(*words, MESSAGE["signature_rsv"], "--network", "testnet").document["address"].startswith("ST")
    exact = ("stacks", "verify-message", "--message", "-", "--signature", MESSAGE["signature_rsv"], "--address")
    assert run(*exact, MESSAGE["address"], stdin=MESSAGE["message"].encode()).code == 0
    assert run(*exact, MESSAGE["address"], stdin=MESSAGE["message"].encode() + b"\n").code == 1
    assert run(*words, _flipped(MESSAGE["signature_rsv"], 3), "--address", MESSAGE["address"]).code == 1


@pytest.mark.parametrize("scheme", ["bip137", "bip322"])
@pytest.mark.parametrize("vector", load("bitcoin_messages"))
def test_verify_btc_message(run: Run, vector: dict[str, Any], scheme: str) -> None:
    for kind, signature in vector[scheme].items():
        words = ("stacks", "verify-btc-message", "--address", vector["addresses"][kind], "--signature", signature)
        document = run(*words, "--message", vector["message"]).document
        assert (document["valid"], document["scheme"], document["address_type"]) == (True, scheme, kind)
        assert run(*words, "--message", vector["message"] + "!").code == 1


def test_btc_signatures_that_prove_nothing_exit_1(run: Run) -> None:
    words = (
        "stacks",
        "verify-btc-message",
        "--address",
        BITCOIN["addresses"]["p2wpkh"],
        "--message",
        "x",
        "--signature",
    )
    for signature in ("", "smpAA==", "AA=="):
        document = run(*words, signature).document
        assert (document["valid"], document["scheme"], document["address_type"]) == (False, "bip322", "p2wpkh")


# hash


HASHES = {
    "sha256": "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
    "sha512": "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a"
    "2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f",
    "sha512-256": "53048e2681941ef99b2e29b76b4c7dabe4c2d0c634fc6d46e0e2f13107e7af23",
    "keccak256": "4e03657aea45a94fc7d47ba826c8d667c0d1e6e33a64a036ec44f58fa12d6c45",
    "ripemd160": "8eb208f7e05d987a9b044a8e98c6b087f15a0bfc",
    "hash160": "bb1be98c142444d7a56aa3981c3942a978e4dc33",
}


@pytest.mark.parametrize("algorithm", HASHES)
def test_hashes_of_abc(run: Run, algorithm: str) -> None:
    for word, stdin in (("abc", b""), ("0x616263", b""), ("-", b"abc")):
        assert run("hash", algorithm, word, stdin=stdin).document["hash"] == HASHES[algorithm]
    assert run("hash", algorithm, "abc", "--encoding", "base64").document["encoding"] == "base64"
    assert run("hash", algorithm, "-").document["inputLength"] == 0


# Unusable input


UNUSABLE = [
    ("stacks",),
    ("stacks", "decode-tx"),
    ("stacks", "decode-tx", ""),
    ("stacks", "decode-tx", "0x"),
    ("stacks", "decode-tx", "xyz"),
    ("stacks", "decode-tx", "abc"),
    ("stacks", "decode-tx", "-"),
    ("stacks", "decode-tx", "00" * 131_073),
    ("stacks", "decode-clarity", "03" * (CLARITY_BYTES_MAX + 1)),
    ("stacks", "address", ""),
    ("stacks", "verify-sip018", "--domain-hex", "03"),
    ("stacks", "verify-sip018", "--domain-hex", "-", "--message-hex", "-", "--signature", "00"),
    ("stacks", "verify-message", "--message", "x", "--signature", "not hex"),
    ("stacks", "verify-message", "--message", "x", "--signature", "00" * 65, "--address", "ST1"),
    ("stacks", "verify-message", "--message", "x" * 65_537, "--signature", "00" * 65),
    ("stacks", "verify-btc-message", "--address", "nobody", "--message", "x", "--signature", "AA=="),
    ("stacks", "verify-btc-message", "--address", BITCOIN["addresses"]["p2tr"], "--message", "x", "--signature", "%"),
    (
        "stacks",
        "verify-btc-message",
        "--address",
        BITCOIN["addresses"]["p2tr"],
        "--message",
        "x",
        "--signature",
        "A" * 2_000,
    ),
    ("hash", "md5", "abc"),
    ("hash", "sha256", "0xabc"),
    ("hash", "sha256"),
]


@pytest.mark.parametrize("words", UNUSABLE, ids=lambda words: " ".join(words)[:60])
def test_unusable_input_exits_2(run: Run, words: tuple[str, ...]) -> None:
    assert run(*words).complaint


def test_standard_input_has_a_limit(run: Run) -> None:
    assert "at most" in run("hash", "sha256", "-", stdin=bytes(HASH_BYTES_MAX + 1)).complaint
    assert "at most" in run("stacks", "decode-tx", "-", stdin=b"0" * (2 * HASH_BYTES_MAX + 1)).complaint
    assert "UTF-8" in run("stacks", "decode-tx", "-", stdin=b"\xff").complaint


# Light


VERBS = [
    ("stacks", "decode-tx", SPONSORED["sponsored_hex"]),
    ("stacks", "decode-clarity", "03"),
    ("stacks", "address", "SP000000000000000000002Q6VF78"),
    ("stacks", "verify-sip018", "--domain-hex", STRUCTURED["domain_clarity_hex"],
     "--message-hex", STRUCTURED["message_clarity_hex"], "--signature", STRUCTURED["signature_rsv"]),
    ("stacks", "verify-message", "--message", MESSAGE["message"], "--signature", MESSAGE["signature_rsv"]),
    ("stacks", "verify-btc-message", "--address", BITCOIN["addresses"]["p2pkh"], "--message", BITCOIN["message"],
     "--signature", BITCOIN["bip137"]["p2pkh"]),
    ("stacks", "verify-btc-message", "--address", BITCOIN["addresses"]["p2tr"], "--message", BITCOIN["message"],
     "--signature", BITCOIN["bip322"]["p2tr"]),
    ("hash", "keccak256", "abc"),
]  # fmt: skip


@pytest.mark.parametrize("words", VERBS, ids=lambda words: " ".join(words[:2]))
def test_verbs_import_nothing_heavy(words: tuple[str, ...]) -> None:
    """They start in under 300 ms: that is what is not imported, held here where no clock decides."""
    code = (
        "import sys; from satbox.cli.main import outcome; code = outcome(sys.argv[1:]);"
        f"print(code, [name for name in {HEAVY!r} if name in sys.modules], file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True, check=True)
    assert done.stderr.strip() == "0 []"
    assert json.loads(done.stdout)["valid"]


def test_every_verb_of_this_machine_has_a_reader() -> None:
    assert len(READERS) == len({words[:2] for words in VERBS if words[0] == "stacks"}) + 1
