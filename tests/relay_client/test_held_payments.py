"""What the relay holds: it is left in peace, watched on chain, and nobody is advised to sign again while it may still be sent."""

import pytest
from payment_builders import sbtc_payment

from operations.errors import SatboxError

MINUTE_SECONDS = 60


async def held_second(bench, **changes):
    """A payer's second sponsored payment, whose first is in a block: the real relay holds it all the same."""
    first = await bench.present(sbtc_payment(nonce=0, sponsored=True))
    await bench.confirmed(first.payment_id)
    bench.settle_bodies.clear()
    return await bench.present(sbtc_payment(nonce=1, sponsored=True, **changes))


def held_by_the_relay(bench, payer):
    bench.world.relay.memory.expire(bench.clock.now())
    return bench.world.relay.memory.hand.of(payer)


async def test_a_second_sponsored_payment_is_dispatched_by_the_relay_itself(bench):
    report = await held_second(bench)
    assert (report.state, report.funds_moved, report.next_steps) == ("queued", "unknown", "wait_for_confirmation")
    assert "same nonce 1" in report.detail

    report = await bench.until(report.payment_id, lambda now: now.credited_usat > 0, step_seconds=10)

    assert len(bench.settle_bodies) == 1  # each more would have restarted the relay's wait
    assert (report.state, report.terminal_reason, report.retryable) == ("confirmed", None, False)
    history = await bench.settlements.history(report.payment_id)
    assert [state for state, _, _ in history][-3:] == ["broadcasting", "mempool", "confirmed"]
    waited_seconds = (history[-1][2] - history[0][2]) / 1000
    assert 5 * MINUTE_SECONDS <= waited_seconds <= 7 * MINUTE_SECONDS


async def test_the_quiet_survives_a_restart(bench):
    report = await held_second(bench)
    for _ in range(3):
        await bench.restart()
        await bench.pass_time(60, step_seconds=10, mining=True)
    assert len(bench.settle_bodies) == 1
    await bench.until(report.payment_id, lambda now: now.credited_usat > 0, step_seconds=10)
    assert len(bench.wallets.credits) == 2


async def test_a_gap_that_stays_open_ends_only_when_the_relay_has_let_go(bench):
    report = await bench.present(sbtc_payment(nonce=5, sponsored=True))
    assert "nonces 0, 1, 2, 3, 4" in report.detail
    await bench.pass_time(15.5 * MINUTE_SECONDS, step_seconds=15)
    report = await bench.settlements.report(report.payment_id)
    assert (report.state, report.terminal_reason, report.next_steps) == ("queued", None, "wait_for_confirmation")
    assert held_by_the_relay(bench, report.payer) == []

    report = await bench.until(report.payment_id, lambda now: now.state == "failed", mining=False, step_seconds=30)

    assert (report.terminal_reason, report.next_steps) == ("sender_hand_expired", "rebuild_and_resign")


async def test_another_sponsored_payment_with_a_held_nonce_is_refused_and_a_self_paid_one_taken(bench):
    report = await held_second(bench)
    with pytest.raises(SatboxError) as caught:
        await bench.present(sbtc_payment(nonce=1, sponsored=True, memo="impatient"))
    error = caught.value
    assert (error.code, error.kind.status, error.details) == (
        "payment_in_flight",
        409,
        {"paymentId": report.payment_id},
    )
    assert error.retry_after > MINUTE_SECONDS

    paid = await bench.present(sbtc_payment(nonce=1, memo="pays its own fee"))
    await bench.confirmed(paid.payment_id)

    report = await bench.until(report.payment_id, lambda now: now.state == "replaced", step_seconds=10)
    assert (report.credited_usat, len(bench.wallets.credits)) == (0, 2)


async def test_a_refusal_after_a_hold_is_not_believed_while_the_relay_may_send(bench):
    """Held for capacity, asked for again, refused as the echo of a broadcast that the chain does not show yet."""
    await bench.fault("hold_nonce", count=1)
    report = await bench.present(sbtc_payment(sponsored=True))
    bench.world.relay.memory.hand.held.clear()
    await bench.fault("relay_error", error_reason="conflicting_nonce")
    await bench.pass_time(10 * MINUTE_SECONDS, step_seconds=5)
    report = await bench.settlements.report(report.payment_id)
    assert (report.state, report.terminal_reason, report.next_steps) == ("broadcasting", None, "wait_for_confirmation")
    report = await bench.until(report.payment_id, lambda now: now.state == "failed", mining=False, step_seconds=30)
    assert (report.code, report.funds_moved) == ("payment_failed", "unknown")


async def test_a_sponsored_payment_is_not_handed_in_so_late_that_it_outlives_our_patience(bench):
    """A relay whose answers are lost may hold every hand-in for 15 minutes: we give up after the last of them is over."""
    await bench.fault("drop_reply", routes="relay", path="/settle")
    report = await bench.present(sbtc_payment(nonce=3, sponsored=True))
    last_seconds = 0.0
    for second in range(0, 40 * MINUTE_SECONDS, 15):
        before = len(bench.settle_bodies)
        await bench.pass_time(15, step_seconds=15)
        last_seconds = second if len(bench.settle_bodies) > before else last_seconds
        report = await bench.settlements.report(report.payment_id)
        if report.state == "failed":
            break
    assert report.terminal_reason == "broadcast_failure"
    assert second - last_seconds >= 15 * MINUTE_SECONDS
    assert held_by_the_relay(bench, report.payer) == []


async def test_a_clock_set_back_does_not_hold_for_days(bench):
    report = await bench.present(sbtc_payment(nonce=5, sponsored=True))
    bench.clock.ms -= 3 * 24 * 3600 * 1000
    await bench.pass_time(18 * MINUTE_SECONDS, step_seconds=30)
    assert (await bench.settlements.report(report.payment_id)).state == "failed"


async def test_a_relay_without_records_changes_nothing(bench):
    """`/settle/status` of the real relay was always 404."""
    await bench.fault("no_records")
    report = await bench.present(sbtc_payment(sponsored=True))
    assert (await bench.confirmed(report.payment_id)).credited_usat == 250_000_000


async def test_whether_the_relay_sponsors_is_what_it_said_last(bench):
    await bench.settlements.tick()
    assert await bench.settlements.can_sponsor()
    await bench.fault("cold_relay")
    await bench.pass_time(10)
    assert not await bench.settlements.can_sponsor()
    await bench.heal()
    await bench.pass_time(10)
    assert await bench.settlements.can_sponsor()
    await bench.fault("down", routes="relay", mode="refuse")
    await bench.pass_time(10)
    assert not await bench.settlements.can_sponsor()
