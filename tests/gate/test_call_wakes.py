"""Waking by call: who pays for a sandbox that sleeps without credit, and what it runs on before the payment confirms."""

from pathlib import Path

from aiohttp import web

from actors.wallet.calls import Route
from actors.wallet.commands import SetRoutes
from actors.wallet.state import Phase
from tests.gate.gatehouse import Answer, House, Who, gatehouse, header_of
from tests.gate.inside import serving

UP = ("alive", "grace")


async def asleep(house: House, *, seconds: float = 142.0) -> Who:
    """A seller whose sandbox sleeps without credit, behind a route that wakes it."""
    seller = await house.agent()
    await house.created(seller, 1)
    routes = SetRoutes((Route(8000, "/*", wakes=True, wakes_per_hour=100),))
    house.services.views.put(await house.services.system.ask(seller.address, routes))
    await house.advance(seconds)
    await house.until(lambda: house.state(seller).phase in (Phase.GRACE, Phase.STOPPING, Phase.REAPED))
    await house.advance(10.0)
    await house.until(lambda: house.state(seller).phase is Phase.REAPED)
    house.services.views.put(await house.services.views.get(seller.address, fresh=True))
    return seller


async def paid_wake(house: House, seller: Who, payer: Who, *, with_pass: bool = False) -> Answer:
    """One wake, paid as the 402 asks for."""
    url = f"/sandbox/proxy/{seller.address}/8000/x"
    offered = await house.ask("GET", url)
    assert offered.status == 402, offered.raw
    accepted = next(entry for entry in offered.body["accepts"] if entry["asset"].endswith("sbtc-token"))
    assert accepted["extra"]["purpose"] == "wake"
    headers = {"payment-signature": header_of(house.sbtc(payer, int(accepted["amount"])), accepted)}
    return await house.ask("GET", url, who=payer if with_pass else None, headers=headers)


async def starts_by_failing_payments(house: House, rides: int, *, with_pass: bool = False) -> list[bool]:
    """Whether each of several fresh keys has the sandbox started by a payment that then fails."""
    seller, started = await asleep(house), []
    for _ in range(rides):
        payer = await house.agent()
        await house.fault("abort", count=1, address=payer.address)
        answer = await paid_wake(house, seller, payer, with_pass=with_pass)
        assert answer.status in (201, 202), answer.raw
        started.append(answer.body["sandbox"]["state"] in UP)
        await house.advance(5.0)
        assert (await house.settled(answer.body["paymentId"])).state == "failed"
        await house.until(lambda: house.state(seller).phase is Phase.REAPED and not house.state(seller).losses)
        await house.until(lambda: not house.state(seller).pending)
        await house.services.views.get(seller.address, fresh=True)
    return started


async def test_keys_that_nobody_registered_start_nothing_before_they_have_paid(house: House) -> None:
    assert await starts_by_failing_payments(house, 3) == [False, False, False]


async def test_a_wake_that_confirms_starts_the_sandbox(house: House) -> None:
    seller, payer = await asleep(house), await house.agent()
    answer = await paid_wake(house, seller, payer)
    assert (answer.status, answer.body["sandbox"]["state"]) == (202, "reaped")
    again = await house.ask("GET", f"/sandbox/proxy/{seller.address}/8000/x")
    assert (again.status, again.code) == (409, "sandbox_starting"), "nobody is asked for a second payment meanwhile"
    assert (await house.settled(answer.body["paymentId"])).state == "confirmed"
    await house.until(lambda: house.state(seller).phase is Phase.ALIVE)


async def test_where_an_operator_trusts_the_mempool_one_failure_bars_every_other_key(tmp_path: Path) -> None:
    async with gatehouse(tmp_path, wake_calls_on_mempool=True) as house:
        assert await starts_by_failing_payments(house, 3) == [True, False, False]


