"""Where @stacks/transactions 7.6 differs from SIP-005 and stacks-core we follow those. Each difference has a name here."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import pytest

from stacks.c32 import Address, Principal
from stacks.clarity import Some, Tuple, UInt, deserialize, serialize
from stacks.errors import AddressError, HighSSignature, StacksError
from stacks.keys import HALF_ORDER, PrivateKey, recover_vrs
from stacks.network import Network
from stacks.other_payloads import PoisonMicroblock, SmartContract
from stacks.payloads import TokenTransfer
from stacks.postconditions import PostConditionMode
from stacks.signing import Sender, origin_digest, sign_origin, token_transfer
from stacks.spending import SingleSig
from stacks.transaction import AnyTransaction, decode_any_transaction
from stacks.verification import transaction_report
from tests.stacks.stacks_js import Refused, StacksJs

KEY = PrivateKey(bytes.fromhex("edf9aee84d9b7abc145504dde6726c64f369d37ee34ded868fabd876c26570bc"))
TRANSFER = sign_origin(
    token_transfer(Sender(KEY.public_key, Network.TESTNET, 7, 300), KEY.address(Network.TESTNET), 1_000, "memo"), KEY
)
RAW = TRANSFER.serialize()


@dataclass(frozen=True)
class Difference:
    """Bytes that stacks.js takes and we do not."""

    name: str
    raw: bytes
    op: str = "decode"

    def ours(self) -> Callable[[bytes], object]:
        return decode_any_transaction if self.op == "decode" else deserialize


def _with_payload(payload: bytes) -> bytes:
    return RAW[: -len(TRANSFER.payload.serialize())] + payload


DIFFERENCES = [
    Difference("bytes behind the payload: node parsers refuse them", RAW + b"\0"),
    Difference("a memo cut short: read as far as it goes", RAW[:-3]),
    Difference("any chain id: a network is its version byte and its chain id", RAW[:1] + b"\x00\x00\x00\x2a" + RAW[5:]),
    Difference("an address version that no network has", RAW.replace(b"\x05\x1a", b"\x05\x01")),
    Difference(
        "contract code outside printable ASCII", _with_payload(b"\x01\x01a" + b"\x00\x00\x00\x02" + "é".encode())
    ),
    Difference("a contract name beyond 40 characters", _with_payload(b"\x01\x29" + b"a" * 41 + bytes(4))),
    Difference("a poison payload without its two microblock headers", _with_payload(b"\x03")),
    Difference("bytes behind a value", b"\x03\x03", "decode_value"),
    Difference("a buffer cut short", bytes.fromhex("020000000461"), "decode_value"),
    Difference("tuple keys out of order", bytes.fromhex("0c00000002016203016103"), "decode_value"),
    Difference("a tuple key twice", bytes.fromhex("0c00000002016103016104"), "decode_value"),
    Difference("a control character in string-ascii", bytes.fromhex("0d0000000107"), "decode_value"),
    Difference("broken UTF-8 in string-utf8", bytes.fromhex("0e00000001ff"), "decode_value"),
    Difference("deeper than the 32 levels of the type system", b"\x0a" * 40 + b"\x03", "decode_value"),
]


@pytest.mark.parametrize("difference", DIFFERENCES, ids=lambda d: d.name.partition(":")[0].replace(" ", "-"))
def test_what_stacks_js_takes_and_we_refuse(stacks_js: StacksJs, difference: Difference) -> None:
    assert stacks_js.ask(difference.op, hex=difference.raw.hex())
    with pytest.raises(StacksError):
        difference.ours()(difference.raw)


def test_a_memo_that_is_no_text_keeps_its_bytes(stacks_js: StacksJs) -> None:
    """SIP-005 has 34 bytes; stacks.js makes text of them, and other bytes of that."""
    payload = replace(TRANSFER.payload, memo=b"\xff\xfe" + bytes(32))
    raw = replace(TRANSFER, payload=payload).serialize()

    assert stacks_js.ask("decode", hex=raw.hex())["hex"] != raw.hex()
    assert decode_any_transaction(raw).serialize() == raw
    assert transaction_report(raw.hex())["payload"]["memo_hex"].startswith("fffe")


def test_a_byte_order_mark_stays(stacks_js: StacksJs) -> None:
    """stacks.js drops it from the front of every text it reads."""
    raw = bytes.fromhex("0e00000004efbbbf61")

    assert stacks_js.ask("decode_value", hex=raw.hex())["hex"] != raw.hex()
    assert serialize(deserialize(raw)) == raw


def test_tuple_keys_sort_by_bytes(stacks_js: StacksJs) -> None:
    """The Clarity VM orders keys by their bytes, stacks.js by the words of a locale: capitals come out otherwise."""
    entries = {"B": UInt(1), "a": UInt(2)}
    asked = {"type": "tuple", "value": [[name, {"type": "uint", "value": str(v.value)}] for name, v in entries.items()]}
    theirs = bytes.fromhex(stacks_js.ask("build_value", value=asked)["hex"])

    assert serialize(Tuple.of(entries)).index(b"\x01B") < serialize(Tuple.of(entries)).index(b"\x01a")
    assert theirs.index(b"\x01a") < theirs.index(b"\x01B")
    with pytest.raises(StacksError):
        deserialize(theirs)


def test_the_upper_twin_of_a_signature_is_not_taken(stacks_js: StacksJs) -> None:
    """stacks.js recovers from it too; here one payment has one form, so that nobody can change its bytes."""
    assert isinstance(TRANSFER.origin, SingleSig)
    signature = TRANSFER.origin.signature
    s = 2 * HALF_ORDER + 1 - int.from_bytes(signature[33:], "big")
    twin = bytes([signature[0] ^ 1]) + signature[1:33] + s.to_bytes(32, "big")
    raw = replace(TRANSFER, origin=replace(TRANSFER.origin, signature=twin)).serialize()

    assert stacks_js.ask("decode", hex=raw.hex())["origin"]["signature_valid"]
    report = transaction_report(raw.hex())
    assert (report["valid"], report["origin"]["signature_error"]) == (False, "high_s")
    with pytest.raises(HighSSignature):
        recover_vrs(origin_digest(TRANSFER), twin)


@pytest.mark.parametrize("change", [lambda text: "S" + text[1:].lower(), lambda text: text.replace("0", "O", 1)])
def test_an_address_has_one_text(stacks_js: StacksJs, change: Callable[[str], str]) -> None:
    """c32check reads lower case and look-alike letters."""
    changed = change("ST000000000000000000002AMW42H")

    assert stacks_js.ask("parse_address", address=changed)[1] == "00" * 20
    with pytest.raises(AddressError):
        Address.parse(changed)


def test_stacks_js_does_not_read_its_own_limits_backwards(stacks_js: StacksJs) -> None:
    """It refuses a key of 128 characters, which stacks-core takes."""
    value = Some(Tuple.of({"k" * 128: UInt(1)}))
    assert deserialize(serialize(value)) == value
    asked = {"type": "tuple", "value": [["k" * 128, {"type": "uint", "value": "1"}]]}
    with pytest.raises(Refused):
        stacks_js.ask("build_value", value=asked)


def test_poison_headers_are_read(stacks_js: StacksJs) -> None:
    """SIP-005: two microblock headers of 132 bytes; stacks.js stops before them."""
    tx = AnyTransaction(
        Network.TESTNET, TRANSFER.origin, None, TRANSFER.anchor_mode, PostConditionMode.ALLOW, (),
        PoisonMicroblock((bytes(132), b"\x01" * 132)),
    )  # fmt: skip
    assert decode_any_transaction(tx.serialize()) == tx
    assert stacks_js.ask("decode", hex=tx.serialize().hex())["hex"] != tx.serialize().hex()


def test_code_up_to_a_hundred_thousand_characters(stacks_js: StacksJs) -> None:
    tx = AnyTransaction(
        Network.MAINNET, TRANSFER.origin, None, TRANSFER.anchor_mode, PostConditionMode.DENY, (),
        SmartContract("c", ";" * 100_000, 3),
    )  # fmt: skip
    raw = tx.serialize().hex()
    assert (
        stacks_js.ask("decode", hex=raw)["hex"] == decode_any_transaction(bytes.fromhex(raw)).serialize().hex() == raw
    )


def test_a_contract_can_be_paid(stacks_js: StacksJs) -> None:
    to = Principal.parse("ST000000000000000000002AMW42H.pox-4")
    tx = replace(TRANSFER, payload=TokenTransfer(to, 5, bytes(34)))
    assert stacks_js.ask("decode", hex=tx.serialize().hex())["payload"]["recipient"] == str(to)
