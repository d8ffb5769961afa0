"""What a crash leaves behind: the order of what is written, and ends that credit nothing. The whole table: test_fault_table."""

import itertools

import pytest
from payment_builders import sbtc_payment
from settlement_bench import Crash, presentation

from operations.errors import SatboxError
from relay_client.states import PaymentState, check_move

ENDINGS = {
    "aborted": ({"kind": "abort"}, "failed"),
    "replaced": ({"kind": "replace"}, "replaced"),
    "refused": ({"kind": "relay_error", "error_reason": "client_insufficient_funds"}, "failed"),
}


async def run_through(bench, tx, until):
    """Present, dying wherever `crash_at` says, and coming back, until the payment has come to its end."""
    report = None
    for _ in range(120):
        try:
            report = report or await bench.present(tx)
            await bench.pass_time(2, step_seconds=2, mining=True)
        except Crash:
            await bench.restart()
            report = None  # the client retries with the same bytes
            continue
        report = await bench.settlements.report(report.payment_id)
        if report.state in until:
            break
    await bench.pass_time(30, step_seconds=5, mining=True)
    return await bench.settlements.report(report.payment_id)


async def assert_legal(bench, payment_id):
    states = [PaymentState(state) for state, _, _ in await bench.settlements.history(payment_id)]
    assert states[0] is PaymentState.QUEUED
    for before, after in itertools.pairwise(states):
        check_move(before, after)


@pytest.mark.parametrize("step", [None, "before_attempt", "after_attempt", "after_reply", "after_commit"])
@pytest.mark.parametrize("ending", ENDINGS)
async def test_nothing_is_credited_through_any_crash(bench, ending, step):
    tx = sbtc_payment()
    fault, state = ENDINGS[ending]
    await bench.fault(**fault)
    bench.crash_at = step
    report = await run_through(bench, tx, {"confirmed", "failed", "replaced"})
    assert (report.state, report.credited_usat) == (state, 0)
    assert bench.wallets.credits == {}
    assert await bench.present(tx) == report
    await assert_legal(bench, report.payment_id)


async def test_the_attempt_is_on_disk_before_the_relay_hears_of_it(bench):
    bench.crash_at = "after_attempt"
    tx = sbtc_payment()
    with pytest.raises(Crash):
        await bench.present(tx)
    await bench.kill()
    async with bench.twin.get(f"/stacks/extended/v1/tx/{tx.txid()}") as reply:
        assert reply.status == 404
    bench.start()
    report = await bench.settlements.recall(presentation(tx))
    assert report.state == "broadcasting"


async def test_a_crash_before_the_attempt_leaves_nothing(bench):
    bench.crash_at = "before_attempt"
    with pytest.raises(Crash):
        await bench.present(sbtc_payment(), identifier="i" * 20)
    await bench.restart()
    assert await bench.store.run(lambda db: db.execute("SELECT count(*) FROM payments").fetchone()) == (0,)


async def test_a_credit_outlives_a_sink_that_was_gone_and_a_restart(bench):
    report = await bench.present(sbtc_payment())
    bench.wallets.trouble = 10**6
    await bench.mine()
    await bench.pass_time(20)
    assert (await bench.settlements.report(report.payment_id)).credited_usat == 250_000_000
    assert bench.wallets.credits == {}
    await bench.restart()
    bench.wallets.trouble = 0
    await bench.pass_time(1)
    assert list(bench.wallets.credits) == [report.payment_id]


async def test_an_unfinished_payment_refuses_nobody_else(bench):
    bench.crash_at = "after_attempt"
    with pytest.raises(Crash):
        await bench.present(sbtc_payment())
    await bench.restart()
    with pytest.raises(SatboxError):
        await bench.present(sbtc_payment(), purpose="extend")
