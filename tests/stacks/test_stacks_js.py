"""Differential fuzzing: our bytes and those of @stacks/transactions 7.6 agree, both ways; a difference has a name."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from stacks.authorization import authorizations
from stacks.c32 import Address
from stacks.clarity import ClarityValue, Tuple, deserialize, serialize, to_text
from stacks.keys import HALF_ORDER, PrivateKey
from stacks.message import message_hash, recover_message, sign_message
from stacks.network import Network
from stacks.postconditions import PostConditionMode
from stacks.sip018 import domain, recover_structured, sign_structured, structured_hash
from stacks.spending import UNSPONSORED
from stacks.transaction import AnchorMode, AnyTransaction, decode_any_transaction
from tests.stacks.stacks_js import StacksJs, asked_value, comparable
from tests.stacks.stacks_signed import Signed, payloads, signed_transactions
from tests.stacks.stacks_strategies import (
    addresses,
    long_values,
    multi_sigs,
    newer_conditions,
    post_conditions,
    private_keys,
    single_sigs,
)

ORDER = 2 * HALF_ORDER + 1
Check = Callable[[StacksJs, Any], None]

unsigned = st.builds(
    AnyTransaction,
    st.sampled_from(Network),
    single_sigs | multi_sigs,
    st.none() | single_sigs | multi_sigs | st.just(UNSPONSORED),
    st.sampled_from(AnchorMode),
    st.sampled_from(PostConditionMode),
    st.lists(post_conditions | newer_conditions, max_size=3).map(tuple),
    payloads,
)


def signed_alike(stacks_js: StacksJs, made: Signed) -> None:
    """From one specification both make the same bytes, and each reads the other's."""
    theirs = stacks_js.ask("build", **made.spec)
    assert theirs["hex"] == made.tx.serialize().hex()
    assert theirs["txid"] == made.tx.txid()
    assert decode_any_transaction(bytes.fromhex(theirs["hex"])) == made.tx
    assert stacks_js.ask("decode", hex=theirs["hex"]) == comparable(decode_any_transaction(made.tx.serialize()))
    origin, sponsor = authorizations(made.tx)
    assert origin.is_valid
    assert sponsor is None or sponsor.is_valid == ("sponsor" in made.spec)


def read_alike(stacks_js: StacksJs, tx: AnyTransaction) -> None:
    """Whatever we write, signed or not, they read the same and write again."""
    told = stacks_js.ask("decode", hex=tx.serialize().hex())
    ours = comparable(decode_any_transaction(tx.serialize()))  # tuples are told in the order of their bytes
    assert ours["origin"]["signature_valid"] == told["origin"]["signature_valid"]
    assert ours == told


def valued_alike(stacks_js: StacksJs, value: ClarityValue) -> None:
    ours = {"clarity": to_text(value), "hex": serialize(value).hex()}
    assert {"hex": ours["hex"]} == {"hex": stacks_js.ask("build_value", value=asked_value(value))["hex"]}
    told = stacks_js.ask("decode_value", hex=ours["hex"])
    assert told == {"clarity": to_text(deserialize(bytes.fromhex(ours["hex"]))), "hex": ours["hex"]}


def addressed_alike(stacks_js: StacksJs, address: Address) -> None:
    told = stacks_js.ask("address", version=address.version, hash160=address.hash160.hex())
    assert told == {"address": str(address), "decoded": [address.version, address.hash160.hex()]}
    assert Address.parse(told["address"]) == address


def messaged_alike(stacks_js: StacksJs, case: tuple[PrivateKey, str]) -> None:
    key, message = case
    secret = key.secret.hex() + "01"
    signature = sign_message(key, message).hex()
    assert stacks_js.ask("message_hash", message=message) == message_hash(message).hex()
    assert stacks_js.ask("sign_message", message=message, secret=secret) == signature
    public_key = recover_message(message, signature).data.hex()
    assert public_key == key.public_key.data.hex()
    assert stacks_js.ask("verify_message", message=message, signature=signature, public_key=public_key)


def structured_alike(stacks_js: StacksJs, case: tuple[PrivateKey, Tuple, ClarityValue]) -> None:
    key, about, message = case
    told = stacks_js.ask(
        "sign_structured", domain=asked_value(about), message=asked_value(message), secret=key.secret.hex() + "01"
    )
    assert told["signature"] == sign_structured(key, about, message).hex()
    assert recover_structured(about, message, told["signature"]) == key.public_key
    digest = structured_hash(about, message).hex()
    assert stacks_js.ask("recover", hash=digest, signature=told["signature"]) == key.public_key.data.hex()


texts = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=30)
domains = st.builds(domain, texts, texts, st.integers(0, (1 << 128) - 1) | st.sampled_from([1, 1 << 31]))
lengths = st.sampled_from([0, 1, 252, 253, 254, 65_535, 65_536])
messages = st.text(max_size=80).filter(lambda text: "\ufeff" not in text) | lengths.map(lambda n: "m" * n)
CASES = [
    pytest.param(signed_alike, signed_transactions(), 80, 4_000, id="signed"),
    pytest.param(read_alike, unsigned, 80, 2_500, id="read"),
    pytest.param(valued_alike, long_values, 80, 2_000, id="value"),
    pytest.param(addressed_alike, addresses, 40, 500, id="address"),
    pytest.param(messaged_alike, st.tuples(private_keys, messages), 30, 500, id="message"),
    pytest.param(structured_alike, st.tuples(private_keys, domains, long_values), 30, 500, id="sip018"),
]


def _run(check: Check, stacks_js: StacksJs, cases: st.SearchStrategy[Any], count: int, *, shrinks: bool) -> None:
    phases = set(Phase) if shrinks else set(Phase) - {Phase.shrink}
    quiet = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much]

    @settings(max_examples=count, deadline=timedelta(seconds=5), phases=tuple(phases), suppress_health_check=quiet)
    @given(cases)
    def run(case: Any) -> None:
        check(stacks_js, case)

    run()


@pytest.mark.parametrize(("check", "cases", "count", "nightly_count"), CASES)
def test_both_agree(
    stacks_js: StacksJs, check: Check, cases: st.SearchStrategy[Any], count: int, nightly_count: int
) -> None:
    _run(check, stacks_js, cases, count, shrinks=True)


@pytest.mark.nightly
@pytest.mark.parametrize(("check", "cases", "count", "nightly_count"), CASES)
def test_both_agree_ten_thousand_times(
    stacks_js: StacksJs, check: Check, cases: st.SearchStrategy[Any], count: int, nightly_count: int
) -> None:
    _run(check, stacks_js, cases, nightly_count, shrinks=True)
