"""Mutated bytes never crash, hang or verify: bit flips, cuts, extensions, lying lengths, splices, nested bombs."""

import contextlib
import json
import time
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from stacks.authorization import authorizations
from stacks.clarity import VALUES_MAX, ClarityValue, deserialize, serialize
from stacks.errors import StacksError
from stacks.keys import PrivateKey
from stacks.message import sign_message
from stacks.sip018 import domain, sign_structured
from stacks.spending import AuthField, MultiSig
from stacks.transaction import decode_any_transaction, decode_transaction
from stacks.verification import (
    CLARITY_BYTES_MAX,
    clarity_report,
    message_report,
    sip018_report,
    transaction_report,
)
from tests.stacks.stacks_signed import Signed, signed_transactions
from tests.stacks.stacks_strategies import long_values, private_keys, signatures
from tests.stacks.stacks_vectors import load

REPORT_SECONDS_MAX = 6.0
"""Of processor time, for two reports; one takes half a second on a core of its own, and more on one that others share."""

quick = settings(max_examples=150, deadline=timedelta(seconds=10), suppress_health_check=list(HealthCheck))
VECTORS = [bytes.fromhex(str(v.get("sponsored_hex") or v["origin_signed_hex"])) for v in load("stacks_transactions")]


def _flip(raw: bytes, at: int, by: int) -> bytes:
    changed = bytearray(raw)
    changed[at % len(raw)] ^= 1 << by % 8
    return bytes(changed)


def _lie(raw: bytes, at: int, by: int) -> bytes:
    """Another length wherever there may be one."""
    at %= max(1, len(raw) - 4)
    return (
        raw[:at]
        + [b"\xff\xff\xff\xff", b"\x00\x00\x00\x00", b"\x00\x10\x00\x00", b"\x7f\xff\xff\xff"][by % 4]
        + raw[at + 4 :]
    )


def _cut(raw: bytes, at: int, by: int) -> bytes:
    return raw[: at % len(raw)]


def _extend(raw: bytes, at: int, by: int) -> bytes:
    return raw + bytes([by % 256]) * (1 + at % 300)


def _drop(raw: bytes, at: int, by: int) -> bytes:
    at %= len(raw)
    return raw[:at] + raw[at + 1 + by % 8 :]


def _repeat(raw: bytes, at: int, by: int) -> bytes:
    at %= len(raw)
    return raw[:at] + raw[at : at + 1 + by] * 2 + raw[at + 1 + by :]


mutations = st.lists(
    st.tuples(
        st.sampled_from([_flip, _flip, _lie, _cut, _extend, _drop, _repeat]), st.integers(0, 10**6), st.integers(0, 300)
    ),
    min_size=1,
    max_size=3,
)


def _mutated(raw: bytes, how: list[Any]) -> bytes:
    for change, at, by in how:
        if raw:
            raw = change(raw, at, by)
    return raw


def _judge(raw: bytes) -> bool:
    """Whether the bytes pass for a transaction that its signers signed. Anything but a StacksError is a crash."""
    if not raw:
        return False
    try:
        report = transaction_report(raw.hex())
    except StacksError:
        return False
    assert decode_any_transaction(raw).serialize() == raw
    json.dumps(report)
    fully = report["sponsor"] is None or report["sponsor"]["signature_valid"]
    return bool(report["valid"]) and fully


def never_verifies(raw: bytes, how: list[Any]) -> None:
    changed = _mutated(raw, how)
    if changed != raw:
        assert not _judge(changed)


@quick
@given(st.sampled_from(VECTORS), mutations)
def test_mutated_payments_never_verify(raw: bytes, how: list[Any]) -> None:
    assert _judge(raw)
    never_verifies(raw, how)


@quick
@given(signed_transactions(fully=True), mutations)
def test_mutated_transactions_of_any_kind_never_verify(made: Signed, how: list[Any]) -> None:
    never_verifies(made.tx.serialize(), how)


@pytest.mark.nightly
@settings(quick, max_examples=10_000)
@given(signed_transactions(fully=True), mutations)
def test_mutated_transactions_never_verify_ten_thousand_times(made: Signed, how: list[Any]) -> None:
    never_verifies(made.tx.serialize(), how)


@quick
@given(long_values, mutations)
def test_mutated_values_have_one_encoding_or_none(value: ClarityValue, how: list[Any]) -> None:
    changed = _mutated(serialize(value), how)
    try:
        read = deserialize(changed)
    except StacksError:
        return
    assert serialize(read) == changed


