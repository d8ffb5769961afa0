"""An agent's page: its owner works in it, others see what the owner made public, and hostile names are only ever text."""

import pytest

from tests.pages.browsing import PHONE, Visit
from tests.pages.conftest import Visitor
from tests.pages.reading import FAULTS
from tests.service.running_service import Owner, RunningService

pytestmark = [pytest.mark.ray, pytest.mark.sandbox, pytest.mark.asyncio(loop_scope="session")]

HOSTILE = "<img src=x onerror=alert(1)>.txt"
HIDING = "a\u202egnp.exe\n"
MAKES = """
mkdir folder && touch folder/inside && ln -s folder linked && ln -s sent.txt alias && mkfifo pipe && truncate -s 300M sparse.bin
"""
BROKEN = """
(panel) => [...document.querySelectorAll(`${panel} td:not(.name, .mono, .words)`)].filter((cell) => {
  const range = document.createRange();
  range.selectNodeContents(cell);
  return new Set([...range.getClientRects()].map((rect) => rect.bottom)).size > 1 && !cell.querySelector(".name");
}).map((cell) => cell.textContent)
"""
"""Cells whose number or word goes over several lines."""
FOCUSED = "document.activeElement.id === {!r}"
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
    await owner.client.sandbox_exec(shell=MAKES)
    await owner.client.sandbox_exec(argv=["touch", f"/workspace/{HIDING}"])
    logged = await owner.client.processes_start(shell="echo '<b>from the log</b>'; sleep 300")
    async with visitor() as visit:
        await enter(visit, owner)

        await visit.page.click("#open-terminal")
        await visit.until("document.querySelector('.terminal').dataset.live === 'yes'")
        await visit.page.keyboard.type("echo hello-$((40+2)); mkdir made-here\n")
        await visit.until("document.querySelector('.xterm-rows').textContent.includes('hello-42')")
        await visit.shot("agent")
        assert await visit.page.evaluate("document.activeElement.closest('.terminal') !== null")
        await visit.page.keyboard.press("Tab")
        assert await visit.page.evaluate("document.activeElement.closest('.terminal') !== null"), "the shell's key"
        await visit.page.keyboard.press("Control+Shift+Enter")
        assert await visit.page.evaluate(FOCUSED.format("leave-terminal"))
        assert "leaves the terminal" in await visit.text("#leave-terminal")

        await visit.page.click("#tab-files")
        await visit.until(HAS.format("files", "made-here"))
        shown = await visit.page.evaluate("document.getElementById('files').textContent")
        for words in (HOSTILE, "a\\u202egnp.exe\\n", "link to folder", "not a file"):
            assert words in shown, words
        assert "\u202e" not in shown
        assert await visit.page.locator("#files button", has_text="pipe").count() == 0
        upload = {"name": "sent.txt", "mimeType": "text/plain", "buffer": b"from a browser"}
        await visit.page.set_input_files("#panel-files input[type=file]", upload)
        await visit.until(HAS.format("files", "sent.txt"))
        async with visit.page.expect_download() as coming:
            await visit.page.get_by_role("button", name="sent.txt").click()
        saved = await (await coming.value).path()
        assert saved.read_bytes() == b"from a browser"
        await visit.shot("agent-files")
        for choice, kept in (("Keep it", b"from a browser"), ("Replace it", b"another time")):
            replacing = {**upload, "buffer": b"another time"}
            await visit.page.set_input_files("#panel-files input[type=file]", replacing)
            await visit.until(HAS.format("panel-files", "sent.txt is here already: a file of 14 bytes"))
            await visit.page.get_by_role("button", name=choice).click()
            await visit.until("!document.querySelector('#panel-files input').disabled")
            assert (await owner.client.files_read(path="sent.txt")) == kept
        assert "sent.txt was replaced: it was a file of 14 bytes" in await visit.text("#panel-files")
        await visit.page.set_input_files("#panel-files input[type=file]", upload)
        await visit.until(HAS.format("panel-files", "sent.txt is here already"))
        await visit.page.click("#files >> text=folder")
        await visit.until("!document.querySelector('#panel-files input').disabled")
        await visit.page.click("#files >> text=..")
        assert (await owner.client.files_read(path="sent.txt")) == b"another time", (
            "who goes elsewhere replaces nothing"
        )
        too_large = {"name": "large.bin", "mimeType": "text/plain", "buffer": b"x" * 3_000_000}
        await visit.page.set_input_files("#panel-files input[type=file]", too_large)
        await visit.until(HAS.format("panel-files", "The limit is 2,097,152 bytes."))
        async with visit.page.expect_download() as coming:
            await visit.page.get_by_role("button", name="alias").click()
        assert (await (await coming.value).path()).read_bytes() == b"another time"
        await visit.page.click("text=sparse.bin")
        await visit.until(HAS.format("panel-files", "satbox files read /workspace/sparse.bin --output sparse.bin"))
        await visit.page.click("#files >> text=linked")
        await visit.until(HAS.format("files", "inside"))
        await owner.client.files_mkdir(path="deep/deeper")
        for folder in ("..", "deep", "deeper"):
            await visit.page.get_by_role("button", name=folder, exact=True).click()
        await visit.until(HAS.format("panel-files", "/workspace/deep/deeper"))
        await owner.client.files_delete(path="deep")
        await visit.page.click("#files >> text=..")
        await visit.until(HAS.format("panel-files", "The folder /workspace/deep is gone."))
        await visit.until(HAS.format("files", "made-here"))

        await visit.page.press("#tab-files", "ArrowRight")
        await visit.until("document.getElementById('log')?.textContent.includes('<b>from the log</b>')")
        assert "(running)" in await visit.page.inner_text("#panel-logs select")
        await owner.client.processes_signal(logged.process_id, signal="KILL")
        await visit.until(HAS.format("log-end", "ended by signal 9"))
        await owner.client.processes_start(shell="echo started later")
        await visit.page.click("#tab-events")
        await visit.page.click("#tab-logs")
        await visit.until(HAS.format("panel-logs", "echo started later"))
        assert "ended by signal 9" in await visit.page.inner_text("#panel-logs select")
        await visit.page.click("#tab-events")
        await visit.until("document.getElementById('events')?.textContent.includes('deposit')")
        await visit.page.click("#tab-ledger")
        await visit.until(HAS.format("panel-ledger", "Chain head"))
        await visit.shot("agent-ledger")
        await visit.page.set_viewport_size(PHONE)
        for tab in ("ledger", "events", "files"):
            await visit.page.click(f"#tab-{tab}")
            await visit.until(f"document.querySelectorAll('#panel-{tab} td').length > 2")
            assert await visit.page.evaluate(BROKEN, f"#panel-{tab}") == []
            assert await visit.page.evaluate(FAULTS) == []
            await visit.shot(f"agent-{tab}-phone")

    shell = next(process for process in (await owner.client.processes_list()).items if process.terminal)
    waited = await owner.client.processes_wait(shell.process_id, until="exit", timeout_seconds=300)
    assert waited.met, "the page is closed: nobody could find its shell again"


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


async def test_a_long_log_and_a_sandbox_asleep_leave_the_page_usable(owner: Owner, visitor: Visitor) -> None:
    await alive(owner)
    noisy = await owner.client.processes_start(shell="yes | head -c 1500000; echo THE-END")
    await owner.client.processes_wait(noisy.process_id, until="exit", timeout_seconds=60)
    async with visitor() as visit:
        await enter(visit, owner)
        await visit.page.click("#tab-logs")
        await visit.until("document.getElementById('log')?.textContent.includes('THE-END')")
        assert "bytes are no longer kept" in await visit.page.evaluate(
            "document.getElementById('log').textContent"
        ) or (await visit.page.evaluate("document.getElementById('log').textContent.startsWith('[what came before')"))

        await owner.client.sandbox_reap()
        await visit.page.click("#tab-terminal")
        for _ in range(2):
            await visit.page.click("#open-terminal")
            await visit.until(
                "document.querySelector('#panel-terminal .trouble') && !document.getElementById('open-terminal').disabled"
            )
        assert await visit.page.locator("#panel-terminal .trouble").count() == 1
        assert await visit.page.locator(".xterm").count() == 0, "no empty terminal lies over the reason"
