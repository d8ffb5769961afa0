"""The life of payments over the devnet: what each observation does to state, answer and money."""

import asyncio
import itertools
import pickle

import pytest
from payment_builders import OTHER, sbtc_payment, stx_payment
from settlement_bench import Bench, presentation

from operations.errors import SatboxError
from relay_client.settlements.journal import IDENTIFIERS_MAX
from stacks.signing import sign_sponsor


async def credited_once(bench: Bench, payment_id: str, usat: int) -> None:
    """The wallets hold exactly one credit of this payment, and the books of settlements agree."""
    assert bench.wallets.credits[payment_id].usat == usat
    rows = await bench.store.run(lambda db: db.execute("SELECT payment_id, usat FROM credits").fetchall())
    assert rows.count((payment_id, usat)) == 1


@pytest.mark.parametrize("sponsored", [False, True])
@pytest.mark.parametrize(("build", "usat"), [(sbtc_payment, 250_000_000), (stx_payment, 1_000_000_000)])
async def test_a_payment_is_seen_then_confirmed_then_credited(bench, build, usat, sponsored):
    report = await bench.present(build(sponsored=sponsored))
    assert (report.state, report.granted_usat, report.next_steps) == ("mempool", usat, "wait_for_confirmation")
    assert report.funds_moved is True
    report = await bench.confirmed(report.payment_id)
    assert (report.credited_usat, report.terminal_reason, report.code) == (usat, None, None)
    assert bench.wallets.states(report.payment_id)[0] == "mempool"
    assert bench.wallets.states(report.payment_id)[-1] == "confirmed"
    await credited_once(bench, report.payment_id, usat)
    assert [move[0] for move in await bench.settlements.history(report.payment_id)] == [
        "queued", "broadcasting", "mempool", "confirmed",
    ]  # fmt: skip


async def test_the_same_bytes_get_the_same_answer(bench):
    tx = sbtc_payment()
    first = await bench.present(tx)
    assert await bench.present(tx) == first
    done = await bench.confirmed(first.payment_id)
    assert await bench.present(tx) == done
    assert await bench.settlements.find(first.identity) == done
    await credited_once(bench, first.payment_id, 250_000_000)


async def test_presented_many_times_at_once_the_relay_is_called_once(bench):
    tx = sbtc_payment()
    reports = await asyncio.gather(*(bench.present(tx) for _ in range(20)))
    assert len({report.payment_id for report in reports}) == 1
    attempts = await bench.store.run(lambda db: db.execute("SELECT attempts FROM payments").fetchall())
    assert attempts == [(1,)]


@pytest.mark.parametrize("change", [{"address": "ST000000000000000000002AMW42H"}, {"purpose": "extend"}])
async def test_the_same_bytes_for_another_purpose_are_a_conflict(bench, change):
    tx = sbtc_payment()
    report = await bench.present(tx)
    with pytest.raises(SatboxError) as caught:
        await bench.present(tx, **change)
    assert caught.value.code == "payment_target_conflict"
    assert caught.value.funds_moved is True
    assert (await bench.confirmed(report.payment_id)).address == report.address


async def test_two_wallets_at_once_with_the_same_bytes(bench):
    tx = sbtc_payment()
    answers = await asyncio.gather(
        bench.present(tx), bench.present(tx, address="ST000000000000000000002AMW42H"), return_exceptions=True
    )
    refused = [answer for answer in answers if isinstance(answer, SatboxError)]
    assert [error.code for error in refused] == ["payment_target_conflict"]


@pytest.mark.parametrize("after", ["mempool", "confirmed"])
async def test_a_restart_between_changes_neither_answers_nor_conflicts(bench, after):
    tx = sbtc_payment()
    first = await bench.present(tx, identifier="i" * 16)
    if after == "confirmed":
        first = await bench.confirmed(first.payment_id)
    await bench.restart()
    assert await bench.present(tx, identifier="i" * 16) == first
    for change, code in (
        ({"address": "ST000000000000000000002AMW42H"}, "payment_target_conflict"),
        ({"purpose": "extend"}, "payment_target_conflict"),
        ({"identifier": "i" * 16, "body_hash": "other"}, "payment_identifier_conflict"),
    ):
        with pytest.raises(SatboxError) as caught:
            await bench.present(tx, **change)
        assert caught.value.code == code
    await credited_once(bench, (await bench.confirmed(first.payment_id)).payment_id, 250_000_000)
    assert bench.wallets.credit_calls == 1


