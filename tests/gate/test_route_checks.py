"""An owner may ask which route a call would fall under; the answer is the one that callers get."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from actors.wallet.calls import Route
from actors.wallet.commands import SetRoutes
from tests.gate.gatehouse import House, Who, gatehouse

ROUTES = (
    Route(8000, "/answer", methods=("POST",), sats=7, wakes=True),
    Route(8000, "/free/*", sats=0, callers="genesis"),
    Route(9000, "/*", sats=1),
)


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with gatehouse(tmp_path) as made:
        yield made


@pytest.fixture
async def owner(house: House) -> Who:
    who = await house.agent()
    await house.created(who, 500)
    house.services.views.put(await house.services.system.ask(who.address, SetRoutes(ROUTES)))
    return who


async def check(house: House, who: Who, **asked: str) -> Any:
    query = "&".join(f"{name}={value}" for name, value in asked.items())
    return await house.ask("GET", f"/sandbox/routes/check?{query}", who=who)


@pytest.mark.parametrize(
    ("asked", "route", "sats", "callers"),
    [
        ({"port": "8000", "path": "/answer", "method": "POST"}, 1, 7, "anyone"),
        ({"port": "8000", "path": "/answer"}, None, 0, "holders"),
        ({"port": "8000", "path": "/free/x"}, 2, 0, "genesis"),
        ({"port": "9000", "path": "/x%3Fy"}, 3, 1, "anyone"),
        ({"port": "9001", "path": "/"}, None, 0, "holders"),
    ],
)
async def test_it_names_the_route_and_its_price(
    house: House, owner: Who, asked: dict[str, str], route: int | None, sats: int, callers: str
) -> None:
    answer = await check(house, owner, **asked)
    assert answer.status == 200
    assert (answer.body["route"], answer.body["sats"], answer.body["callers"]) == (route, sats, callers)


async def test_a_path_that_is_read_in_two_ways_is_refused_as_its_call_would_be(house: House, owner: Who) -> None:
    asked = {"port": "8000", "path": "/free/../answer", "method": "POST"}
    assert (await check(house, owner, **asked)).code == "path_ambiguous"


async def test_nobody_else_may_ask(house: House, owner: Who) -> None:
    stranger = await house.agent()
    asked = {"port": "8000", "path": "/answer", "address": owner.address}
    assert (await check(house, stranger, **asked)).code == "not_owner"


async def test_a_wallet_without_a_sandbox_has_none(house: House) -> None:
    assert (await check(house, await house.agent(), port="8000", path="/")).code == "wallet_not_found"
