"""Credit before confirmation: what may be spent of money that has not arrived, and who is not trusted again."""

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st
from payment_builders import NETWORK, OTHER, PAYER, sbtc_payment

from relay_client.offers import USAT_PER_SAT
from relay_client.settlements.policy import Outstanding, SettlementPolicy, backoff_ms, granted_usat

VICTIM = "ST000000000000000000002AMW42H"
PAYER_ADDRESS = str(PAYER.public_key.address(NETWORK))
OTHER_ADDRESS = str(OTHER.public_key.address(NETWORK))


@given(
    expected=st.integers(1, 10**15), payer=st.integers(0, 10**12), wallet=st.integers(0, 10**12),
    overall=st.integers(0, 10**13), loss=st.booleans(),
)  # fmt: skip
def test_grants_stay_within_what_is_paid_and_every_cap(expected, payer, wallet, overall, loss):
    policy = SettlementPolicy()
    granted = granted_usat(policy, expected, Outstanding(payer, wallet, overall, loss))
    assert 0 <= granted <= expected
    assert granted == 0 or granted + payer <= policy.grant_per_payer_usat
    assert granted == 0 or granted + wallet <= policy.grant_per_wallet_usat
    assert granted == 0 or granted + overall <= policy.grant_overall_usat
    assert not (loss and granted)


@given(st.integers(0, 10**6), st.floats(0, 1, exclude_max=True))
def test_pauses_are_bounded(tries, jitter):
    assert 1 <= backoff_ms(250, 4000, 1.5, tries, jitter) <= 5000


async def test_serial_nonces_of_one_payer_share_one_cap(restartable):
    bench = restartable
    await bench.fault("hold_confirmations")
    reports = [await bench.present(sbtc_payment(300, nonce=nonce)) for nonce in range(4)]
    assert [report.granted_usat // USAT_PER_SAT for report in reports] == [300, 300, 150, 0]


async def test_one_wallet_of_many_payers_shares_one_cap(restartable):
    bench = restartable
    await bench.fault("hold_confirmations")
    first = await bench.present(sbtc_payment(700))
    second = await bench.present(sbtc_payment(700, key=OTHER))
    assert first.granted_usat + second.granted_usat == 1_000 * USAT_PER_SAT


@pytest.fixture
def restartable(bench):
    bench.policy = dataclasses.replace(
        bench.policy, grant_per_payer_usat=750 * USAT_PER_SAT, grant_per_wallet_usat=1_000 * USAT_PER_SAT
    )
    bench.store.close()
    bench.start()
    return bench


async def test_settled_only_on_confirmation_nothing_is_granted(bench):
    report = await bench.present(sbtc_payment(), credit_before_confirmation=False)
    assert (report.state, report.granted_usat) == ("mempool", 0)


async def lose(bench, nonce=0, **changes):
    """A payment that was started on and then aborted."""
    await bench.fault("abort")
    report = await bench.present(sbtc_payment(nonce=nonce), **changes)
    assert report.granted_usat > 0
    report = await bench.until(report.payment_id, lambda now: now.state == "failed")
    await bench.heal()
    return report


async def test_a_payer_with_a_loss_gets_no_credit_until_a_confirmed_deposit_covers_it(bench):
    lost = await lose(bench)
    assert await bench.settlements.open_loss(PAYER_ADDRESS) == 250_000_000  # fail closed until the wallet has counted
    await bench.settlements.record_loss(lost.payment_id, 60_000_000)
    assert await bench.settlements.open_loss(PAYER_ADDRESS) == 60_000_000
    small = await bench.present(sbtc_payment(50, nonce=1))
    assert small.granted_usat == 0
    await bench.confirmed(small.payment_id)
    assert await bench.settlements.open_loss(PAYER_ADDRESS) == 10_000_000
    again = await bench.present(sbtc_payment(50, nonce=2))
    assert again.granted_usat == 0
    await bench.confirmed(again.payment_id)
    trusted = await bench.present(sbtc_payment(50, nonce=3))
    assert trusted.granted_usat == 50_000_000


async def test_nothing_used_is_nothing_lost(bench):
    lost = await lose(bench)
    await bench.settlements.record_loss(lost.payment_id, 0)
    assert (await bench.present(sbtc_payment(nonce=1))).granted_usat == 250_000_000


async def test_a_gift_that_fails_bans_its_giver_and_not_the_beneficiary(bench):
    await lose(bench, address=VICTIM, purpose="extend", holder=PAYER_ADDRESS)
    assert await bench.settlements.open_loss(VICTIM) == 0
    own = await bench.present(sbtc_payment(key=OTHER), address=VICTIM, purpose="extend", holder=VICTIM)
    assert own.granted_usat > 0


async def test_whoever_presented_it_is_not_trusted_with_another_payer_either(bench):
    await lose(bench, holder=OTHER_ADDRESS)
    report = await bench.present(sbtc_payment(key=OTHER))
    assert report.granted_usat == 0
