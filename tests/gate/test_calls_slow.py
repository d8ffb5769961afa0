"""Money that is set aside while a call takes its time, and a sandbox that has just been put to sleep."""

import pytest

from actors.wallet.calls import Route
from actors.wallet.commands import Reap, SetRoutes
from actors.wallet.state import Phase
from gate.calls.waking import Wakers
from gate.charging.till import IDLE_MS, Till
from gate.parts.orders import Held
from operations.errors import SatboxError
from tests.gate.gatehouse import SATS, House


async def test_what_a_slow_call_is_paid_from_is_kept_until_its_answer(house: House, till: Till) -> None:
    payer, payee = await house.agent(), await house.agent()
    await house.created(payer, 500)
    held = Held("ord_1", payer.address, payee.address, 5 * SATS, house.clock.wall_ms() + 400_000)
    await till.hold(held)
    for _ in range(6):
        house.clock.ahead_ms += 10 * IDLE_MS
        await till.sweep()
        assert house.state(payer).accounts.reserved >= held.usat
    await till.pay(held)
    await till.drain()
    assert house.state(payer).accounts.reserved == 0


async def test_a_call_that_came_while_it_stopped_wakes_nothing_that_its_route_would_not(house: House) -> None:
    seller = await house.agent()
    await house.created(seller, 500)
    route = Route(8000, "/*")
    await house.services.system.ask(seller.address, SetRoutes((route,)))
    await house.services.system.ask(seller.address, Reap())
    stopping = await house.services.system.look(seller.address)
    assert stopping.state.phase is Phase.STOPPING
    await house.until(lambda: house.state(seller).phase is Phase.REAPED)

    with pytest.raises(SatboxError, match="sandbox_reaped"):
        await Wakers(house.services).up(stopping, route)
    assert house.state(seller).phase is Phase.REAPED


async def test_nobody_is_asked_to_pay_for_what_sleeps_and_is_not_woken(house: House) -> None:
    seller = await house.agent()
    await house.created(seller, 500)
    priced = SetRoutes((Route(8000, "/*", sats=3),))
    house.services.views.put(await house.services.system.ask(seller.address, priced))
    path = f"/sandbox/proxy/{seller.address}/8000/x"
    assert (await house.ask("GET", path)).status == 402
    house.services.views.put(await house.services.system.ask(seller.address, Reap(destroy=True)))
    await house.until(lambda: house.state(seller).phase is Phase.REAPED)
    house.services.views.put(await house.services.system.look(seller.address))
    answer = await house.ask("GET", path)
    assert (answer.status, answer.code) == (410, "sandbox_reaped")