async def test_a_pass_answers_for_the_wakes_that_it_pays(house: House) -> None:
    seller, payer = await asleep(house), await house.agent()
    await house.fault("abort", count=1, address=payer.address)
    answer = await paid_wake(house, seller, payer, with_pass=True)
    assert answer.body["sandbox"]["state"] in UP
    await house.advance(5.0)
    assert (await house.settled(answer.body["paymentId"])).state == "failed"
    await house.until(lambda: house.state(seller).phase is Phase.REAPED and not house.state(seller).losses)
    assert await house.settlements.open_loss(payer.address) > 0


async def hello(request: web.Request) -> web.Response:
    return web.Response(text="served")


async def called(house: House, seller: Who, path: str) -> Answer:
    """A call by a fresh key, paid on chain."""
    headers = {"payment-signature": header_of(house.sbtc(await house.agent(), 10))}
    return await house.ask("GET", f"/sandbox/proxy/{seller.address}/8000/{path}", headers=headers)


async def test_what_a_seller_gives_away_to_all_keys_together_is_bounded(tmp_path: Path) -> None:
    """Payers are made for nothing. Beyond the bound calls wait for their confirmation; what confirms makes room again."""
    async with gatehouse(tmp_path, call_unconfirmed_sats_max=50, call_wait_seconds=0.0) as house:
        seller = await house.agent()
        await house.created(seller, 500)
        routes = SetRoutes((Route(8000, "/*", sats=10, deliver_on="mempool"),))
        house.services.views.put(await house.services.system.ask(seller.address, routes))
        await house.fault("hold_confirmations")
        async with serving(house, hello) as inside:
            inside.is_listening = False
            for number in range(8):
                assert (await called(house, seller, f"closed{number}")).status == 502, "what fails gives nothing away"
            inside.is_listening = True
            answers = [await called(house, seller, str(number)) for number in range(12)]
            assert [answer.status for answer in answers] == [200] * 5 + [202] * 7
            await house.heal()
            for answer in answers[5:]:
                assert (await house.settled(answer.body["paymentId"])).state == "confirmed"
            house.clock.ahead_ms += 1_000
            assert (await called(house, seller, "again")).status == 200


async def test_what_fails_counts_against_the_bound_for_a_day(tmp_path: Path) -> None:
    async with gatehouse(tmp_path, call_unconfirmed_sats_max=10, call_wait_seconds=0.0) as house:
        seller = await house.agent()
        await house.created(seller, 500)
        routes = SetRoutes((Route(8000, "/*", sats=10, deliver_on="mempool"),))
        house.services.views.put(await house.services.system.ask(seller.address, routes))
        async with serving(house, hello):
            await house.fault("abort", count=1)
            assert (await called(house, seller, "first")).status == 200
            (failing,) = house.world.chain.pending.values()
            house.world.mine()
            await house.until(lambda: failing.txid not in house.world.chain.pending)
            for _ in range(3):
                house.clock.ahead_ms += 3_600_000
                assert (await called(house, seller, "next")).status == 202


async def test_a_deposit_that_never_confirms_gives_nothing(house: House) -> None:
    """Neither a start nor longer grace: its payer is nobody."""
    seller, payer = await asleep(house), await house.agent()
    await house.fault("hold_confirmations")
    headers = {"payment-signature": header_of(house.sbtc(payer, 900))}
    answer = await house.ask("POST", "/bucket/deposit", headers=headers, json={"address": seller.address, "sats": 900})
    assert (answer.status, answer.body["sandbox"]["state"]) == (202, "reaped")
    (pending,) = house.state(seller).pending
    assert (pending.granted_usat, pending.wakes) == (0, False)

    running = await house.agent()
    await house.heal()
    await house.created(running, 1)
    await house.advance(142.0)
    await house.until(lambda: house.state(running).phase is Phase.GRACE)
    await house.fault("hold_confirmations")
    headers = {"payment-signature": header_of(house.sbtc(payer, 900))}
    await house.ask("POST", "/bucket/deposit", headers=headers, json={"address": running.address, "sats": 900})
    for _ in range(5):
        await house.advance(2.0)
    await house.until(lambda: house.state(running).phase in (Phase.STOPPING, Phase.REAPED))
