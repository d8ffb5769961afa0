"""The story in twelve steps."""

import asyncio
import base64
import json
import os
import signal
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from typing import Any, TextIO

import aiohttp
from rich.table import Table

from operations import ledger as b
from operations.errors import SatboxError
from operations.sandbox import Paid
from satbox.agent.keystore import Agent, new_agent
from satbox.client import Client
from satbox.client.settings import ClientSettings
from satbox.demo.cast import WAIT_SECONDS, Cast
from satbox.demo.devnet_control import DevnetControl
from satbox.demo.earning import earned, woken
from satbox.demo.telling import StepFailedError, Teller, expect, sats
from satbox.service import Service, running
from satbox.settings import Settings


async def tell(settings: Settings, out: TextIO | None) -> dict[str, Any]:
    """Run all steps against a service of their own; the report says how each went."""
    teller = Teller(out)
    ledger: dict[str, Any] = {}
    teller.console.print("[bold]satbox: pay sats, get a sandbox[/bold]")
    try:
        async with running(settings, lambda line: teller.say(line)) as service, aiohttp.ClientSession() as session:
            cast = await _cast(service, session)
            try:
                for chapter in CHAPTERS:
                    await chapter(teller, cast)
                ledger = teller.steps[-1].detail.get("ledger", {})
            finally:
                for client in (cast.client, cast.newcomer_client, cast.operator):
                    await client.close()
    except StepFailedError:
        pass
    done = len(teller.steps) == len(CHAPTERS) and all(step.ok for step in teller.steps)
    return {"ok": done, "steps": [asdict(step) for step in teller.steps], "ledger": ledger}


async def _cast(service: Service, session: aiohttp.ClientSession) -> Cast:
    agent, newcomer = await asyncio.to_thread(lambda: (new_agent("genesis"), new_agent("newcomer")))
    token = service.deployment.keys.operator_token

    def client(who: Agent | None, operator_token: str | None = None) -> Client:
        settings = ClientSettings(
            gate=service.gate_url,
            stacks_api=service.devnet_urls["stacks"],
            deployment=service.deployment.settings.deployment,
            operator_token=operator_token,
        )
        return Client(settings, agent=who)

    control = DevnetControl(service.devnet_urls["devnet"], session)
    return Cast(service, control, newcomer, agent, client(agent), client(newcomer), client(None, token))


async def keys(teller: Teller, cast: Cast) -> None:
    """Two pairs, one registered at Genesis, one at level 1."""
    async with teller.step("Two agents make keys, register and get funds"):
        await cast.devnet.register(cast.agent, 2)
        await cast.devnet.register(cast.newcomer, 1)
        await cast.devnet.fund(cast.agent, stx=100, sats=100_000)
        for who, level in ((cast.agent, 2), (cast.newcomer, 1)):
            teller.say(f"{who.name}: {who.testnet.stx} + {who.testnet.btc}, level {level}")
        teller.note("faucet: 100,000 sats in sBTC and 100 STX for genesis", address=cast.address)


async def refused(teller: Teller, cast: Cast) -> None:
    """Level 1 is turned away with what it lacks."""
    async with teller.step("The level-1 agent is refused at the gate"):
        try:
            await cast.newcomer_client.prove()
        except SatboxError as error:
            expect(error.code == "level_too_low", f"refused as {error.code}")
            teller.note(f"{error.code}: {error.message}", code=error.code, **error.details)
            teller.say(f"register at {error.details['onboarding_url']}")
        else:
            raise StepFailedError("a level-1 agent got a pass")


async def proven(teller: Teller, cast: Cast) -> None:
    """Two signatures for one pass."""
    async with teller.step("The Genesis agent proves both keys and gets a pass"):
        gate_pass = await cast.client.prove()
        teller.note(
            f"pass for {gate_pass.address} ({gate_pass.level_name}) until {gate_pass.expires_at}",
            level=gate_pass.level,
            scope=gate_pass.scope,
        )


