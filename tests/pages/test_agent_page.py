"""An agent's page: its owner works in it, others see what the owner made public, and hostile names are only ever text."""

import pytest

from tests.pages.browsing import PHONE, Visit
from tests.pages.conftest import Visitor
from tests.service.running_service import Owner, RunningService

pytestmark = [pytest.mark.ray, pytest.mark.sandbox, pytest.mark.asyncio(loop_scope="session")]

HOSTILE = "<img src=x onerror=alert(1)>.txt"
HAS = "document.getElementById('{}').textContent.includes({!r})"


async def enter(visit: Visit, owner: Owner) -> None:
    """With the owner's pass."""
    await visit.open(f"/agent/{owner.address}")
    await visit.page.fill("#pass", (await owner.client.prove()).token)
    await visit.page.press("#pass", "Enter")
    await visit.until("!document.getElementById('desk').hidden")


async def alive(owner: Owner) -> None:
    paid = await owner.client.sandbox_create(sats=300)
    await owner.confirmed(paid.paymentId)
    await owner.until(lambda now: now.state == "alive")


async def test_its_owner_works_in_it(owner: Owner, visitor: Visitor) -> None:
    await alive(owner)
    await owner.client.sandbox_exec(argv=["touch", f"/workspace/{HOSTILE}"])
    await owner.client.processes_start(shell="echo '<b>from the log</b>'; sleep 300")
    async with visitor() as visit:
        await enter(visit, owner)

        await visit.page.click("#open-terminal")
        await visit.until("document.querySelector('.terminal').dataset.live === 'yes'")
        await visit.page.keyboard.type("echo hello-$((40+2)); mkdir made-here\n")
        await visit.until("document.querySelector('.xterm-rows').textContent.includes('hello-42')")
        await visit.shot("agent")

        await visit.page.click("#tab-files")
        await visit.until(HAS.format("files", "made-here"))
        assert HOSTILE in await visit.text("#files")
        upload = {"name": "sent.txt", "mimeType": "text/plain", "buffer": b"from a browser"}
        await visit.page.set_input_files("#panel-files input[type=file]", upload)
        await visit.until(HAS.format("files", "sent.txt"))
        async with visit.page.expect_download() as coming:
            await visit.page.click("text=sent.txt")
        saved = await (await coming.value).path()
        assert saved.read_bytes() == b"from a browser"
        await visit.shot("agent-files")

        await visit.page.press("#tab-files", "ArrowRight")
        await visit.until("document.getElementById('log')?.textContent.includes('<b>from the log</b>')")
        await visit.page.click("#tab-events")
        await visit.until("document.getElementById('events')?.textContent.includes('deposit')")
        await visit.page.click("#tab-ledger")
        await visit.until(HAS.format("panel-ledger", "chain head"))
        await visit.shot("agent-ledger")

    assert (await owner.client.files_read(path="sent.txt")) == b"from a browser"


async def test_others_see_what_its_owner_made_public(service: RunningService, owner: Owner, visitor: Visitor) -> None:
    await alive(owner)
    stranger = await service.agent()
    async with visitor() as visit:
        await visit.open(f"/agent/{owner.address}")
        assert "This page is private" in await visit.text("#entry")
        assert not await visit.page.is_visible("#inside")
        await visit.page.fill("#pass", (await stranger.client.prove()).token)
        await visit.page.press("#pass", "Enter")
        await visit.until("!document.getElementById('refused').hidden")
        assert not await visit.page.is_visible("#inside")
    async with visitor() as visit:
        await enter(visit, owner)
        await visit.page.click("#tab-settings")
        await visit.page.check("#public")
        await visit.until("!document.getElementById('public').disabled")
    assert (await owner.client.sandbox_visibility()).public
    await owner.client.routes_set(routes=[{"port": 8080, "path": "/ask/*", "sats": 3}])
    async with visitor(viewport=PHONE, color_scheme="dark") as visit:
        await visit.open(f"/agent/{owner.address}")
        await visit.until("document.querySelector('#chart path') !== null")
        assert await visit.text("#state") == "Alive"
        assert not await visit.page.is_visible("#desk")
        await visit.until(HAS.format("routes", ":8080/ask/*"))
        assert "3 sats" in await visit.text("#sold")
        await visit.shot("agent-public-phone-dark")
    await stranger.client.close()
