"""The front page and the dashboard in a real browser, over a whole gate in this process with five hundred wallets."""

import asyncio
import hashlib
import os
import random
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import Browser

from actors.wallet import commands as c
from actors.wallet.state import Plan
from gate.wire.answers import METRICS
from stacks import Network, PrivateKey
from tests.gate.gatehouse import OPERATOR_TOKEN, House, gatehouse
from tests.pages.browsing import DESKTOP, PHONE, Visit, visiting
from tests.pages.reading import FAULTS

pytestmark = pytest.mark.asyncio(loop_scope="session")

COUNT = 500
FRAME_MS_MAX = 50
WINDOW_SECONDS = 5
WINDOWS = 4
ROWS = "document.querySelectorAll('#rows tr').length"
SORTED = """(() => {
  const cells = [...document.querySelectorAll("#rows tr td:nth-child(3)")].map((c) => Number(c.textContent.replaceAll(",", "")));
  return cells.every((amount, index) => index === 0 || amount <= cells[index - 1] + 1);
})()"""
WATCH_FRAMES = """
window.long_tasks = [];
new PerformanceObserver((list) => list.getEntries().forEach((entry) => long_tasks.push(entry.duration)))
  .observe({ type: "longtask" });
"""


def address(number: int) -> str:
    return str(PrivateKey(hashlib.sha256(f"wallet {number}".encode()).digest()).address(Network.TESTNET))


async def deposit(house: House, number: int, payment: str, usat: int) -> None:
    await house.services.system.ask(address(number), c.Deposit(payment, "SPpayer", usat, payment, "sBTC"))


async def populate(house: House, count: int) -> None:
    """Wallets of several sizes and balances, most of them running, every fifth put to sleep."""
    chance = random.Random(5)

    async def make(number: int, plan: Plan, rate: int, usat: int) -> None:
        await house.services.system.ask(address(number), c.Prepare("create", plan, rate))
        await deposit(house, number, f"pay_{number}", usat)
        if number % 5 == 0:
            await house.services.system.ask(address(number), c.Reap())

    for begin in range(0, count, 50):
        await asyncio.gather(
            *(
                make(
                    number,
                    Plan(chance.choice(("nano", "small"))),
                    chance.choice((3_500, 7_000, 14_000)),
                    int(10 ** chance.uniform(7, 10.5)),
                )
                for number in range(begin, min(count, begin + 50))
            )
        )


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def house(browser: Browser) -> AsyncIterator[House]:
    """In memory where there is such a folder: five hundred wallets write to five hundred files."""
    slots = {"nano": COUNT, "small": COUNT, "medium": 1}
    memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    with tempfile.TemporaryDirectory(dir=memory, prefix="satbox-pages-") as folder:
        async with gatehouse(Path(folder), slots, public_url="https://satbox.example") as made:
            await populate(made, COUNT)
            yield made


def origin(house: House) -> str:
    return str(house.client.make_url("")).rstrip("/")


async def enter(visit: Visit) -> None:
    await visit.open("/dashboard")
    await visit.page.fill("#token", OPERATOR_TOKEN)
    await visit.page.press("#token", "Enter")
    await visit.until(f"{ROWS} === {COUNT}")


async def test_the_front_page_says_what_this_is_and_counts(house: House, browser: Browser) -> None:
    async with visiting(browser, origin(house)) as visit:
        await visit.open("/")
        before = await visit.text("#burnt")
        await visit.until(f"document.getElementById('burnt').textContent !== {before!r}")
        assert await visit.text("#wallets") == f"{COUNT:,}"
        assert "the median of" in await visit.text("#prices")
        await visit.shot("front")
        await visit.page.fill("#handle", "@jack")
        await visit.page.press("#handle", "Enter")
        await visit.until("document.body.textContent.includes('X handles cannot be looked up')")
    async with visiting(
        browser, origin(house), viewport=PHONE, color_scheme="dark", java_script_enabled=False
    ) as visit:
        await visit.open("/")
        assert f"{COUNT:,}" in await visit.text(".counters")
        await visit.shot("front-phone-dark")


async def test_machines_find_at_the_root_where_to_read_on(house: House) -> None:
    for accepted in ("application/json", "*/*"):
        answer = await house.ask("GET", "/", headers={"Accept": accepted})
        assert (answer.status, answer.body["name"]) == (200, "satbox")


async def test_people_find_a_page_where_nothing_is(house: House) -> None:
    browsing = await house.ask("GET", "/nothing/here", headers={"Accept": "text/html,*/*"})
    machine = await house.ask("GET", "/nothing/here", headers={"Accept": "*/*"})

    assert (browsing.status, machine.status, machine.code) == (404, 404, "not_found")
    assert b"<h1>Not found</h1>" in browsing.raw
    assert b"openapi" not in browsing.raw.split(b"<main")[1].split(b"</main>")[0]


async def test_the_dashboard_opens_to_the_operator_alone(house: House, browser: Browser) -> None:
    who = await house.agent()
    assert (await house.ask("GET", "/pages/overview")).code == "pass_missing"
    assert (await house.ask("GET", "/pages/overview", who=who)).code == "operator_only"
    async with visiting(browser, origin(house)) as visit:
        await visit.open("/dashboard")
        await visit.page.fill("#token", "guessed")
        await visit.page.press("#token", "Enter")
        await visit.until("!document.getElementById('refused').hidden")
        assert "operator" in await visit.text("#refused")
        assert await visit.page.evaluate("sessionStorage.length") == 0


