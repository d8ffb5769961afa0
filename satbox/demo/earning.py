"""Two chapters: an outsider pays for what the agent serves, and a person wakes the agent by its handle."""

import asyncio
import html
import re

import aiohttp

from operations.routes import RouteInput
from satbox.agent.keystore import new_agent
from satbox.client import Client
from satbox.client.settings import ClientSettings
from satbox.demo.cast import WAIT_SECONDS, Cast
from satbox.demo.telling import Teller, expect, sats

PORT = 8000
PRICE_SATS = 7
SERVER = b"""#!/usr/bin/env python3
import http.server
class Answer(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = f"42, {self.headers['X-Satbox-Payer']}\\n".encode()
        self.send_response(200); self.send_header("Content-Length", str(len(body))); self.end_headers()
        self.wfile.write(body)
http.server.ThreadingHTTPServer(("127.0.0.1", 8000), Answer).serve_forever()
"""


async def earned(teller: Teller, cast: Cast) -> None:
    """A stranger with a bucket and no sandbox calls a route that has a price."""
    async with teller.step("An outside caller pays for the agent's service, and the agent's bucket rises"):
        await cast.client.files_mkdir(".satbox")
        await cast.client.files_write(".satbox/start", SERVER)
        await cast.client.sandbox_exec(argv=["chmod", "+x", ".satbox/start"])
        process = await cast.client.processes_start(argv=[".satbox/start"])
        await cast.client.processes_wait(process.process_id, until="port", port=PORT)
        route = RouteInput(port=PORT, path="/answer", methods=["GET"], sats=PRICE_SATS)
        url = (await cast.client.routes_set(routes=[route])).items[0].url
        caller = await asyncio.to_thread(new_agent, "caller")
        await cast.devnet.fund(caller, stx=1, sats=1_000)
        settings = ClientSettings(
            gate=cast.service.gate_url,
            stacks_api=cast.service.devnet_urls["stacks"],
            deployment=cast.service.deployment.settings.deployment,
        )
        async with Client(settings, agent=caller) as client:
            async with aiohttp.ClientSession() as session, session.get(url) as unpaid:
                offered = [entry["scheme"] for entry in (await unpaid.json())["accepts"]]
                expect(unpaid.status == 402, f"an unpaid call was answered {unpaid.status}")
            teller.say(f"GET .../{PORT}/answer: 402, {PRICE_SATS} sats, by {', '.join(sorted(set(offered)))}")
            paid = await client.bucket_deposit(address=caller.testnet.stx, sats=100)
            await client.wait_confirmed(paid.paymentId)
            began = await cast.status()
            before = began.earnings
            answers = [await client.call(url, max_sats=PRICE_SATS) for _ in range(3)]
        expect(all(answer.status == 200 and answer.receipt for answer in answers), "a paid call was not answered")
        async with asyncio.timeout(WAIT_SECONDS):
            while (now := (await cast.status()).earnings) is None or now.earned_usat < 3 * PRICE_SATS * 1_000_000:
                await asyncio.sleep(0.05)
        ended = await cast.status()
        expect(before is not None and before.earned_usat == 0, "earned before anybody called")
        expect(now.earned_usat == 3 * PRICE_SATS * 1_000_000, f"earned {now.earned_usat} usat by three calls")
        teller.note(
            f"three calls from a bucket, a signature each: {answers[0].body.decode().strip()!r}; earned "
            f"{sats(now.earned_usat)} sats, {sats(now.fees_usat)} of them the operator's share"
        )
        teller.note(
            f"balance {sats(began.balance_usat)} sats before the calls, {sats(ended.balance_usat)} after them",
            earned_usat=now.earned_usat,
            fees_usat=now.fees_usat,
            order_id=answers[-1].order_id,
        )


async def woken(teller: Teller, cast: Cast) -> None:
    """What the button of the wake page does, without a browser; the browser tests press it."""
    async with teller.step("Reaped by its owner, looked up by its name, and woken by a wake link"):
        await cast.client.sandbox_reap()
        await cast.until("reaped")
        link = await cast.client.wake_links_create(scopes=["wake"], label="for a friend")
        known = await cast.client.agents_resolve(cast.address)
        handle = known.display_name or cast.address
        page_url = f"{cast.service.gate_url}/wake/{handle.replace(' ', '-').lower()}"
        async with aiohttp.ClientSession() as session, session.get(page_url) as page:
            text = await page.text()
            expect(page.status == 200 and html.escape(handle) in text, f"{page_url} does not show {handle}")
        title = re.search(r"<title>(.*?)</title>", text, re.S)
        teller.say(f"{page_url}: {html.unescape(title[1]).strip() if title else handle}")
        async with Client(cast.client.settings, wake_link=link.token) as friend:
            woke = await friend.sandbox_wake(address=cast.address)
        expect(woke.state == "alive", f"it is {woke.state}")
        listing = await cast.client.sandbox_exec(shell="wc -c < note.bin")
        expect(listing.stdout.strip() == "100000", "the workspace is not what it was")
        teller.note(f"alive with {sats(woke.balance_usat)} sats, its workspace and its server with it", handle=handle)