async def test_a_payment_identifier_replays_its_body_and_refuses_another(bench):
    first = await bench.present(sbtc_payment(), identifier="a" * 16, body_hash="one")
    assert await bench.present(sbtc_payment(), identifier="a" * 16, body_hash="one") == first
    with pytest.raises(SatboxError) as caught:
        await bench.present(sbtc_payment(nonce=1), identifier="a" * 16, body_hash="two")
    assert caught.value.code == "payment_identifier_conflict"
    stranger = await bench.present(sbtc_payment(key=OTHER), identifier="a" * 16, body_hash="two")
    assert stranger.state == "mempool"  # identifiers are the payer's own: nobody can squat on somebody else's


async def test_whoever_shows_somebody_elses_bytes_takes_no_identifier_from_their_payer(bench):
    """Bytes can be copied out of a block: shown again by a stranger, they must not use up the payer's names."""
    copied = await bench.present(sbtc_payment(), holder="ST_PAYER", identifier="a" * 16)
    again = await bench.present(sbtc_payment(), holder="ST_STRANGER", identifier="b" * 16, body_hash="other")
    assert again.payment_id == copied.payment_id
    mine = await bench.present(sbtc_payment(nonce=1), holder="ST_PAYER", identifier="b" * 16, body_hash="mine")
    assert mine.payment_id != copied.payment_id


async def test_repetitions_under_ever_new_identifiers_are_not_all_remembered(bench):
    first = await bench.present(sbtc_payment())
    for n in range(IDENTIFIERS_MAX + 3):
        assert (await bench.present(sbtc_payment(), identifier=f"{n:016}")).payment_id == first.payment_id
    rows = await bench.store.run(lambda db: db.execute("SELECT count(*) FROM identifiers").fetchall())
    assert rows == [(IDENTIFIERS_MAX,)]


async def test_few_payments_of_one_nonce_are_followed_at_once(bench):
    """One of them can confirm; the others would cost looks at the chain for two days, at no cost to whoever signs them."""
    await bench.post("/devnet/faults", {"kind": "hold_confirmations"})
    first, *others = [sbtc_payment(memo=str(n)) for n in range(bench.policy.followed_per_nonce_max)]
    assert (await bench.present(first)).state == "mempool"
    for tx in others:
        assert (await bench.present(tx)).code == "payment_nonce_stale"
    with pytest.raises(SatboxError) as caught:
        await bench.present(sbtc_payment(memo="one more"))
    assert (caught.value.code, caught.value.funds_moved) == ("overloaded", False)
    assert (await bench.present(first)).state == "mempool"


async def test_an_expired_quote_stops_only_new_payments(bench):
    tx = stx_payment()
    shown = presentation(tx)
    bench.clock.ms = shown.payment.quote_expires_at_ms + bench.policy.quote_grace_ms
    report = await bench.present(tx)
    assert report.state == "mempool"
    bench.clock.ms += 1
    assert (await bench.present(tx)).payment_id == report.payment_id
    with pytest.raises(SatboxError) as caught:
        await bench.present(stx_payment(nonce=1))
    assert caught.value.code == "quote_expired"


async def test_a_dropped_reply_is_unknown_and_never_failed(bench):
    await bench.fault("drop_reply", routes="relay", path="/settle", count=1)
    report = await bench.present(sbtc_payment())
    assert (report.state, report.funds_moved, report.granted_usat) == ("broadcasting", "unknown", 0)
    await credited_once(bench, (await bench.confirmed(report.payment_id)).payment_id, 250_000_000)


