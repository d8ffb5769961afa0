"""A create, a wake or an extension that is refused leaves what the owner has and pays exactly as it was."""

from pathlib import Path
from typing import Any

import pytest

from actors.wallet.commands import Reap, SetRate
from actors.wallet.state import Phase
from tests.gate.gatehouse import SATS, House, Who, gatehouse

LARGER = {"sats": 900, "size_class": "medium", "environment": {"A": "1"}}


async def resting(house: House, sats: int = 500) -> Who:
    """An owner with a nano sandbox that sleeps, with credit left."""
    who = await house.agent()
    paid = await house.pay("/sandbox/create", who, house.sbtc(who, sats), {"sats": sats, "size_class": "nano"})
    await house.settled(paid.body["paymentId"])
    await house.until(lambda: house.state(who).accounts.deposits == -sats * SATS)
    await house.services.system.ask(who.address, Reap())
    await house.until(lambda: house.state(who).phase is Phase.REAPED)
    return who


def pays(house: House, who: Who) -> tuple[Any, ...]:
    state = house.state(who)
    return state.plan, state.is_planned, state.rate_usat_per_second, state.budget, state.creates


async def create(house: House, who: Who, tx: Any, **changes: Any) -> Any:
    return await house.pay("/sandbox/create", who, tx, {**LARGER, **changes})


async def refused_by_the_relay(house: House, who: Who) -> None:
    await house.fault("relay_error", error_reason="invalid_transaction_state", status=400, count=1)
    poor = await house.agent(sats=1)
    answer = await create(house, who, house.sbtc(poor, 900))
    assert answer.status >= 400, answer.raw


async def aborted_on_chain(house: House, who: Who) -> None:
    await house.fault("abort", count=1, address=who.address)
    answer = await create(house, who, house.sbtc(who, 900))
    assert answer.status in (201, 202), answer.raw
    assert house.state(who).plan.size_class == "medium", "it was started on credit, as asked for"
    assert (await house.settled(answer.body["paymentId"])).state == "failed"


async def stale_nonce(house: House, who: Who) -> None:
    answer = await create(house, who, house.sbtc(who, 900, nonce=0))
    assert answer.code == "payment_nonce_stale", answer.raw


async def dropped(house: House, who: Who) -> None:
    await house.fault("replace", count=1, address=who.address)
    answer = await create(house, who, house.sbtc(who, 900))
    assert (await house.settled(answer.body["paymentId"])).state == "replaced"


async def no_room(house: House, who: Who) -> None:
    await house.created(await house.agent(), 900)
    other = await house.agent()
    taken = await house.pay("/sandbox/create", other, house.sbtc(other, 900), {"sats": 900, "size_class": "medium"})
    assert taken.status == 201, taken.raw
    answer = await create(house, who, house.sbtc(who, 900))
    assert answer.code == "no_capacity", answer.raw


async def wake_of_a_larger_size(house: House, who: Who) -> None:
    answer = await house.ask("POST", "/sandbox/wake", who=who, json={"size_class": "medium"})
    assert answer.code == "credit_insufficient", answer.raw


@pytest.mark.parametrize("refusal", [refused_by_the_relay, aborted_on_chain, stale_nonce, dropped, no_room])
async def test_a_create_that_is_not_paid_changes_nothing(house: House, refusal: Any) -> None:
    who = await resting(house)
    before = pays(house, who)
    assert (before[0].size_class, before[2]) == ("nano", 3_500)
    await refusal(house, who)
    if house.state(who).phase is Phase.ALIVE:  # on the credit that was left, as its owner asked for
        await house.services.system.ask(who.address, Reap())
    await house.until(lambda: house.state(who).phase is Phase.REAPED)
    await house.until(lambda: pays(house, who) == before)


async def test_a_wake_that_is_refused_changes_nothing(tmp_path: Path) -> None:
    rates = {"nano": 3_500, "small": 7_000, "medium": 900 * SATS}
    async with gatehouse(tmp_path, rates_usat_per_second=rates) as house:
        who = await resting(house)
        before = pays(house, who)
        await wake_of_a_larger_size(house, who)
        assert pays(house, who) == before


async def test_a_create_that_is_paid_is_what_was_asked_for(house: House) -> None:
    who = await resting(house)
    await stale_nonce(house, who)
    answer = await create(house, who, house.sbtc(who, 900))
    assert (answer.status, answer.body["sandbox"]["size_class"]) == (201, "medium")
    await house.settled(answer.body["paymentId"])
    await house.until(lambda: not house.state(who).creates)
    assert pays(house, who)[2] == 14_000


async def test_a_create_that_waits_for_its_confirmation_is_what_was_asked_for(house: House) -> None:
    who = await resting(house)
    answer = await house.pay("/sandbox/create?settle=confirmed", who, house.sbtc(who, 900), LARGER)
    assert answer.status == 202
    assert house.state(who).plan.size_class == "nano", "not before it is paid"
    await house.services.system.ask(who.address, SetRate(3_600))
    await house.settled(answer.body["paymentId"])
    await house.until(lambda: house.state(who).phase is Phase.ALIVE)
    assert (house.state(who).plan.size_class, house.state(who).rate_usat_per_second) == ("medium", 14_000)
