"""What pages say of a wallet is true now: its rate, that nobody answers, that a pass has ended. Over a gate in this process."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Route

from actors.wallet import commands as c
from actors.wallet.state import Plan
from tests.gate.gatehouse import OPERATOR_TOKEN, House, Who, gatehouse
from tests.pages.browsing import Visit, visiting

pytestmark = pytest.mark.asyncio(loop_scope="session")

RATE = 7_000
LATER_MS = 9_000
OFFLINE = "document.body.dataset.offline === '{}'"
STATES = "document.getElementById('state').textContent === {!r}"


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def house(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[House]:
    folder: Path = tmp_path_factory.mktemp("house")
    async with gatehouse(folder, {"nano": 10}, public_url="https://satbox.example") as made:
        yield made


async def public_agent(house: House) -> Who:
    """Whose sandbox runs, and whose page everybody may see."""
    who = await house.agent()
    ask = house.services.system.ask
    await ask(who.address, c.Prepare("create", Plan("nano"), RATE))
    await ask(who.address, c.Deposit(f"pay_{who.name}", "SPpayer", 900_000_000, who.name, "sBTC"))
    await ask(who.address, c.SetVisibility(True))
    await house.until(lambda: house.state(who).phase == "alive")
    return who


async def opened(house: House, visit: Visit, path: str) -> None:
    """With a clock that can be put forward."""
    visit.origin = str(house.client.make_url("")).rstrip("/")
    await visit.page.clock.install()
    await visit.open(path)


async def refuse(route: Route) -> None:
    await route.fulfill(status=503, json={"error": {"code": "overloaded", "message": "Too much at once."}})


async def test_a_page_stands_still_while_nobody_answers_and_says_what_is_true_afterwards(
    house: House, browser: Browser
) -> None:
    who = await public_agent(house)
    operator = {"Authorization": f"Bearer {OPERATOR_TOKEN}"}
    async with visiting(browser, "") as visit:
        for times, path in enumerate((f"/agent/{who.address}", f"/wake/{who.address}"), 1):
            await opened(house, visit, path)
            await visit.until(STATES.format("Alive"))
            assert await visit.text("#burns-unit") == "sats an hour"
            if times == 1:
                await visit.context.set_offline(True)
            else:
                await visit.context.route("**/pages/**", refuse)
            await visit.page.clock.fast_forward(LATER_MS)
            await visit.until(OFFLINE.format("yes"))
            stood = await visit.text("#balance")
            await visit.page.clock.fast_forward(LATER_MS)
            assert await visit.text("#balance") == stood

            changed = {"address": who.address, "rate_usat_per_second": (1 + times) * RATE}
            assert (await house.ask("POST", "/operator/rate", headers=operator, json=changed)).status == 200
            await visit.context.set_offline(False)
            await visit.context.unroute_all()
            await visit.page.clock.fast_forward(LATER_MS)
            await visit.until(OFFLINE.format("no"))
            assert await visit.text("#burns") == f"{(1 + times) * 25.2:.2f}"
            await visit.until(f"document.getElementById('balance').textContent !== {stood!r}")


async def test_the_front_page_stands_still_while_nobody_answers(house: House, browser: Browser) -> None:
    await public_agent(house)
    async with visiting(browser, "") as visit:
        await opened(house, visit, "/")
        await visit.until("document.body.dataset.offline === 'no'")
        await visit.context.set_offline(True)
        await visit.page.clock.fast_forward(LATER_MS)
        await visit.until(OFFLINE.format("yes"))
        stood = await visit.text("#burnt")
        await visit.page.clock.fast_forward(600_000)
        assert await visit.text("#burnt") == stood
        said = "getComputedStyle(document.querySelector('.counters'), '::after').content"
        assert "No connection" in await visit.page.evaluate(said)
        await visit.context.set_offline(False)
        await visit.page.clock.fast_forward(LATER_MS)
        await visit.until(OFFLINE.format("no"))


async def test_a_pass_that_ends_closes_the_desk_and_leaves_what_is_public(house: House, browser: Browser) -> None:
    who = await public_agent(house)
    async with visiting(browser, "") as visit:
        await opened(house, visit, f"/agent/{who.address}")
        for epoch in (0, 1):
            await visit.page.fill("#pass", house.bearer(who, epoch=epoch)["Authorization"])
            await visit.page.press("#pass", "Enter")
            await visit.until("!document.getElementById('desk').hidden")
            assert not await visit.page.is_visible("#entry")
            await house.services.system.ask(who.address, c.RevokePasses())
            await house.advance(2)
            await visit.page.clock.fast_forward(LATER_MS)
            await visit.until("!document.getElementById('refused').hidden")
            await visit.page.clock.fast_forward(LATER_MS)
            assert not await visit.page.is_visible("#desk")
            assert await visit.page.is_visible("#inside")
            said = await visit.text("#entry")
            assert "Its owner's pass shows the rest" in said
            assert "revoked by its owner" in said
            assert "POST" not in said