@pytest.mark.parametrize("sponsored", [False, True])
async def test_a_dropped_reply_and_a_relay_that_stays_down(bench, sponsored):
    await bench.fault("drop_reply", routes="relay", path="/settle", count=1)
    report = await bench.present(sbtc_payment(sponsored=sponsored))
    await bench.fault("down", routes="relay", mode="refuse")
    await credited_once(bench, (await bench.confirmed(report.payment_id)).payment_id, 250_000_000)


async def test_a_self_paid_payment_goes_to_a_node_when_the_relay_is_gone(bench):
    await bench.fault("down", routes="relay", mode="refuse")
    report = await bench.present(sbtc_payment())
    assert report.state == "broadcasting"
    await credited_once(bench, (await bench.confirmed(report.payment_id)).payment_id, 250_000_000)


async def test_a_relay_down_after_the_broadcast_does_not_stop_confirmation(bench):
    report = await bench.present(sbtc_payment(sponsored=True))
    await bench.fault("down", routes="relay", mode="503")
    await credited_once(bench, (await bench.confirmed(report.payment_id)).payment_id, 250_000_000)


@pytest.mark.parametrize("reason", ["broadcast_failed", "unexpected_settle_error", "a word of tomorrow"])
@pytest.mark.parametrize("after_work", [False, True])
async def test_an_answer_that_settles_nothing_is_followed_up(bench, reason, after_work):
    await bench.fault("relay_error", error_reason=reason, after_work=after_work, count=1)
    report = await bench.present(sbtc_payment(sponsored=True))
    assert report.state == "broadcasting"
    await credited_once(bench, (await bench.confirmed(report.payment_id)).payment_id, 250_000_000)


async def test_a_payment_held_for_capacity_waits_and_is_asked_for_again(bench):
    await bench.fault("hold_nonce", count=2)
    report = await bench.present(sbtc_payment(sponsored=True))
    assert (report.state, report.granted_usat) == ("queued", 0)
    await bench.settlements.tick()
    assert bench.wallets.states(report.payment_id) == ["queued"]
    await credited_once(bench, (await bench.confirmed(report.payment_id)).payment_id, 250_000_000)


async def test_a_nonce_gap_is_held_until_it_closes(bench):
    report = await bench.present(sbtc_payment(nonce=1, sponsored=True))
    assert report.state == "queued"
    first = await bench.present(sbtc_payment(nonce=0, sponsored=True))
    await bench.confirmed(first.payment_id)
    await bench.confirmed(report.payment_id)
    assert len(bench.wallets.credits) == 2


async def test_a_gap_that_never_closes_expires(bench):
    report = await bench.present(sbtc_payment(nonce=5, sponsored=True))
    report = await bench.until(report.payment_id, lambda now: now.state == "failed", mining=False, step_seconds=30)
    assert (report.terminal_reason, report.next_steps) == ("sender_hand_expired", "rebuild_and_resign")
    assert bench.wallets.credits == {}


async def test_a_refused_nonce_can_be_signed_again(bench):
    await bench.fault("relay_error", error_reason="client_insufficient_funds", count=1)
    refused = await bench.present(sbtc_payment(memo="first"))
    assert (refused.state, refused.code, refused.funds_moved) == ("failed", "payment_insufficient_funds", False)
    again = await bench.present(sbtc_payment(memo="second"))
    await credited_once(bench, (await bench.confirmed(again.payment_id)).payment_id, 250_000_000)


async def test_a_stale_nonce_is_refused_by_name(bench):
    first = await bench.present(sbtc_payment())
    await bench.confirmed(first.payment_id)
    with pytest.raises(SatboxError) as caught:
        await bench.present(sbtc_payment(memo="other"))
    assert caught.value.code == "payment_nonce_stale"
    assert caught.value.funds_moved is False


async def test_a_refusal_that_echoes_our_own_broadcast_is_not_believed(bench):
    """The first reply is lost; the relay then says the nonce is taken, by this very payment."""
    tx = sbtc_payment()
    await bench.fault("drop_reply", routes="relay", path="/settle", count=1)
    report = await bench.present(tx)
    await bench.fault("relay_error", error_reason="conflicting_nonce")
    await bench.post("/devnet/faults", {"kind": "forget_caches"})
    await credited_once(bench, (await bench.confirmed(report.payment_id)).payment_id, 250_000_000)


