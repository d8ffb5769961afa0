"""Several payments with one nonce: of the refused ones it is said that no money moved where that is sure, and only there."""

import pytest
from payment_builders import NETWORK, PAY_TO_KEY, PAYER, SBTC, sbtc_payment, sender
from settlement_bench import Bench

from relay_client.settlements import PaymentReport
from stacks import Transaction
from stacks.signing import sign_origin, sip010_transfer


def with_fee(fee: int, memo: str) -> Transaction:
    to = PAY_TO_KEY.public_key.address(NETWORK)
    return sign_origin(sip010_transfer(sender(fee=fee), SBTC, to, 250, memo), PAYER)


async def refused(bench: Bench, tx: Transaction) -> PaymentReport:
    report = await bench.present(tx)
    assert (report.state, report.code) == ("failed", "payment_nonce_stale")
    return report


async def test_the_second_of_two_with_one_nonce_moved_nothing(bench: Bench) -> None:
    first, second = await bench.present(sbtc_payment()), sbtc_payment(memo="second")
    assert first.state == "mempool"
    assert (await refused(bench, second)).funds_moved is False
    assert bench.world.chain.find(second.txid()) is None
    await bench.restart()
    assert (await bench.present(second)).funds_moved is False
    await bench.confirmed(first.payment_id)
    assert (await bench.present(second)).funds_moved is False
    assert set(bench.wallets.credits) == {first.payment_id}


async def test_one_that_its_payer_sends_after_all_is_said_to_move_and_is_credited(bench: Bench) -> None:
    first, second = sbtc_payment(), sbtc_payment(memo="second")
    await bench.present(first)
    report = await refused(bench, second)
    assert report.funds_moved is False
    bench.world.chain.drop(first.txid(), "dropped_stale_garbage_collect")
    await bench.broadcast(second)
    seen = await bench.until(report.payment_id, lambda now: now.funds_moved is not False, mining=False, step_seconds=5)
    assert seen.funds_moved == "unknown"
    done = await bench.until(report.payment_id, lambda now: now.credited_usat > 0, step_seconds=5)
    assert (done.state, done.funds_moved) == ("confirmed", True)


async def test_where_it_may_have_been_sent_nobody_says_that_nothing_moved(bench: Bench) -> None:
    """A nonce that nothing of ours has, a higher fee, which would replace, and a sponsor's bytes, which have no one txid."""
    await bench.fault("relay_error", error_reason="conflicting_nonce", count=1)
    assert (await refused(bench, sbtc_payment())).funds_moved == "unknown"
    assert (await bench.present(with_fee(2_000, "first"))).state == "mempool"
    await bench.fault("relay_error", error_reason="conflicting_nonce", count=3)
    assert (await refused(bench, with_fee(3_000, "dearer"))).funds_moved == "unknown"
    assert (await refused(bench, sbtc_payment(sponsored=True, memo="sponsored"))).funds_moved == "unknown"
    assert (await refused(bench, with_fee(2_000, "as dear"))).funds_moved is False


@pytest.mark.parametrize("lost", [True, False])
async def test_one_that_was_handed_in_before_is_not_unsent(bench: Bench, lost: bool) -> None:
    """Its first reply is lost, whether or not it was sent then: the refusal of the second call says nothing of the first."""
    await bench.present(with_fee(2_000, "first"))
    silence = {"kind": "drop_reply", "routes": "relay", "path": "/settle", "count": 1}
    unsure = {"kind": "relay_error", "error_reason": "broadcast_failed", "count": 1}
    await bench.post("/devnet/faults", silence if lost else unsure)
    report = await bench.present(with_fee(1_000, "second"))
    assert report.funds_moved == "unknown"
    report = await bench.until(report.payment_id, lambda now: now.state == "failed", mining=False, step_seconds=30)
    assert report.funds_moved == "unknown"