async def test_the_dashboard_shows_sorts_and_searches(house: House, browser: Browser) -> None:
    async with visiting(browser, origin(house)) as visit:
        await enter(visit)
        await visit.until("document.getElementById('p-sources').textContent.includes('kraken')")
        assert await visit.text("#t-wallets") == f"{COUNT:,}"
        assert "Asleep" in await visit.text("#p-states")
        await visit.page.click("button[data-sort=balance]")
        await visit.until("document.querySelector('th[aria-sort=descending] button')?.dataset.sort === 'balance'")
        await visit.until(SORTED)
        await visit.page.set_viewport_size({"width": 1180, "height": 1240})
        await visit.page.evaluate("scrollTo(0, 0)")
        await visit.shot("dashboard", whole=False)
        await visit.page.fill("#search", address(7))
        await visit.until(f"{ROWS} === 1")
        before = await visit.text("#rows td:nth-child(3)")
        await deposit(house, 7, "pay_seven", 7_000_000_000)
        await visit.until(f"document.querySelector('#rows td:nth-child(3)').textContent !== {before!r}")
        await visit.page.reload()
        await visit.until(f"{ROWS} === {COUNT}")  # the tab kept the token
    async with visiting(browser, origin(house), viewport=PHONE, color_scheme="dark") as visit:
        await enter(visit)
        await asyncio.sleep(0.5)
        await visit.shot("dashboard-phone-dark")


async def test_the_dashboard_tells_what_calls_come_to(house: House, browser: Browser) -> None:
    async def earn(number: int) -> None:
        await house.services.system.ask(address(3), c.Earn(f"order_{number}", address(4), 50_000_000))

    await earn(1)
    async with visiting(browser, origin(house)) as visit:
        await enter(visit)
        await visit.until("document.getElementById('t-earned').textContent === '49.00'")
        assert await visit.text("#t-fees") == "1.00"
        await visit.until("document.getElementById('t-calls').textContent === '0'")
        house.client.server.runner.app[METRICS].calls_paid.inc(40)
        await earn(2)
        await visit.until("Number(document.getElementById('t-calls').textContent.replaceAll(',', '')) >= 40")
        await visit.until("document.getElementById('t-earned').textContent === '98.00'")
        assert await visit.text("#t-fees") == "2.00"
        await visit.page.set_viewport_size({"width": 1180, "height": 900})
        await visit.shot("dashboard-calls", whole=False)


async def test_five_hundred_wallets_tick_without_a_long_frame(house: House, browser: Browser) -> None:
    """In the best of a few windows: the machine that runs tests has other work too."""
    worst: list[float] = []
    ending = asyncio.Event()

    async def busy() -> None:
        for number in range(10_000):
            await deposit(house, number % COUNT, f"pay_busy_{number}", 1_000_000)
            try:
                async with asyncio.timeout(0.1):
                    await ending.wait()
            except TimeoutError:
                continue
            return

    async with visiting(browser, origin(house)) as visit:
        await enter(visit)
        await visit.page.evaluate(WATCH_FRAMES)
        paying = asyncio.create_task(busy())
        for _ in range(WINDOWS):
            await visit.page.evaluate("long_tasks.length = 0")
            await asyncio.sleep(WINDOW_SECONDS)
            worst.append(max([0.0, *await visit.page.evaluate("long_tasks")]))
            if worst[-1] <= FRAME_MS_MAX:
                break
        ending.set()
        await paying
    print(f"longest task of each window, ms: {worst}")

    assert min(worst) <= FRAME_MS_MAX, worst


async def test_a_lost_stream_comes_back(house: House, browser: Browser) -> None:
    async with visiting(browser, origin(house)) as visit:
        await enter(visit)
        await visit.context.set_offline(True)
        for connection in list(house.client.server.runner.server.connections):
            if connection.transport is not None:
                connection.transport.abort()
        await visit.until("document.getElementById('live').textContent.startsWith('No connection')")
        await visit.context.set_offline(False)
        await visit.until("document.getElementById('live').textContent === 'Live'")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
async def test_everybody_can_read_and_work_every_page(
    house: House, browser: Browser, scheme: str, size: dict[str, int]
) -> None:
    async with visiting(browser, origin(house), viewport=size, color_scheme=scheme) as visit:
        await enter(visit)
        found = {"/dashboard": await visit.page.evaluate(FAULTS)}
        for path in ("/", f"/wake/{address(5)}", f"/wake/{address(6)}", f"/agent/{address(6)}", "/wake/@jack"):
            await visit.open(path)
            await asyncio.sleep(0.1)
            found[path] = await visit.page.evaluate(FAULTS)

    assert {path: faults for path, faults in found.items() if faults} == {}


async def test_the_wake_page_works_by_keyboard(house: House, browser: Browser) -> None:
    async with visiting(browser, origin(house)) as visit:
        await visit.open(f"/wake/{address(5)}")
        await visit.page.keyboard.press("Tab")
        assert await visit.page.evaluate("document.activeElement.textContent") == "Skip to content"
        reached = []
        for _ in range(14):
            await visit.page.keyboard.press("Tab")
            reached.append(await visit.page.evaluate("document.activeElement.name || document.activeElement.id"))
        assert {"span", "coin"} <= set(reached)
        await visit.page.focus("input[name=span]")
        await visit.page.keyboard.press("ArrowRight")
        await visit.page.keyboard.press("ArrowRight")
        assert await visit.page.is_visible("#hours")
        await visit.page.fill("#hours", "2")
        assert "26 sats" in await visit.text("#how-long")