async def created(teller: Teller, cast: Cast) -> None:
    """402, a signed sBTC transfer, a sandbox."""
    async with teller.step("Create: 402 first, then paid in sBTC"):
        offer = await _unpaid_offer(cast)
        teller.say(f"402 offers {', '.join(offer['assets'])}")
        paid = await cast.client.sandbox_create(sats=200)
        expect(paid.sandbox.state in ("alive", "grace"), f"the sandbox is {paid.sandbox.state}")
        receipt = paid.receipt
        expect(receipt is not None, "no receipt")
        teller.say(f"paid 200 sats in sBTC: {paid.status}, txid {paid.payment.txid}")
        teller.say(f"receipt signed by {receipt.public_key if receipt else ''}; sandbox {paid.sandbox.state}")
        await cast.client.wait_confirmed(paid.paymentId)
        await cast.until("alive")
        second = await _second(teller, cast, is_sponsored=offer["is_sponsored"])
        done = await cast.client.wait_confirmed(second.paymentId)
        teller.note(
            f"a second{', sponsored' if offer['is_sponsored'] else ''} payment of 50 sats: {done.status}",
            offers=offer,
            payment=paid.paymentId,
            second_payment=second.paymentId,
            runtime_id=paid.sandbox.runtime_id,
        )


async def _second(teller: Teller, cast: Cast, *, is_sponsored: bool) -> Paid:
    """Sponsored where the gate offers it; where it does not, asking for it signs nothing."""
    if is_sponsored:
        return await cast.client.sandbox_extend(sats=50, sponsored=True)
    try:
        await cast.client.sandbox_extend(sats=50, sponsored=True)
    except SatboxError as error:
        expect(error.code == "sponsored_unsupported", f"a sponsored payment was refused as {error.code}")
        teller.say(f"sponsored: {error.message}")
    else:
        raise StepFailedError("a sponsored payment was signed though none is offered")
    return await cast.client.sandbox_extend(sats=50)


async def _unpaid_offer(cast: Cast) -> dict[str, Any]:
    """The 402 as any client sees it: the header and the body are the same document."""
    gate_pass = await cast.client.prove()
    headers = {"Authorization": f"Bearer {gate_pass.token}"}
    async with aiohttp.ClientSession() as session:
        url = f"{cast.service.gate_url}/sandbox/create"
        async with session.post(url, json={"sats": 200}, headers=headers) as response:
            expect(response.status == 402, f"answered {response.status}")
            body = await response.json()
            header = json.loads(base64.b64decode(response.headers["payment-required"]))
    expect(body == header, "header and body differ")
    assets = [entry["asset"] for entry in body["accepts"]]
    expect(assets[0].endswith(".sbtc-token") and assets[1] == "STX", f"offered {assets}")
    return {
        "status": 402,
        "assets": assets,
        "amounts": [entry["amount"] for entry in body["accepts"]],
        "is_sponsored": all(entry["extra"].get("feePayer") == "relay" for entry in body["accepts"]),
    }


async def worked(teller: Teller, cast: Cast) -> None:
    """Commands and files."""
    async with teller.step("Commands run; a file goes in and comes out"):
        python = await cast.client.sandbox_exec(argv=["python3", "-c", "print(6 * 7)"])
        expect(python.stdout == "42\n", f"python said {python.stdout!r}")
        pipe = await cast.client.sandbox_exec(shell="printf 'b\\na\\n' | sort | head -1")
        expect(pipe.stdout == "a\n", f"the pipe said {pipe.stdout!r}")
        failing = await cast.client.sandbox_exec(shell="echo no >&2; exit 3")
        expect((failing.exit_code, failing.stderr) == (3, "no\n"), f"exit {failing.exit_code}")
        slow = await cast.client.sandbox_exec(shell="sleep 60", timeout_seconds=0.5)
        expect(slow.timed_out, "the slow command was not cut off")
        content = os.urandom(100_000)
        await cast.client.files_write(data=content, path="note.bin")
        expect(await cast.client.files_read(path="note.bin") == content, "the file came back different")
        teller.note(
            "python3 printed 42; a pipe sorted; exit code 3 came back; a sleeper was cut off; 100 kB went in and out",
            durations_ms=[python.duration_ms, pipe.duration_ms, failing.duration_ms, slow.duration_ms],
        )