@pytest.mark.parametrize("mode", ["abort_by_response", "abort_by_post_condition"])
async def test_an_aborted_payment_fails_and_credits_nothing(bench, mode):
    await bench.fault("abort", mode=mode)
    report = await bench.present(sbtc_payment())
    report = await bench.until(report.payment_id, lambda now: now.state == "failed")
    assert (report.terminal_reason, report.code, report.credited_usat) == ("chain_abort", "payment_failed", 0)
    assert report.funds_moved is False
    assert bench.wallets.credits == {}
    assert bench.wallets.states(report.payment_id)[-1] == "failed"


@pytest.mark.parametrize("sponsored", [False, True])
async def test_a_replaced_payment_says_so_and_credits_nothing(bench, sponsored):
    await bench.fault("replace")
    report = await bench.present(sbtc_payment(sponsored=sponsored))
    report = await bench.until(report.payment_id, lambda now: now.state == "replaced")
    assert (report.terminal_reason, report.next_steps) == ("nonce_replacement", "start_new_payment")
    assert bench.wallets.credits == {}


@pytest.mark.parametrize("mode", ["first", "second"])
async def test_sponsored_twice_credits_once(bench, mode):
    await bench.fault("sponsor_twice", mode=mode, count=1)
    report = await bench.present(sbtc_payment(sponsored=True))
    await credited_once(bench, (await bench.confirmed(report.payment_id)).payment_id, 250_000_000)
    await bench.pass_time(60, mining=True)
    assert bench.wallets.credit_calls == 1


async def test_a_payment_sponsored_by_somebody_else_than_presented_is_ours_all_the_same(bench):
    """Anybody may sponsor what the origin signed: one is presented, the other gets into the block."""
    signed = sbtc_payment(sponsored=True)
    shown, sent = (sign_sponsor(signed, OTHER, fee=fee, nonce=0) for fee in (900, 901))
    assert shown.txid() != sent.txid()
    await bench.fault("hold_confirmations", count=20)
    await bench.fault("down", routes="relay", mode="503", count=1)
    report = await bench.present(shown)
    await bench.broadcast(sent)
    await bench.until(report.payment_id, lambda now: now.state == "mempool", mining=False)
    await bench.pass_time(60)
    seen = [one.seen_at_ms for one in bench.wallets.observations if one.payment_id == report.payment_id]
    assert max(after - before for before, after in itertools.pairwise(seen[1:])) <= 15_000  # grace lives on these
    report = await bench.confirmed(report.payment_id)
    assert report.txid == sent.txid()
    await credited_once(bench, report.payment_id, 250_000_000)
    assert (await bench.present(sent)).payment_id == report.payment_id
    await bench.pass_time(60, mining=True)
    assert bench.wallets.credit_calls == 1
    assert bench.wallets.reversals == {}


async def test_a_fee_bump_presented_as_well_credits_once(bench):
    """Two signings at one nonce: the one that confirms is credited, the other is replaced."""
    slow = sbtc_payment(memo="slow")
    report = await bench.present(slow)
    fast = sbtc_payment(memo="fast", sponsored=True)
    await bench.fault("hold_confirmations", txid=slow.txid())
    other = await bench.present(fast)
    await bench.heal()
    await bench.pass_time(120, step_seconds=4, mining=True)
    states = {(await bench.settlements.report(one.payment_id)).state for one in (report, other)}
    assert "confirmed" in states
    assert len(bench.wallets.credits) == 1


async def test_pending_sightings_reach_the_wallets_every_few_seconds(bench):
    await bench.fault("hold_confirmations")
    report = await bench.present(sbtc_payment())
    await bench.pass_time(60, mining=True)
    seen = [one.seen_at_ms for one in bench.wallets.observations if one.payment_id == report.payment_id]
    gaps = [after - before for before, after in itertools.pairwise(seen)]
    assert len(seen) > 8
    assert max(gaps) <= 15_000
    assert seen == sorted(seen)


