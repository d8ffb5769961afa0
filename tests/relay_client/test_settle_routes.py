"""Who broadcasts a payment: the relay, the Stacks API, or the one after the other."""

from dataclasses import replace

import pytest
from payment_builders import OTHER, sbtc_payment
from settlement_bench import Bench

from operations.errors import SatboxError
from relay_client.settlements import SettleRoute

GONE = "sponsored_unsupported"
"""The relay's word for a payment that it does not settle."""


async def over(bench: Bench, route: SettleRoute) -> Bench:
    """The same bench under another route, its payments kept."""
    bench.policy = replace(bench.policy, route=route)
    await bench.restart()
    return bench


async def without_relay(bench: Bench) -> None:
    """Every call to the relay fails, whatever it is."""
    await bench.fault("relay_error", error_reason=GONE, status=422)


@pytest.mark.parametrize("route", list(SettleRoute))
async def test_a_payment_that_carries_its_fee_is_credited_once_by_every_route(bench: Bench, route: SettleRoute) -> None:
    await over(bench, route)
    report = await bench.present(sbtc_payment())
    assert (report.state, bool(bench.settle_bodies)) == ("mempool", route is not SettleRoute.DIRECT)
    await bench.confirmed(report.payment_id)
    assert (len(bench.wallets.credits), bench.wallets.credit_calls) == (1, 1)


async def test_direct_asks_no_relay_at_all(bench: Bench) -> None:
    await bench.fault("down", routes="relay", mode="503")
    await over(bench, SettleRoute.DIRECT)
    report = await bench.present(sbtc_payment())
    await bench.confirmed(report.payment_id)
    assert bench.settle_bodies == []
    assert bench.settlements.available
    assert not await bench.settlements.can_sponsor()


async def test_direct_refuses_a_sponsored_payment_before_anything_is_recorded(bench: Bench) -> None:
    await over(bench, SettleRoute.DIRECT)
    with pytest.raises(SatboxError) as refused:
        await bench.present(sbtc_payment(sponsored=True))
    assert (refused.value.code, await bench.settlements.states()) == ("sponsored_unsupported", {"outbox": 0})
    report = await bench.present(sbtc_payment())
    assert report.state == "mempool"


async def test_direct_is_an_outage_when_the_stacks_api_is_silent_and_ends_with_it(bench: Bench) -> None:
    await over(bench, SettleRoute.DIRECT)
    await bench.pass_time(6)
    assert bench.settlements.available
    await bench.fault("down", routes="stacks", mode="503")
    await bench.pass_time(12)
    assert not bench.settlements.available
    await bench.heal()
    await bench.pass_time(12)
    assert bench.settlements.available
    assert [outage.until_ms is None for outage in bench.wallets.outages] == [True, False]


async def test_a_sponsored_payment_of_the_time_with_a_relay_is_followed_and_credited_after_the_change(
    bench: Bench,
) -> None:
    report = await bench.present(sbtc_payment(sponsored=True))
    await over(bench, SettleRoute.DIRECT)
    assert (await bench.confirmed(report.payment_id)).state == "confirmed"
    assert len(bench.wallets.credits) == 1


async def test_relay_alone_sends_nothing_to_a_node(bench: Bench) -> None:
    await over(bench, SettleRoute.RELAY)
    await without_relay(bench)
    report = await bench.present(sbtc_payment())
    assert (report.state, report.code) == ("failed", "payment_refused")
    assert len(bench.world.chain.pending) == 0


async def test_the_relay_then_a_node_takes_what_carries_its_fee(bench: Bench) -> None:
    await over(bench, SettleRoute.RELAY_THEN_DIRECT)
    await without_relay(bench)
    report = await bench.present(sbtc_payment(key=OTHER))
    assert report.state == "mempool"
    assert (await bench.confirmed(report.payment_id)).state == "confirmed"


async def test_relay_alone_is_an_outage_when_the_relay_is_silent_and_ends_with_it(bench: Bench) -> None:
    await over(bench, SettleRoute.RELAY)
    await bench.pass_time(6)
    assert bench.settlements.available
    await bench.fault("down", routes="relay", mode="503")
    await bench.pass_time(12)
    assert not bench.settlements.available  # nobody can pay, so nobody's grace may run out
    await bench.restart()
    await bench.pass_time(6)
    assert not bench.settlements.available
    await bench.heal()
    await bench.pass_time(12)
    assert bench.settlements.available
    assert [outage.until_ms is None for outage in bench.wallets.outages] == [True, False]
