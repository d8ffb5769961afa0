"""The wake page in a real browser, against a running service: read without scripts, woken by one click, never paid twice."""

import contextlib
from collections.abc import AsyncIterator

import aiohttp
import pytest
from playwright.async_api import Route

from tests.pages.browser_wallet import BrowserWallet
from tests.pages.browsing import PHONE, Visit
from tests.pages.conftest import Visitor
from tests.service.running_service import Owner, RunningService, fresh_owner

pytestmark = [pytest.mark.ray, pytest.mark.sandbox, pytest.mark.asyncio(loop_scope="session")]

SAID = "!document.getElementById('trouble').hidden"
READY = "document.getElementById('go') && !document.getElementById('go').disabled"


def done(step: str) -> str:
    return f"document.querySelector('[data-step={step}]')?.dataset.state === 'done'"


async def put_to_sleep(owner: Owner) -> None:
    """By its owner, with credit left."""
    paid = await owner.client.sandbox_create(sats=20)
    await owner.confirmed(paid.paymentId)
    await owner.until(lambda now: now.state == "alive")
    await owner.client.sandbox_reap()
    await owner.until(lambda now: now.state == "reaped")


async def fallen_asleep(service: RunningService, owner: Owner) -> None:
    """Because its credit ran out."""
    paid = await owner.client.sandbox_create(sats=5)
    await owner.confirmed(paid.paymentId)
    operator = service.client(None)
    await operator.operator_rate(address=owner.address, rate_usat_per_second=20_000_000)
    await owner.until(lambda now: now.state == "reaped")
    await operator.operator_rate(address=owner.address, rate_usat_per_second=7_000)
    await operator.close()


@contextlib.asynccontextmanager
async def a_giver(
    service: RunningService, visitor: Visitor, owner: Owner
) -> AsyncIterator[tuple[Visit, BrowserWallet]]:
    """Somebody with a browser wallet, in front of the agent's wake page."""
    giver = await service.agent()
    wallet = BrowserWallet(giver.agent)
    async with visitor() as visit:
        await wallet.join(visit)
        await visit.open(f"/wake/{owner.address}")
        await visit.until(READY)
        yield visit, wallet
    await giver.client.close()


async def test_it_reads_without_scripts_on_a_phone_in_the_dark(owner: Owner, visitor: Visitor) -> None:
    await put_to_sleep(owner)

    async with visitor(java_script_enabled=False, viewport=PHONE, color_scheme="dark") as visit:
        await visit.open(f"/wake/{owner.address}")
        text = await visit.text("main")
        await visit.shot("wake-phone-dark")

    for words in (
        "Genesis",
        "Asleep",
        "Its owner put it to sleep",
        "19.9",
        "1 hour",
        "1 day",
        "26 sats",
        "STX",
        "satbox extend",
    ):
        assert words in text, words


async def test_a_gift_from_a_browser_wallet_wakes_it(service: RunningService, owner: Owner, visitor: Visitor) -> None:
    await fallen_asleep(service, owner)
    async with a_giver(service, visitor, owner) as (visit, wallet):
        await visit.shot("wake-asleep")
        await visit.page.click("text=STX")
        await visit.page.click("#go")
        await visit.until(f"{done('alive')} && {done('confirm')}")
        await visit.until("!document.getElementById('go').disabled")
        await visit.shot("wake-alive")

        assert await visit.text("#state") == "Alive"
        assert await visit.page.evaluate("localStorage.length") == 0

    assert wallet.asked.count("stx_signTransaction") == 1
    assert (await owner.books())["payments"] == 2


async def test_the_owners_pass_wakes_it_with_the_credit_it_has(owner: Owner, visitor: Visitor) -> None:
    await put_to_sleep(owner)
    token = (await owner.client.prove()).token
    async with visitor() as visit:
        await visit.open(f"/wake/{owner.address}")
        await visit.page.click("summary")
        await visit.page.fill("#pass", token)
        await visit.page.press("#pass", "Enter")
        await visit.until(READY)
        await visit.shot("wake-with-credit")
        await visit.page.click("#go")
        await visit.until(done("alive"))

    assert (await owner.status()).state == "alive"
    assert (await owner.books())["payments"] == 1