@quick
@given(private_keys, st.text(max_size=50), st.integers(0, 10**4), st.integers(0, 7), st.booleans())
def test_a_changed_message_or_signature_names_another_signer(
    key: PrivateKey, message: str, at: int, by: int, in_signature: bool
) -> None:
    signature = sign_message(key, message)
    report = message_report(message, signature.hex())
    assert report["valid"]
    if in_signature:
        changed = message_report(message, _flip(signature, at, by).hex(), report["address"])
        # 27 to 30 are other spellings of recovery bytes 0 to 3, as wallets write them; one flip does not reach them.
        assert not changed["valid"]
    else:
        assert not message_report(message + "x", signature.hex(), report["address"])["valid"]


@quick
@given(private_keys, long_values, st.integers(0, 10**4), st.integers(0, 7))
def test_changed_structured_data_never_verifies(key: PrivateKey, message: ClarityValue, at: int, by: int) -> None:
    about = domain("satbox", "1", 1)
    signature = sign_structured(key, about, message).hex()
    told = sip018_report(serialize(about).hex(), serialize(message).hex(), "0x" + signature)
    assert told["valid"]
    for changed_domain, changed_message in (
        (_flip(serialize(about), at, by), serialize(message)),
        (serialize(about), _flip(serialize(message), at, by)),
    ):
        try:
            changed = sip018_report(changed_domain.hex(), changed_message.hex(), signature, told["address"])
        except StacksError:
            continue
        assert not changed["valid"]


def _list_of(count: int, item: bytes) -> bytes:
    return b"\x0b" + count.to_bytes(4, "big") + item * count


BOMBS = {
    "somes without end": b"\x0a" * CLARITY_BYTES_MAX,
    "lists in lists": b"\x0b\x00\x00\x00\x01" * (CLARITY_BYTES_MAX // 5),
    "a list of four billion": b"\x0b\xff\xff\xff\xff",
    "a tuple of four billion": b"\x0c\xff\xff\xff\xff",
    "a buffer of four billion": b"\x02\xff\xff\xff\xff",
    "tuples without keys": b"\x0c\x00\x00\x00\x00" * 1_000,
    "as many values as fit": _list_of(CLARITY_BYTES_MAX - 5, b"\x03"),
    "as deep as allowed, as often as fits": _list_of((CLARITY_BYTES_MAX - 5) // 31, b"\x0a" * 30 + b"\x03"),
    "lists that double": b"\x0b\x00\x00\x00\x02" * 31 + b"\x03" * 1_000,
}


@pytest.mark.parametrize("name", BOMBS)
def test_bombs_are_answered_in_time(name: str) -> None:
    began = time.process_time()
    for read in (clarity_report, transaction_report):
        with contextlib.suppress(StacksError):
            json.dumps(read(BOMBS[name].hex()))
    assert time.process_time() - began < REPORT_SECONDS_MAX


def test_a_call_as_large_as_allowed_is_answered_in_time() -> None:
    tx = decode_transaction(VECTORS[-1])
    signature = PrivateKey(b"\x11" * 32).sign_vrs(bytes(32))
    many = MultiSig(1, bytes(20), 0, 0, (AuthField(2, signature),) * 256, 256)
    raw = replace(tx, origin=many, sponsor=many).serialize()
    began = time.process_time()
    report = transaction_report(raw.hex())
    assert time.process_time() - began < REPORT_SECONDS_MAX
    assert not report["valid"]


@quick
@given(st.binary(max_size=600))
@example(b"")
def test_noise_is_refused_or_read(raw: bytes) -> None:
    _judge(raw)


@quick
@given(signed_transactions(), st.integers(0, 3), signatures)
def test_a_multi_signature_counts_its_signatures(made: Signed, which: int, noise: bytes) -> None:
    """Taking a signature away, or putting another in its place, never leaves a condition fulfilled."""
    origin = made.tx.origin
    if not isinstance(origin, MultiSig):
        return
    signed = [i for i, field in enumerate(origin.fields) if not field.is_public_key]
    at = signed[which % len(signed)]
    for field in ((), (AuthField(origin.fields[at].kind, noise),)):
        fields = origin.fields[:at] + field + origin.fields[at + 1 :]
        changed = replace(made.tx, origin=replace(origin, fields=fields))
        assert not authorizations(changed)[0].is_valid


@pytest.mark.parametrize("item", ["03", "09", "0b00000000", "0d00000000", "0a03"])
def test_a_value_of_very_many_values_is_refused_before_it_is_shown(item: str) -> None:
    """They are a byte each, and whoever asks needs no pass."""

    def report(count: int) -> dict[str, Any]:
        return clarity_report(f"0b{count:08x}{item * count}")

    with pytest.raises(StacksError, match="more than"):
        report(VALUES_MAX)  # with the list itself one too many, or twice as many
    assert report(VALUES_MAX // 2 - 1)["valid"]
