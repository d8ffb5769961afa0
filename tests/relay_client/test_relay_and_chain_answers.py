"""Whatever the relay and the Stacks API say has exactly one meaning, and nonsense has the careful one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from payment_builders import NETWORK, sbtc_payment, verified

from operations.errors import SatboxError
from relay_client.chain import Account, ChainPhase, Nonces, read_broadcast, read_transaction
from relay_client.http import JsonResponse
from relay_client.preflight import chain_preflight, judge
from relay_client.relay import (
    Accepted,
    Refused,
    RelayClient,
    RelayPhase,
    Retryable,
    SettleOrder,
    Unknown,
    order_identifier,
    read_settlement,
    read_status,
    settle_body,
)

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=12,
)


@given(status=st.sampled_from([200, 400, 409, 429, 500, 502, 503]), body=JSON)
def test_any_answer_is_read_and_nonsense_is_unknown(status, body):
    outcome = read_settlement(JsonResponse(status, body))
    assert isinstance(outcome, Retryable if status == 429 else Unknown)
    assert read_status(JsonResponse(status, body)).phase is RelayPhase.SILENT
    assert not isinstance(read_broadcast(JsonResponse(status, body)), Refused)
    assert read_transaction(body) is None


def test_a_terminal_word_in_a_server_error_is_not_believed():
    assert isinstance(read_settlement(JsonResponse(500, {"errorReason": "recipient_mismatch"})), Unknown)


def test_success_needs_a_txid():
    assert isinstance(read_settlement(JsonResponse(200, {"success": True, "transaction": "0x12"})), Unknown)
    assert read_settlement(
        JsonResponse(200, {"success": True, "transaction": "0x" + "AB" * 32, "payer": "S"})
    ) == Accepted("ab" * 32, "S")


def test_the_same_order_is_the_same_request_and_another_is_not():
    order = SettleOrder(b"\x01", "stacks:1", "SP1", 5, "STX")
    assert settle_body(order) == settle_body(SettleOrder(b"\x01", "stacks:1", "SP1", 5, "STX"))
    assert 16 <= len(order_identifier(order)) <= 128
    others = [SettleOrder(b"\x02", "stacks:1", "SP1", 5, "STX"), SettleOrder(b"\x01", "stacks:1", "SP1", 5, "STX", 1)]
    assert len({order_identifier(one) for one in (order, *others)}) == 3


def transaction(**changes) -> dict:
    body = {
        "tx_id": "0x" + "ab" * 32, "nonce": 3, "tx_status": "success", "sender_address": "SENDER", "block_height": 9,
        "canonical": True, "event_count": 2, "tx_type": "contract_call",
        "events": [
            {"event_type": "fungible_token_asset", "asset": {"asset_event_type": "transfer", "asset_id": "C::a",
             "sender": "SENDER", "recipient": "US", "amount": "70"}},
            {"event_type": "smart_contract_log"},
        ],
    }  # fmt: skip
    return body | changes


def test_what_was_received_is_read_from_the_events_of_the_exact_asset():
    tx = read_transaction(transaction())
    assert tx is not None
    assert (tx.phase, tx.events_complete) == (ChainPhase.SUCCESS, True)
    assert tx.received(asset_id="C::a", sender="SENDER", recipient="US") == 70
    assert tx.received(asset_id="D::a", sender="SENDER", recipient="US") == 0
    assert tx.received(asset_id="C::a", sender="SENDER", recipient="THEM") == 0
    assert tx.received(asset_id="C::a", sender="OTHER", recipient="US") == 0
    assert tx.received(asset_id=None, sender="SENDER", recipient="US") == 0


@pytest.mark.parametrize(
    ("changes", "phase"),
    [
        ({"canonical": False}, ChainPhase.PENDING),
        ({"block_height": None}, ChainPhase.PENDING),
        ({"tx_status": "pending"}, ChainPhase.PENDING),
        ({"tx_status": "a word of tomorrow"}, ChainPhase.PENDING),
        ({"tx_status": "abort_by_response"}, ChainPhase.ABORTED),
        ({"tx_status": "abort_by_response", "canonical": False}, ChainPhase.PENDING),
        ({"tx_status": "dropped_replace_by_fee"}, ChainPhase.DROPPED),
        ({"tx_status": "problematic_skipped"}, ChainPhase.DROPPED),
    ],
)
def test_only_what_is_in_a_block_of_our_chain_is_final(changes, phase):
    tx = read_transaction(transaction(**changes))
    assert tx is not None
    assert tx.phase is phase


@pytest.mark.parametrize(
    ("account", "nonces", "tokens", "code"),
    [
        (Account(10**9, 0), Nonces(0), 250, None),
        (Account(10**9, 1), Nonces(1), 250, "payment_nonce_stale"),
        (Account(10**9, 0), Nonces(1), 250, None),
        (Account(999, 0), Nonces(0), 250, "payment_insufficient_funds"),
        (Account(10**9, 0), Nonces(0), 249, "payment_insufficient_funds"),
    ],
)
def test_preflight_refuses_only_what_is_certain(account, nonces, tokens, code):
    payment = verified(sbtc_payment())
    if code is None:
        judge(payment, account, nonces, tokens)
    else:
        with pytest.raises(SatboxError) as caught:
            judge(payment, account, nonces, tokens)
        assert caught.value.code == code


async def test_preflight_asks_the_api_and_lets_pass_what_it_cannot_know(bench):
    check = chain_preflight(bench.chain)
    assert await check(verified(sbtc_payment())) is True
    with pytest.raises(SatboxError) as caught:
        await check(verified(sbtc_payment(nonce=2)))
    assert caught.value.code == "payment_nonce_gap"
    with pytest.raises(SatboxError) as caught:
        await check(verified(sbtc_payment(10**7)))
    assert caught.value.code == "payment_insufficient_funds"
    await bench.fault("down", routes="stacks", mode="503")
    assert await check(verified(sbtc_payment(nonce=2))) is False


async def test_the_relay_says_what_it_supports(bench):
    relay = RelayClient(str(bench.twin.make_url("/relay")), bench.session)
    assert await relay.supported() == (NETWORK.caip2,)
    assert await relay.health()
    assert (await relay.settle_status("00" * 32)).phase is RelayPhase.NOT_FOUND
    gone = RelayClient("http://127.0.0.1:1", bench.session)
    assert await gone.supported() == ()
    assert not await gone.health()