async def test_a_wake_link_wakes_with_one_click(owner: Owner, visitor: Visitor) -> None:
    await put_to_sleep(owner)
    link = await owner.client.wake_links_create(scopes=["wake"], wakes_per_day=1)
    async with visitor() as visit:
        await visit.open(link.url.removeprefix(owner.service.gate_url))
        await visit.until(READY)
        assert await visit.text("#go") == "Wake it"
        await visit.shot("wake-link")
        await visit.page.click("#go")
        await visit.until(done("alive"))
        assert (await owner.status()).state == "alive"
        await owner.client.sandbox_reap()
        await visit.until("document.getElementById('why').textContent.includes('as often as it may today')")


async def test_a_wake_link_that_pays_wakes_what_its_owner_put_to_sleep(
    service: RunningService, owner: Owner, visitor: Visitor
) -> None:
    await put_to_sleep(owner)
    link = await owner.client.wake_links_create(scopes=["topup"])
    payer = await service.agent()
    wallet = BrowserWallet(payer.agent)
    async with visitor() as visit:
        await wallet.join(visit)
        await visit.open(link.url.removeprefix(service.gate_url))
        await visit.until(READY)
        await visit.page.click("#go")
        await visit.until(f"{done('alive')} && {done('confirm')}")
    await payer.client.close()

    assert "signMessage" not in wallet.asked  # a link asks nobody who they are
    assert (await owner.books())["payments"] == 2


async def test_a_link_that_was_revoked_says_so(owner: Owner, visitor: Visitor) -> None:
    await put_to_sleep(owner)
    link = await owner.client.wake_links_create(scopes=["wake"])
    await owner.client.wake_links_revoke(link_id=link.link_id)
    async with visitor() as visit:
        await visit.open(link.url.removeprefix(owner.service.gate_url))
        await visit.until("!document.getElementById('trouble').hidden")
        assert "This wake link is not good any more" in await visit.text("#trouble")


async def test_a_slow_payment_is_shown_and_survives_a_reload(
    service: RunningService, owner: Owner, visitor: Visitor
) -> None:
    await fallen_asleep(service, owner)
    await service.devnet("faults", {"kind": "hold_confirmations"})
    async with a_giver(service, visitor, owner) as (visit, wallet):
        await visit.page.click("#go")
        await visit.until(done("settle"))
        await visit.shot("wake-slow")
        assert "waiting for the chain" in await visit.text("#steps")
        second = await visit.context.new_page()
        await second.goto(visit.page.url)
        await second.wait_for_selector("text=Another tab is paying")
        await second.close()
        await visit.page.reload()
        await visit.until("document.querySelector('[data-step=confirm]')?.dataset.state === 'now'")
        await service.heal()
        await visit.until(f"{done('alive')} && {done('confirm')}")

    assert wallet.asked.count("stx_signTransaction") == 1
    assert (await owner.books())["payments"] == 2


async def test_a_payment_that_fails_on_chain_is_told_and_nothing_is_charged(
    service: RunningService, owner: Owner, visitor: Visitor
) -> None:
    await fallen_asleep(service, owner)
    await service.devnet("faults", {"kind": "abort", "mode": "abort_by_response"})
    async with a_giver(service, visitor, owner) as (visit, _wallet):
        await visit.page.click("#go")
        await visit.until("!document.getElementById('trouble').hidden")
        await visit.shot("wake-failed")
        said = await visit.text("#trouble")
        assert "The payment did not go through" in said
        assert "sign a new payment" in said
        assert "_" not in said, "words for people"
        assert "waiting for the chain" not in await visit.text("#steps")
        assert await visit.page.evaluate("localStorage.length") == 0

    assert (await owner.books())["payments"] == 1


async def test_one_transfer_signed_for_two_agents_pays_one_and_the_other_is_told(
    service: RunningService, owner: Owner, visitor: Visitor
) -> None:
    """Two tabs, one wallet, the same amount at the same moment: the chain names the same nonce to both."""
    nonces: list[str] = []

    async def the_same_nonce(route: Route) -> None:
        if not nonces:
            nonces.append(await (await route.fetch()).text())
        await route.fulfill(body=nonces[0], content_type="application/json")

    async with fresh_owner(service) as other:
        for each in (owner, other):
            await put_to_sleep(each)
        async with a_giver(service, visitor, owner) as (visit, wallet):
            await visit.context.route("**/pages/payers/*", the_same_nonce)
            for step, each in enumerate((owner, other)):
                await visit.open(f"/wake/{each.address}")
                await visit.until(READY)
                await visit.page.click("#go")
                await visit.until(SAID if step else done("confirm"))
            said = await visit.text("#trouble")
            assert "This payment went to another agent" in said
            assert "Press the button to sign" in said
            assert await visit.page.evaluate("localStorage.length") == 0
            nonces.clear()
            await visit.page.click("#go")
            await visit.until("localStorage.length === 1")
            assert [(await each.books())["payments"] for each in (owner, other)] == [2, 1]

    assert (len(wallet.signed), len(set(wallet.signed))) == (3, 2)


