"""Payments that were refused here, and whose payers sent the same bytes by another way."""

from dataclasses import replace

import pytest
from payment_builders import sbtc_payment
from settlement_bench import WALLET, Bench

from relay_client.settlements import SettleRoute

REFUSALS = ["client_insufficient_funds", "invalid_payload", "sponsored_unsupported"]
OF_PAYER = {"holder": WALLET}


@pytest.mark.parametrize("is_shown_while_pending", [False, True])
@pytest.mark.parametrize("reason", REFUSALS)
async def test_money_that_came_after_a_refusal_is_credited_once_when_it_is_shown_again(
    bench: Bench, reason: str, is_shown_while_pending: bool
) -> None:
    bench.policy = replace(bench.policy, route=SettleRoute.RELAY)
    await bench.restart()
    await bench.fault("relay_error", error_reason=reason, count=1)
    paid = sbtc_payment()
    report = await bench.present(paid, **OF_PAYER)
    assert (report.state, report.funds_moved) == ("failed", False)
    again = await bench.present(paid, **OF_PAYER)
    assert (again.state, again.funds_moved) == ("failed", False)

    await bench.broadcast(paid)
    if is_shown_while_pending:
        waiting = await bench.present(paid, **OF_PAYER)
        assert (waiting.state, waiting.funds_moved) == ("failed", "unknown")
        await bench.until(report.payment_id, lambda now: now.credited_usat > 0)
    else:
        await bench.mine()
    for _ in range(2):
        shown = await bench.present(paid, **OF_PAYER)
        assert (shown.state, shown.funds_moved, shown.code, shown.credited_usat > 0) == ("confirmed", True, None, True)
    await bench.pass_time(30, mining=True)
    assert (len(bench.wallets.credits), bench.wallets.credit_calls) == (1, 1)


async def test_who_did_not_present_it_sets_nothing_off(bench: Bench) -> None:
    await bench.fault("relay_error", error_reason=REFUSALS[0], count=1)
    paid = sbtc_payment()
    await bench.present(paid, **OF_PAYER)
    await bench.broadcast(paid)
    await bench.mine()
    report = await bench.present(paid, holder="somebody else")
    assert (report.state, report.credited_usat) == ("failed", 0)


async def test_a_silent_chain_changes_nothing(bench: Bench) -> None:
    await bench.fault("relay_error", error_reason=REFUSALS[0], count=1)
    paid = sbtc_payment()
    await bench.present(paid, **OF_PAYER)
    await bench.fault("down", routes="stacks", mode="503")
    report = await bench.present(paid, **OF_PAYER)
    assert (report.state, report.funds_moved) == ("failed", False)
