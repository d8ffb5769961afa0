"""Which pass a page uses, and what becomes of one that is none, is another's, or has ended. Over a gate in this process."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Route

from actors.wallet import commands as c
from satbox.agent.keystore import Agent, new_agent
from stacks import Network
from tests.gate.gatehouse import OPERATOR_TOKEN, House, Who, gatehouse
from tests.pages.browser_wallet import BrowserWallet
from tests.pages.browsing import Visit, visiting

pytestmark = pytest.mark.asyncio(loop_scope="session")

DESK = "!document.getElementById('desk').hidden"
REFUSED = "!document.getElementById('refused').hidden"
TROUBLE = "!document.getElementById('trouble').hidden"
READY = "!document.getElementById('go').disabled"
KEPT = "JSON.stringify(localStorage)"
SATS = 500


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def house(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[House]:
    async with gatehouse(tmp_path_factory.mktemp("house"), {"nano": 10, "small": 10}) as made:
        yield made


def at(house: House, visit: Visit) -> Visit:
    visit.origin = str(house.client.make_url("")).rstrip("/")
    return visit


async def asleep(house: House) -> Who:
    """Put to sleep by its owner, with credit."""
    who = await house.agent()
    await house.created(who, SATS)
    assert (await house.ask("POST", "/sandbox/reap", who=who, json={})).status == 200
    await house.until(lambda: house.state(who).phase == "reaped")
    return who


def token_of(house: House, who: Who) -> str:
    return house.bearer(who)["Authorization"].removeprefix("Bearer ")


async def give(visit: Visit, text: str) -> None:
    await visit.page.fill("#pass", text)
    await visit.page.press("#pass", "Enter")


async def payer(house: House) -> Agent:
    """A Genesis agent with both keys and funds."""
    agent = await asyncio.to_thread(new_agent, "payer")
    pair = agent.addresses(Network.MAINNET)
    await house.devnet_post("agents", {"btcAddress": pair.btc, "stxAddress": pair.stx, "level": 2})
    await house.devnet_post("faucet", {"address": agent.testnet.stx, "stx": 50_000_000, "sbtc": 100_000})
    return agent


async def test_a_pass_is_used_for_the_agent_that_it_names_and_for_no_other(house: House, browser: Browser) -> None:
    mine, others = await asleep(house), await asleep(house)
    async with visiting(browser, "") as visit:
        at(house, visit)
        await visit.open(f"/agent/{mine.address}")
        await give(visit, token_of(house, others))
        await visit.until(REFUSED)
        assert not await visit.page.is_visible("#desk")
        await visit.open(f"/wake/{mine.address}")
        await visit.page.wait_for_load_state("networkidle")
        assert not await visit.page.is_visible("#with-credit"), "another's pass does not wake it"
        assert await visit.page.is_disabled("#go")

        await visit.open(f"/agent/{others.address}")
        await give(visit, token_of(house, others))
        await visit.until(DESK)
        await visit.open(f"/agent/{mine.address}")
        await give(visit, token_of(house, mine))
        await visit.until(DESK)
        await visit.page.go_back()
        await visit.until(DESK)
        await visit.open(f"/wake/{mine.address}")
        await visit.until(READY)
        await visit.page.click("#go")
        await house.until(lambda: house.state(mine).phase == "alive")

    assert house.state(others).phase == "reaped"


async def test_what_is_no_pass_is_refused_and_not_taken_for_a_gate_that_is_away(house: House, browser: Browser) -> None:
    who = await asleep(house)
    token = token_of(house, who)
    async with visiting(browser, "") as visit:
        at(house, visit)
        for text in ("“smart”", "a.b.c", "aaa.bnVsbA.x"):
            await visit.open(f"/agent/{who.address}")
            await give(visit, text)
            await visit.until(REFUSED)
            assert "no gate pass" in await visit.text("#refused")
            assert await visit.page.evaluate("document.body.dataset.offline") != "yes"
            await visit.open(f"/wake/{who.address}")
            await visit.page.click("summary")
            await give(visit, text)
            await visit.until(TROUBLE)
            assert "no gate pass" in await visit.text("#trouble")
        await visit.open("/dashboard")
        await visit.page.fill("#token", "“token”")
        await visit.page.press("#token", "Enter")
        await visit.until(REFUSED)
        assert "characters that none has" in await visit.text("#refused")

        await visit.open(f"/agent/{who.address}")
        await give(visit, f"Bearer “{token[:20]}\u200b{token[20:]}”")
        await visit.until(DESK)


async def test_an_operator_may_be_the_owner_too(house: House, browser: Browser) -> None:
    who = await asleep(house)
    async with visiting(browser, "") as visit:
        at(house, visit)
        await visit.open("/dashboard")
        await visit.page.fill("#token", OPERATOR_TOKEN)
        await visit.page.press("#token", "Enter")
        await visit.until("!document.getElementById('board').hidden")
        await visit.open(f"/agent/{who.address}")
        await visit.until("!document.getElementById('inside').hidden")
        assert await visit.page.is_visible("#entry")
        await give(visit, token_of(house, who))
        await visit.until(DESK)


async def test_a_payers_pass_that_has_ended_is_forgotten_and_proven_anew(house: House, browser: Browser) -> None:
    who, agent = await asleep(house), await payer(house)
    wallet = BrowserWallet(agent)
    ended, _ = house.services.passes.issue(agent.testnet.stx, agent.testnet.btc, 2, "extend", 0)
    await house.services.system.ask(agent.testnet.stx, c.RevokePasses())
    async with visiting(browser, "") as visit:
        at(house, visit)
        await wallet.join(visit)
        await visit.open(f"/wake/{who.address}")
        await visit.page.click("summary")
        await give(visit, ended)
        await visit.until(READY)
        await visit.page.click("#go")
        await house.until(lambda: wallet.signed)
        await visit.until("document.querySelector('[data-step=settle]').dataset.state === 'done'")

    assert wallet.asked.count("signMessage") == 1


async def test_an_owners_pass_that_has_ended_is_forgotten(house: House, browser: Browser) -> None:
    who = await asleep(house)
    token = token_of(house, who)
    await house.services.system.ask(who.address, c.RevokePasses())
    await house.advance(2)
    async with visiting(browser, "") as visit:
        at(house, visit)
        await visit.open(f"/wake/{who.address}")
        await visit.page.click("summary")
        await give(visit, token)
        await visit.until(READY)
        await visit.page.click("#go")
        await visit.until(TROUBLE)
        said = await visit.text("#trouble")
        assert "revoked by its owner" in said
        assert "POST" not in said
        await visit.page.reload()
        await visit.page.wait_for_load_state("networkidle")
        assert not await visit.page.is_visible("#with-credit")


async def test_a_link_is_asked_about_until_the_gate_answers(house: House, browser: Browser) -> None:
    who = await asleep(house)
    made = await house.ask("POST", "/sandbox/wake-links", who=who, json={"scopes": ["wake"]})
    path = made.body["url"].partition("/wake/")[2]
    times = 0

    async def away_twice(route: Route) -> None:
        nonlocal times
        times += 1
        if times == 1:
            await route.abort("connectionreset")
        elif times == 2:
            await route.fulfill(status=503, json={"error": {"code": "overloaded", "message": "Too much at once."}})
        else:
            await route.continue_()

    async with visiting(browser, "") as visit:
        at(house, visit)
        await visit.context.route("**/sandbox/wake-links/info", away_twice)
        await visit.open(f"/wake/{path}")
        await visit.until(TROUBLE)
        assert "asks again by itself" in await visit.text("#trouble")
        assert await visit.page.is_disabled("#go")
        await visit.until(READY)
        assert not await visit.page.is_visible("#trouble")
        assert await visit.text("#go") == "Wake it"


@pytest.mark.parametrize("fragment", ["%", "main", "swl_%E0", "swl_\u201cx\u201d"])
async def test_a_fragment_that_is_no_link_does_not_stop_the_page(house: House, browser: Browser, fragment: str) -> None:
    who = await asleep(house)
    async with visiting(browser, "") as visit:
        at(house, visit)
        await BrowserWallet(await payer(house)).join(visit)
        await visit.open(f"/wake/{who.address}#{fragment}")
        await visit.until(READY)
        assert await visit.page.is_visible("#trouble") == fragment.startswith("swl_")


async def test_a_payment_that_the_gate_does_not_know_can_be_forgotten(house: House, browser: Browser) -> None:
    who = await asleep(house)
    kept: dict[str, Any] = {
        "path": "/sandbox/extend",
        "body": {},
        "header": "eyJ9",
        "sats": 5,
        "symbol": "sBTC",
        "at": 0,
    }
    kept["paymentId"] = "pay_" + "0" * 32
    async with visiting(browser, "") as visit:
        at(house, visit)
        await visit.open(f"/wake/{who.address}")
        name = f"satbox.payment.{who.address}"
        await visit.page.evaluate("([name, kept]) => localStorage.setItem(name, JSON.stringify(kept))", [name, kept])
        await visit.page.reload()
        await visit.until(TROUBLE)
        said = await visit.text("#trouble")
        assert "does not know the payment" in said
        assert "Nothing was paid" not in said
        assert await visit.page.evaluate(KEPT) != "{}", "only a person says that it is over"
        await visit.page.get_by_role("button", name="Forget it").click()
        assert await visit.page.evaluate(KEPT) == "{}"


async def test_a_payment_that_the_relay_holds_is_explained(house: House, browser: Browser) -> None:
    who = await asleep(house)
    await house.fault("hold_nonce")
    try:
        async with visiting(browser, "") as visit:
            at(house, visit)
            await BrowserWallet(await payer(house)).join(visit)
            await visit.open(f"/wake/{who.address}")
            await visit.until(READY)
            await visit.page.click("#go")
            await visit.until(
                "document.getElementById('steps').innerText.includes('may hold it for up to ten minutes')"
            )
            await visit.shot("wake-held")
    finally:
        await house.heal()


async def test_a_refusal_for_programs_is_said_in_words_for_people(house: House, browser: Browser) -> None:
    who = await asleep(house)
    wallet = BrowserWallet(await payer(house))
    wallet._signMessage = lambda params: {"signature": "AAAA", "address": params["address"]}  # type: ignore[method-assign]
    async with visiting(browser, "") as visit:
        at(house, visit)
        await wallet.join(visit)
        await visit.open(f"/wake/{who.address}")
        await visit.until(READY)
        await visit.page.click("#go")
        await visit.until(TROUBLE)
        said = await visit.text("#trouble")
        assert "Nothing was paid" in said
        assert "details" not in said


async def test_two_clicks_pay_once_and_are_one_tab(house: House, browser: Browser) -> None:
    who = await asleep(house)
    wallet = BrowserWallet(await payer(house))
    async with visiting(browser, "") as visit:
        at(house, visit)
        await wallet.join(visit)
        await visit.open(f"/wake/{who.address}")
        await visit.until(READY)
        await visit.page.dblclick("#go")
        await visit.until("document.querySelector('[data-step=settle]')?.dataset.state === 'done'")
        assert not await visit.page.is_visible("#trouble")

    assert len(wallet.signed) == 1


async def test_a_lost_answer_to_a_wake_is_not_called_unsent(house: House, browser: Browser) -> None:
    who = await asleep(house)

    async def lose(route: Route) -> None:
        await route.fetch()
        await route.abort("connectionreset")

    async with visiting(browser, "") as visit:
        at(house, visit)
        await visit.context.route("**/sandbox/wake", lose)
        await visit.open(f"/wake/{who.address}")
        await visit.page.click("summary")
        await give(visit, token_of(house, who))
        await visit.until(READY)
        await visit.page.click("#go")
        await house.until(lambda: house.state(who).phase == "alive")
        await visit.until("document.getElementById('state').textContent === 'Alive'")
        assert "Nothing was sent" not in await visit.page.inner_text("main")
