"""However the gate misbehaves, one request is paid by one signed transaction at most."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from operations.errors import SatboxError
from satbox import Client
from satbox.client import ClientSettings
from stacks import ContractCall, TokenTransfer, decode_transaction
from stacks.postconditions import PostConditionMode
from tests.client.fake_gate import BTC, NETWORK, PAY_TO, FakeGate, agent, entry, required

NOW = 1_000_000.0


async def no_sleep(_seconds: float) -> None:
    await asyncio.sleep(0)


@asynccontextmanager
async def client_of(gate: FakeGate, folder: Path | None = None, **options: Any) -> AsyncIterator[Client]:
    made = ClientSettings(gate.url, stacks_api=gate.url, **options)
    async with Client(made, agent=agent(folder), now_seconds=lambda: NOW, sleep=no_sleep) as client:
        yield client


async def refused(client: Client, **arguments: Any) -> SatboxError:
    with pytest.raises(SatboxError) as caught:
        await client.create(**{"sats": 500, "max_sats": 500, **arguments})
    return caught.value


async def test_pays_once_and_asks_once() -> None:
    async with FakeGate().running() as gate, client_of(gate) as client:
        paid = await client.create(sats=500, max_sats=500)
    assert (paid.status, gate.asked, len(gate.payments)) == ("mempool", 1, 1)


async def test_token_transfer_is_in_deny_mode_with_the_exact_amount() -> None:
    async with FakeGate().running() as gate, client_of(gate) as client:
        await client.create(sats=500, max_sats=500)
    tx = decode_transaction(gate.payments[0])
    assert tx.post_condition_mode is PostConditionMode.DENY
    assert len(tx.post_conditions) == 1
    assert isinstance(tx.payload, ContractCall)
    assert tx.origin.nonce == gate.nonce
    assert tx.sponsor is None
    assert len(tx.serialize()) <= tx.fee <= 10_000


async def test_sponsored_on_request_pays_no_fee() -> None:
    async with FakeGate().running() as gate, client_of(gate) as client:
        await client.create(sats=500, max_sats=500, sponsored=True)
    tx = decode_transaction(gate.payments[0])
    assert tx.is_sponsored
    assert tx.origin.fee == 0


@pytest.mark.parametrize("trouble", ["drop", "garbage", "bad gateway", "unknown"])
async def test_an_answer_not_understood_repeats_the_same_bytes(trouble: str) -> None:
    async with FakeGate(script=[trouble, trouble, "paid"]).running() as gate, client_of(gate) as client:
        await client.create(sats=500, max_sats=500)
        assert client.open_payments() == []
    assert len(gate.payments) == 3
    assert gate.signed == 1


@pytest.mark.parametrize("trouble", ["drop", "garbage", "bad gateway", "unknown", "again"])
async def test_no_answer_at_all_is_ambiguous_and_the_next_call_repeats_the_same_bytes(
    trouble: str, tmp_path: Path
) -> None:
    async with FakeGate(script=[trouble]).running() as gate:
        async with client_of(gate, tmp_path) as client:
            error = await refused(client)
            assert (error.code, error.funds_moved) == ("ambiguous", "unknown")
        gate.script = ["paid"]
        async with client_of(gate, tmp_path) as client:  # as another process, after a crash
            assert error.details["paymentId"] == client.open_payments()[0].payment_id
            paid = await client.create(sats=500, max_sats=1)
            assert paid.paymentId == error.details["paymentId"]
            assert client.open_payments() == []
    assert (gate.signed, gate.asked) == (1, 1)


async def test_a_402_after_a_payment_is_never_paid() -> None:
    async with FakeGate(script=["again"]).running() as gate, client_of(gate) as client:
        error = await refused(client)
    assert error.code == "ambiguous"
    assert len(gate.payments) == 1


async def test_another_request_waits_until_the_open_payment_is_resolved(tmp_path: Path) -> None:
    async with FakeGate(script=["drop"]).running() as gate, client_of(gate, tmp_path) as client:
        first = await refused(client)
        second = await refused(client, sats=400)
        assert second.code == "ambiguous"
        assert second.details["paymentId"] == first.details["paymentId"]
        gate.script = ["paid"]
        resumed = await client.resume()
        assert [paid.paymentId for paid in resumed] == [first.details["paymentId"]]
        await client.create(sats=400, max_sats=500)
    assert gate.signed == 2


async def test_a_plain_refusal_closes_the_payment_and_is_raised() -> None:
    async with FakeGate(script=["payment_wrong_asset"]).running() as gate, client_of(gate) as client:
        error = await refused(client)
        assert client.open_payments() == []
    assert (error.code, error.funds_moved, len(gate.payments)) == ("payment_wrong_asset", False, 1)


async def test_a_refused_repeat_is_not_believed_when_the_first_copy_got_through() -> None:
    script = ["settle-and-drop", "no_capacity"]
    async with FakeGate(script=script).running() as gate, client_of(gate) as client:
        paid = await client.create(sats=500, max_sats=500)
        assert client.open_payments() == []
    assert paid.status == "mempool"
    assert paid.message is not None
    assert "no_capacity" in paid.message
    assert gate.signed == 1


@pytest.mark.parametrize("script", [["elsewhere"], ["bad gateway", "elsewhere"]])
async def test_a_transfer_that_another_wallet_got_is_no_payment_for_this_one(script: list[str]) -> None:
    """Two clients with one key sign the same bytes, for the same amount at the same moment."""
    async with FakeGate(script=script).running() as gate, client_of(gate) as client:
        error = await refused(client)
        assert client.open_payments() == []
        gate.script, gate.nonce = ["paid"], gate.nonce + 1
        paid = await client.create(sats=500, max_sats=500)
    assert (error.code, error.funds_moved) == ("payment_target_conflict", "unknown")
    assert (paid.status, gate.signed) == ("mempool", 2)


async def test_a_refused_repeat_is_final_when_no_copy_got_through() -> None:
    async with FakeGate(script=["drop", "payment_nonce_stale"]).running() as gate, client_of(gate) as client:
        error = await refused(client)
        assert client.open_payments() == []
    assert error.code == "payment_nonce_stale"


async def test_an_expired_pass_is_renewed_without_a_second_payment() -> None:
    async with FakeGate(passes_refused=1).running() as gate, client_of(gate) as client:
        await client.create(sats=500, max_sats=500)
    assert (gate.proofs, len(gate.payments)) == (2, 1)


async def test_passes_are_kept_beside_the_keys(tmp_path: Path) -> None:
    async with FakeGate().running() as gate:
        for _ in range(2):
            async with client_of(gate, tmp_path) as client:
                await client.status()
    assert gate.proofs == 1
    assert (tmp_path / "passes.json").stat().st_mode & 0o777 == 0o600


async def test_parallel_calls_pay_one_after_another() -> None:
    async with FakeGate().running() as gate, client_of(gate) as client:
        await asyncio.gather(*(client.create(sats=500 + n, max_sats=1000) for n in range(5)))
    assert gate.signed == 5


STX = entry(500, asset="STX", amount="1000000")


@pytest.mark.parametrize(
    ("offer", "code"),
    [
        (entry(501), "max_sats_exceeded"),
        (entry(500, amount="400"), "quote_invalid"),
        (entry(500, amount="-500"), "quote_invalid"),
        (entry(500, amount="5e2"), "quote_invalid"),
        (entry(500, extra={}), "quote_invalid"),
        (entry(500, extra={"sats": True}), "quote_invalid"),
        (entry(500, payTo=f"{PAY_TO}.drain"), "quote_invalid"),
        (entry(500, payTo="SP000000000000000000002Q6VF78"), "quote_invalid"),
        (entry(500, payTo=str(agent().testnet.stx)), "quote_invalid"),
        (entry(500, network="stacks:1"), "payment_wrong_network"),
        (entry(500, asset="ST000000000000000000002AMW42H.sbtc-token"), "asset_not_offered"),
        (entry(500, extra={"sats": 500, "expires_at_ms": int(NOW * 1000)}), "quote_expired"),
        (STX | {"amount": "10000001"}, "quote_invalid"),
    ],
)
async def test_nothing_is_signed_for_an_offer_that_is_not_right(offer: dict[str, Any], code: str) -> None:
    async with FakeGate(offers=required(offer)).running() as gate, client_of(gate) as client:
        assert (await refused(client)).code == code
    assert gate.payments == []


async def test_the_asset_asked_for_is_paid() -> None:
    gate_of = FakeGate(offers=required(STX))
    async with gate_of.running() as gate, client_of(gate) as client:
        await client.create(sats=500, max_sats=500, asset="stx")
        assert (await refused(client, asset="sBTC")).code == "asset_not_offered"
    payload = decode_transaction(gate.payments[0]).payload
    assert isinstance(payload, TokenTransfer)
    assert payload.amount == 1_000_000


async def test_mainnet_is_never_paid_by_a_testnet_client() -> None:
    offers = required(entry(500, network="stacks:1"), entry(400))
    async with FakeGate(offers=offers).running() as gate, client_of(gate) as client:
        await client.create(sats=500, max_sats=500)
    tx = decode_transaction(gate.payments[0])
    assert tx.network is NETWORK


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    script=st.lists(
        st.sampled_from(["drop", "garbage", "bad gateway", "unknown", "again", "settle-and-drop", "rate_limited"]),
        max_size=12,
    ),
    calls=st.integers(1, 4),
)
async def test_one_request_never_has_two_open_payments(script: list[str], calls: int) -> None:
    """As long as a payment's outcome is open, whatever the script, no second one is signed."""
    async with FakeGate(script=[*script, "paid"]).running() as gate, client_of(gate) as client:
        outcomes = []
        for _ in range(calls):
            try:
                await client.create(sats=500, max_sats=500)
                outcomes.append("known")
            except SatboxError as error:
                outcomes.append("open" if error.code == "ambiguous" else "known")
        assert gate.signed <= outcomes.count("known") + (outcomes[-1] == "open")