async def burnt(teller: Teller, cast: Cast) -> None:
    """The bucket falls by the second; STX raises it."""
    async with teller.step("The bucket falls by the second; an extend in STX raises it"):
        readings = []
        for _ in range(3):
            readings.append((await cast.status()).balance_usat)
            teller.say(f"balance {sats(readings[-1])} sats")
            await asyncio.sleep(1)
        expect(readings[0] > readings[1] > readings[2], f"the balance does not fall: {readings}")
        before = await cast.status()
        paid = await cast.client.sandbox_extend(sats=100, asset="STX")
        confirmed = await cast.client.wait_confirmed(paid.paymentId)
        after = await cast.until("alive")
        expect(after.deposited_usat - before.deposited_usat == 100_000_000, "not credited as quoted")
        teller.note(
            f"{confirmed.amount} uSTX bought 100 sats by quote: balance {sats(after.balance_usat)} sats",
            readings_usat=readings,
            ustx=confirmed.amount,
        )


async def graced(teller: Teller, cast: Cast) -> None:
    """Dry, grace, a payment in flight, alive again."""
    async with teller.step("The rate is turned up: grace begins, a payment in flight stretches it, and confirms"):
        now = await cast.status()
        rate = max(1_000_000, now.balance_usat // 2)
        await cast.operator.operator_rate(address=cast.address, rate_usat_per_second=rate)
        await cast.devnet.hold_confirmations()
        grace = await cast.until("grace")
        expect(grace.grace is not None, "no grace to be seen")
        teller.say(
            f"dry at {sats(rate)} sats a second: grace began, {grace.grace and grace.grace.seconds_left:.1f} s left"
        )
        # Slower from here on, so that what the payment buys outlasts the held confirmation.
        await cast.operator.operator_rate(address=cast.address, rate_usat_per_second=5_000_000)
        paid = await cast.client.sandbox_extend(sats=500)
        began_at = grace.grace.began_at if grace.grace else ""
        await asyncio.sleep(5)  # past the three seconds of grace the wallet has of its own
        stretched = await cast.status()
        expect(stretched.state == "grace", f"the payment in the mempool did not hold grace: {stretched.state}")
        expect(stretched.grace is not None and stretched.grace.began_at == began_at, "grace began anew")
        teller.say(f"5 s later still in grace, held by {paid.paymentId}; owed {sats(stretched.owed_usat)} sats")
        await cast.devnet.clear_faults()
        await cast.client.wait_confirmed(paid.paymentId)
        alive = await cast.until("alive")
        expect(alive.owed_usat == 0, "arrears are left")
        teller.note(
            f"confirmed: alive again with {sats(alive.balance_usat)} sats, the grace seconds are charged",
            owed_in_grace_usat=stretched.owed_usat,
            payment=paid.paymentId,
        )


async def reaped(teller: Teller, cast: Cast) -> None:
    """Dry with nothing in flight: reaped; a payment wakes it with its workspace."""
    async with teller.step("Dry again with nothing in flight: reaped, and woken by one more payment"):
        now = await cast.status()
        await cast.operator.operator_rate(address=cast.address, rate_usat_per_second=max(1_000_000, now.balance_usat))
        gone = await cast.until("reaped")
        teller.say(f"reaped: {gone.reason}; owed {sats(gone.owed_usat)} sats; workspace {gone.snapshot_digest}")
        try:
            await cast.client.sandbox_exec(shell="true")
        except SatboxError as error:
            expect(error.code == "sandbox_reaped" and error.kind.status == 410, f"exec answered {error.code}")
            teller.say(f"exec: 410 {error.code}. {error.hint}")
        else:
            raise StepFailedError("a command ran in a reaped sandbox")
        await cast.operator.operator_rate(address=cast.address, rate_usat_per_second=20_000)
        needed = -(-gone.owed_usat // 1_000_000) + 500
        paid = await cast.client.sandbox_extend(sats=needed, max_sats=10_000)
        await cast.client.wait_confirmed(paid.paymentId)
        alive = await cast.until("alive")
        listing = await cast.client.sandbox_exec(shell="wc -c < note.bin")
        expect(listing.stdout.strip() == "100000", f"the file is {listing.stdout!r} bytes")
        teller.note(
            f"paid {needed} sats, arrears first: alive with {sats(alive.balance_usat)} sats, note.bin is still there",
            arrears_usat=gone.owed_usat,
            snapshot_digest=gone.snapshot_digest,
        )


async def killed(teller: Teller, cast: Cast) -> None:
    """SIGKILL on the wallet's host while money is on its way."""
    async with teller.step("The wallet's host is killed while a payment settles"):
        name = cast.service.deployment.settings.host_map().name(cast.address)
        before = await cast.status()
        marker = await cast.client.sandbox_exec(shell="sleep 600 >/dev/null 2>&1 & echo $!")
        await cast.devnet.hold_confirmations()
        paid = await cast.client.sandbox_extend(sats=77)
        pid = await cast.service.actor_pid(name)
        teller.say(f"SIGKILL for process {pid}; Ray reports it at length below, as it should")
        os.kill(pid, signal.SIGKILL)
        await cast.devnet.clear_faults()
        await cast.client.wait_confirmed(paid.paymentId)
        replacement = await cast.service.actor_pid(name)
        async with asyncio.timeout(WAIT_SECONDS):
            while (after := await cast.status()).deposited_usat == before.deposited_usat:
                await asyncio.sleep(0.1)
        await asyncio.sleep(1)  # a second delivery would show by now
        after = await cast.status()
        expect(after.deposited_usat - before.deposited_usat == 77_000_000, "not credited exactly once")
        expect(after.runtime_id == before.runtime_id, "the sandbox was interrupted")
        expect(replacement != pid, "the host was not replaced")
        teller.note(
            f"{name}: process {pid} killed, {replacement} took over; 77 sats credited once; same sandbox process",
            host=name,
            killed_pid=pid,
            new_pid=replacement,
            background=marker.stdout.strip(),
        )


async def closed(teller: Teller, cast: Cast) -> None:
    """The books."""
    async with teller.step("The books: deposits + earnings = charges + balance (+ owed), to the micro-sat"):
        await cast.client.sandbox_reap()
        await cast.until("reaped")
        entries: list[b.LedgerEntry] = []
        while True:
            page = await cast.client.sandbox_ledger(after=entries[-1].seq if entries else 0, limit=500)
            entries += page.items
            if not page.has_more:
                break
        meter = await cast.client.sandbox_meter()
        accounts = page.accounts
        deposits, burnt_usat = -accounts["deposits"], accounts["burnt"]
        owed = -accounts["owed"]
        table = Table("#", "what", "reference", "sats", "balance after")
        for entry in entries:
            amount = (
                entry.postings.get("deposits") or -entry.postings.get("burnt", 0) or entry.postings.get("bucket", 0)
            )
            shown = -amount if entry.kind == "deposit" else amount
            table.add_row(
                str(entry.seq), entry.kind, entry.reference or "", sats(shown), sats(entry.balance_after_usat)
            )
        teller.console.print(table)
        earned_usat = -accounts["earnings"] - accounts["call_fees"]
        balanced = deposits + earned_usat == burnt_usat + accounts["bucket"] - owed + accounts["write_offs"]
        expect(balanced, f"the books do not balance: {accounts}")
        expect(meter.matches, "the meter and the journal differ")
        teller.note(
            f"deposits {sats(deposits)} + earned {sats(earned_usat)} = charges {sats(burnt_usat)}"
            f" + balance {sats(accounts['bucket'])} - owed {sats(owed)}; {len(meter.spans)} spans charge the same",
            ledger={
                "deposits_usat": deposits,
                "earned_usat": earned_usat,
                "charges_usat": burnt_usat,
                "balance_usat": accounts["bucket"],
                "owed_usat": owed,
                "entries": len(entries),
                "chain_head": page.chain_head,
                "balanced": balanced,
                "metered_usat": meter.charged_usat,
            },
        )


Chapter = Callable[[Teller, Cast], Awaitable[None]]
CHAPTERS: tuple[Chapter, ...] = (
    keys,
    refused,
    proven,
    created,
    worked,
    burnt,
    graced,
    reaped,
    killed,
    earned,
    woken,
    closed,
)