async def test_a_lost_connection_and_a_lost_answer_pay_once(
    service: RunningService, owner: Owner, visitor: Visitor
) -> None:
    await fallen_asleep(service, owner)
    sent: list[str | None] = []

    async def lose_the_first_answer(route: Route) -> None:
        header = route.request.headers.get("payment-signature")
        if header is None:
            return await route.continue_()
        sent.append(header)
        if len(sent) > 1:
            return await route.continue_()
        await route.fetch()  # it arrives, and is settled
        await visit.context.set_offline(True)
        await route.abort("connectionreset")
        return None

    async with a_giver(service, visitor, owner) as (visit, wallet):
        await visit.page.route("**/sandbox/extend", lose_the_first_answer)
        await visit.page.click("#go")
        await visit.until("document.body.dataset.offline === 'yes'")
        await visit.until("document.getElementById('steps').innerText.includes('no connection')")
        await visit.shot("wake-offline")
        await visit.context.set_offline(False)
        await visit.until(f"{done('alive')} && {done('confirm')}")

    assert len(sent) >= 2
    assert len(set(sent)) == 1
    assert wallet.asked.count("stx_signTransaction") == 1
    assert (await owner.books())["payments"] == 2


async def test_a_person_who_says_no_pays_nothing(service: RunningService, owner: Owner, visitor: Visitor) -> None:
    await put_to_sleep(owner)
    async with a_giver(service, visitor, owner) as (visit, wallet):
        assert "a gift does not wake it" in await visit.text("#why")
        wallet.says_no = True
        await visit.page.click("#go")
        await visit.until("!document.getElementById('trouble').hidden")
        assert "Nothing was paid" in await visit.text("#trouble")
        await visit.until(READY)

    assert wallet.signed == []


async def test_who_cannot_be_shown_is_explained(service: RunningService, visitor: Visitor) -> None:
    for name in ("Twin Heron", "Twin Heron", "<img src=x onerror=alert(1)>"):
        agent = (await service.agent()).agent
        pair = agent.mainnet
        await service.devnet(
            "agents", {"btcAddress": pair.btc, "stxAddress": pair.stx, "level": 2, "displayName": name}
        )
    async with visitor() as visit:
        await visit.open("/wake/twin-heron")
        assert await visit.page.locator("main li a").count() == 2
        await visit.shot("wake-ambiguous")
        await visit.open("/wake/@jack")
        assert "X handles cannot be looked up" in await visit.text("main")
        await visit.open("/wake/nobody-at-all")
        assert "No agent of this name" in await visit.text("main")
        await visit.open(f"/wake/{agent.testnet.stx}")
        assert await visit.text("h1") == "<img src=x onerror=alert(1)>"
        assert "There is nothing to wake yet" in await visit.text("main")
        await visit.open("/wake/%3Cscript%3Ealert(1)%3C%2Fscript%3E")
        assert "That is not a handle" in await visit.text("main")


async def test_pages_come_under_a_strict_policy_and_assets_stay(service: RunningService) -> None:
    async with aiohttp.ClientSession(service.gate_url) as session:
        async with session.get("/wake/nobody-at-all", headers={"Accept": "text/html"}) as page:
            text = await page.text()
            policy = page.headers["Content-Security-Policy"]
            assert page.status == 404
            assert page.headers["Referrer-Policy"] == "no-referrer"
        asset = text.partition('stylesheet" href="')[2].partition('"')[0]
        async with session.get(asset) as style:
            assert "immutable" in style.headers["Cache-Control"]
        async with session.get("/assets/../gate/front/app.py") as other:
            assert other.status == 404

    assert policy.startswith("default-src 'none'; script-src 'self';")
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert "<script>" not in text
    assert " style=" not in text
