"""Anybody may ask for a payer's next nonce; the chain hears of few of them."""

import asyncio

from gate.outside.next_nonces import NextNonces
from gate.outside.turns import ASKED_PER_SECOND_MAX, AT_ONCE_MAX
from operations.errors import SatboxError
from tests.gate.gatehouse import House


async def test_the_page_s_route_asks_the_chain_once_for_many(house: House) -> None:
    who = await house.agent()
    answers = [await house.ask("GET", f"/pages/payers/{who.address}") for _ in range(5)]

    assert {answer.status for answer in answers} == {200}
    assert isinstance(house.services.next_nonce, NextNonces)


async def test_an_answer_is_kept_for_a_second_and_asked_for_once() -> None:
    now, asked, go_on = [0], [], asyncio.Event()

    async def ask(address: str) -> int:
        asked.append(address)
        await go_on.wait()
        return len(asked)

    nonces = NextNonces(ask, lambda: now[0])
    both = [asyncio.ensure_future(nonces("a")) for _ in range(50)]
    await asyncio.sleep(0)
    go_on.set()
    assert await asyncio.gather(*both) == [1] * 50
    now[0] = 999
    assert await nonces("a") == 1
    now[0] = 1_000
    assert await nonces("a") == 2
    assert asked == ["a", "a"]


async def test_the_chain_is_asked_by_few_at_once_and_seldom() -> None:
    now, go_on = [0], asyncio.Event()

    async def ask(address: str) -> int:
        await go_on.wait()
        return 7

    nonces = NextNonces(ask, lambda: now[0])
    asks = [asyncio.ensure_future(nonces(f"a{k}")) for k in range(100)]
    await asyncio.sleep(0)
    go_on.set()
    outcomes = await asyncio.gather(*asks, return_exceptions=True)
    assert outcomes.count(7) == AT_ONCE_MAX
    assert {outcome.code for outcome in outcomes if isinstance(outcome, SatboxError)} == {"overloaded"}

    more = [await settled(nonces, f"b{k}") for k in range(100)]
    assert more.count(7) == ASKED_PER_SECOND_MAX - AT_ONCE_MAX
    now[0] = 1_000
    assert await nonces("c") == 7


async def settled(nonces: NextNonces, address: str) -> int | str:
    try:
        return await nonces(address)
    except SatboxError as error:
        return error.code


async def test_a_failure_is_not_kept() -> None:
    outcomes = iter([ConnectionError("gone"), 3])

    async def ask(address: str) -> int:
        outcome = next(outcomes)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    nonces = NextNonces(ask, lambda: 0)
    try:
        await nonces("a")
        raise AssertionError("it did not fail")
    except ConnectionError:
        assert await nonces("a") == 3