async def test_the_sink_hears_every_credit_although_it_fails_and_forgets_to_answer(bench):
    bench.wallets.trouble, bench.wallets.lose_acknowledgement = 3, 2
    report = await bench.present(sbtc_payment())
    await bench.confirmed(report.payment_id)
    await bench.pass_time(60)
    assert bench.wallets.credit_calls >= 3
    assert list(bench.wallets.credits) == [report.payment_id]


async def test_dropped_by_the_node_it_is_handed_in_again(bench):
    tx = sbtc_payment()
    report = await bench.present(tx)
    await bench.post("/devnet/faults", {"kind": "drop", "txid": tx.txid()})
    await credited_once(bench, (await bench.confirmed(report.payment_id)).payment_id, 250_000_000)


async def test_given_up_but_confirmed_later_it_is_credited_all_the_same(bench):
    tx = sbtc_payment()
    await bench.fault("down", routes="relay", mode="refuse")
    await bench.fault("down", routes="stacks", path="/v2/transactions", mode="503")
    report = await bench.present(tx)
    report = await bench.until(report.payment_id, lambda now: now.state == "failed", mining=False, step_seconds=30)
    assert (report.terminal_reason, report.funds_moved) == ("broadcast_failure", "unknown")
    await bench.heal()
    await bench.broadcast(tx)
    await bench.mine()
    report = await bench.until(report.payment_id, lambda now: now.credited_usat > 0)
    # The money is the wallet's: nothing says any more that it failed, or that it should be signed again.
    assert (report.state, report.terminal_reason, report.code, report.retryable) == ("confirmed", None, None, False)
    await credited_once(bench, report.payment_id, 250_000_000)


async def watched(bench) -> int:
    return (await bench.store.run(lambda db: db.execute("SELECT watching FROM payments").fetchone()))[0]


async def test_a_clock_set_forward_by_days_does_not_end_the_watch_over_what_was_given_up(bench):
    tx = sbtc_payment()
    await bench.fault("down", routes="relay", mode="refuse")
    await bench.fault("down", routes="stacks", path="/v2/transactions", mode="503")
    report = await bench.present(tx)
    bench.clock.ms += 5 * 24 * 3_600_000
    await bench.until(report.payment_id, lambda now: now.state == "failed", mining=False)
    await bench.pass_time(60)
    assert await watched(bench)
    await bench.heal()
    await bench.broadcast(tx)
    await bench.mine()
    await bench.until(report.payment_id, lambda now: now.credited_usat > 0, mining=False)
    await credited_once(bench, report.payment_id, 250_000_000)


async def test_the_watch_over_what_was_given_up_ends(bench):
    await bench.fault("down", routes="relay", mode="refuse")
    await bench.fault("down", routes="stacks", path="/v2/transactions", mode="503")
    report = await bench.present(sbtc_payment())
    await bench.until(report.payment_id, lambda now: now.state == "failed", mining=False, step_seconds=30)
    await bench.pass_time(47 * 3_600, step_seconds=600)
    assert await watched(bench)
    await bench.pass_time(2 * 3_600, step_seconds=600)
    assert not await watched(bench)


async def test_a_confirmed_payment_that_leaves_the_chain_comes_back_or_is_reversed(bench):
    report = await bench.present(sbtc_payment())
    await bench.confirmed(report.payment_id)
    await bench.post("/devnet/faults", {"kind": "reorg", "blocks": 3, "vanish": True})
    await bench.pass_time(400, step_seconds=5, mining=True)
    report = await bench.settlements.report(report.payment_id)
    assert (report.state, report.credited_usat, report.reversed_usat) == ("confirmed", 250_000_000, 0)
    assert bench.wallets.reversals == {}
    assert bench.wallets.credit_calls == 1