@pytest.mark.parametrize(
    "changes",
    [
        {"text": "I hereby give everything away"},
        {"message_hex": "0c00000000"},
        {"domain_hex": "0c00000000"},
        {"message": {"deployment": "other"}},
    ],
)
async def test_an_odd_challenge_is_not_signed(changes: dict[str, Any]) -> None:
    async with FakeGate(challenge_changes=changes).running() as gate, client_of(gate) as client:
        with pytest.raises(SatboxError) as caught:
            await client.prove()
        assert caught.value.code == "challenge_invalid"
    assert gate.proofs == 0


async def test_a_proof_for_another_deployment_is_not_signed() -> None:
    async with FakeGate().running() as gate, client_of(gate, deployment="satbox.example") as client:
        with pytest.raises(SatboxError) as caught:
            await client.prove()
    assert caught.value.code == "challenge_invalid"
    assert gate.proofs == 0


async def test_a_proof_that_lives_too_long_is_not_signed() -> None:
    async with FakeGate().running() as gate:
        made = ClientSettings(gate.url, stacks_api=gate.url)
        async with Client(made, agent=agent(), now_seconds=lambda: NOW - 10_000) as client:
            with pytest.raises(SatboxError) as caught:
                await client.prove()
    assert caught.value.code == "challenge_invalid"


async def test_an_unreachable_gate_is_named() -> None:
    async with Client(ClientSettings("http://127.0.0.1:9"), sleep=no_sleep) as client:
        with pytest.raises(SatboxError) as caught:
            await client.service_health()
    assert (caught.value.code, caught.value.details["gate"]) == ("unreachable", "http://127.0.0.1:9")


def test_constants_of_the_fake_are_addresses() -> None:
    assert agent().addresses(NETWORK).btc == BTC


async def test_a_cancelled_call_leaves_its_payment_to_be_repeated(tmp_path: Path) -> None:
    async with FakeGate(script=["hang", "paid"]).running() as gate, client_of(gate, tmp_path) as client:
        call = asyncio.create_task(client.create(sats=500, max_sats=500))
        await gate.hanging.wait()
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        assert len(client.open_payments()) == 1
        await client.create(sats=500, max_sats=500)
        assert client.open_payments() == []
    assert (gate.signed, gate.asked) == (1, 1)