async def test_a_confirmed_payment_displaced_by_a_reorg_is_reversed_once(bench):
    tx = sbtc_payment()
    report = await bench.present(tx)
    await bench.confirmed(report.payment_id)
    await bench.post("/devnet/faults", {"kind": "reorg", "blocks": 3, "vanish": True})
    await bench.broadcast(stx_payment(1, memo="mine again"))
    await bench.mine()
    await bench.pass_time(120, step_seconds=5, mining=True)
    report = await bench.settlements.report(report.payment_id)
    assert (report.credited_usat, report.reversed_usat) == (0, 250_000_000)
    assert bench.wallets.reversals[report.payment_id].usat == 250_000_000


async def test_a_payment_that_stays_away_is_reversed_and_credited_anew_when_it_returns(bench):
    tx = sbtc_payment()
    report = await bench.present(tx)
    await bench.confirmed(report.payment_id)
    await bench.fault("down", routes="stacks", path="/v2/transactions", mode="503")
    await bench.fault("down", routes="relay", mode="503")
    await bench.post("/devnet/faults", {"kind": "reorg", "blocks": 3, "vanish": True})
    report = await bench.until(report.payment_id, lambda now: now.reversed_usat > 0, mining=False, step_seconds=30)
    assert (report.credited_usat, report.code) == (0, "payment_failed")
    await bench.heal()
    await bench.broadcast(tx)
    report = await bench.until(report.payment_id, lambda now: now.credited_usat > 0)
    assert (report.state, report.reversed_usat, report.code) == ("confirmed", 0, None)
    assert sum(credit.usat for credit in bench.wallets.credits.values()) == 500_000_000
    assert sum(reversal.usat for reversal in bench.wallets.reversals.values()) == 250_000_000


async def test_reports_and_presentations_cross_process_boundaries(bench):
    shown = presentation(sbtc_payment())
    report = await bench.settlements.present(pickle.loads(pickle.dumps(shown)))
    assert pickle.loads(pickle.dumps(report)) == report


async def test_after_the_reorg_depth_nobody_looks_any_more(bench):
    report = await bench.present(sbtc_payment())
    await bench.confirmed(report.payment_id)
    await bench.pass_time(60, mining=True)
    watching = await bench.store.run(lambda db: db.execute("SELECT watching FROM payments").fetchall())
    assert watching == [(0,)]


async def test_an_outage_of_both_sides_is_told_with_its_span(bench):
    await bench.settlements.tick()
    assert bench.settlements.available
    await bench.fault("down", routes="relay", mode="503")
    await bench.pass_time(20)
    assert bench.settlements.available
    await bench.fault("down", routes="stacks", mode="503")
    await bench.fault("down", routes="relay", mode="503")
    await bench.pass_time(30)
    assert not bench.settlements.available
    await bench.restart()
    await bench.heal()
    await bench.pass_time(30)
    assert bench.settlements.available
    began, ended = bench.wallets.outages[0], bench.wallets.outages[-1]
    assert (began.until_ms, began.outage_id) == (None, ended.outage_id)
    assert ended.until_ms is not None
    assert ended.until_ms > began.since_ms


async def test_an_outage_whose_end_cannot_be_written_ends_when_it_can(bench):
    """Found by the simulator with a full disk: the end was lost, and grace held for ever."""
    for side in ("relay", "stacks"):
        await bench.fault("down", routes=side, mode="503")
    await bench.pass_time(30)
    await bench.store.run(
        lambda db: db.execute("CREATE TRIGGER full BEFORE UPDATE ON outages BEGIN SELECT RAISE(ABORT, 'full'); END")
    )
    await bench.heal()
    await bench.pass_time(30)
    unwritten = bench.wallets.outages[-1].until_ms
    await bench.store.run(lambda db: db.execute("DROP TRIGGER full"))
    await bench.pass_time(30)

    assert unwritten is None
    assert bench.wallets.outages[-1].until_ms is not None


async def test_wait_returns_when_it_is_over(bench):
    report = await bench.present(sbtc_payment())
    waiting = asyncio.create_task(bench.settlements.wait(report.payment_id, 30))
    await bench.confirmed(report.payment_id)
    assert (await waiting).state == "confirmed"
    assert await bench.settlements.wait("pay_unknown", 0.01) is None
