"""Settlements over the real devnet through real HTTP clients, on one clock that tests move, with crashes at will."""

import asyncio
import json
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
from aiohttp.test_utils import TestClient
from payment_builders import NETWORK, PAY_TO, PAYER, verified

from devnet.world import WORLD
from relay_client.chain import StacksApi
from relay_client.relay import Relay, RelayClient, RelayStatus, SettleOrder, SettleOutcome
from relay_client.settlements import PaymentReport, Presentation, SettlementPolicy, Settlements
from relay_client.settlements.schema import migrate as migrate_settlements
from relay_client.sink import Credit, Observation, Outage, Reversal
from stacks import PrivateKey, Transaction
from storage.writer import GroupWriter

WALLET = "ST2CY5V39NHDPWSXMW9QDT3HC3GD6Q6XX4CFRK9AG"


class Crash(BaseException):
    """The process dies here: nothing after this line happens."""


class Wire:
    """A session that tells when a request's body goes out, and keeps what `/settle` was sent."""

    def __init__(self) -> None:
        self.settle_bodies: list[dict] = []
        self._sent = asyncio.Event()
        trace = aiohttp.TraceConfig()
        trace.on_request_chunk_sent.append(self._note)
        self.session = aiohttp.ClientSession(trace_configs=[trace])

    async def _note(self, _session: object, _context: object, sent: aiohttp.TraceRequestChunkSentParams) -> None:
        if sent.url.path.endswith("/settle"):
            self.settle_bodies.append(json.loads(sent.chunk))
            self._sent.set()

    async def settle_sent(self) -> None:
        """Until a body has gone out to `/settle`; it is written in the step of the loop that notes it."""
        await self._sent.wait()
        self._sent.clear()


class Interrupted:
    """The real relay client, with a moment while its call is out."""

    def __init__(self, relay: Relay, wire: Wire, checkpoint: Callable[[str], None]) -> None:
        self._relay, self._wire, self._checkpoint = relay, wire, checkpoint

    async def settle(self, order: SettleOrder) -> SettleOutcome:
        call, sent = asyncio.create_task(self._relay.settle(order)), asyncio.create_task(self._wire.settle_sent())
        try:
            await asyncio.wait({call, sent}, return_when=asyncio.FIRST_COMPLETED)
            self._checkpoint("during_call")
            return await call
        finally:
            for task in (call, sent):
                task.cancel()
            await asyncio.gather(call, sent, return_exceptions=True)

    async def settle_status(self, txid: str) -> RelayStatus:
        return await self._relay.settle_status(txid)

    async def health(self) -> bool:
        return await self._relay.health()

    async def can_sponsor(self) -> bool:
        return await self._relay.can_sponsor()


class Clock:
    """Wall, monotonic and devnet time in one, moved by hand; `step_ms` is by how much somebody has set the wall clock."""

    def __init__(self) -> None:
        self.ms = 1_800_000_000_000
        self.step_ms = 0

    def now_ms(self) -> int:
        return self.ms + self.step_ms

    def monotonic_ms(self) -> int:
        return self.ms

    def now(self) -> float:
        return self.ms / 1000

    async def sleep(self, seconds: float) -> None:
        self.ms += int(seconds * 1000)


@dataclass
class Wallets:
    """A sink with a memory of its own, like the wallets' files: UNIQUE(payment_id), and trouble on request."""

    observations: list[Observation] = field(default_factory=list)
    credits: dict[str, Credit] = field(default_factory=dict)
    credit_calls: int = 0
    reversals: dict[str, Reversal] = field(default_factory=dict)
    outages: list[Outage] = field(default_factory=list)
    trouble: int = 0
    lose_acknowledgement: int = 0
    arrived: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def observe(self, observation: Observation) -> None:
        self._maybe_fail()
        self.observations.append(observation)

    async def credit(self, credit: Credit) -> None:
        self.credit_calls += 1
        self._maybe_fail()
        known = self.credits.setdefault(credit.payment_id, credit)
        assert known == credit
        async with self.arrived:
            self.arrived.notify_all()
        if self.lose_acknowledgement:
            self.lose_acknowledgement -= 1
            raise ConnectionError("the reply got lost")

    async def reverse(self, reversal: Reversal) -> None:
        self._maybe_fail()
        self.reversals.setdefault(reversal.payment_id, reversal)

    async def payments_unavailable(self, outage: Outage) -> None:
        self._maybe_fail()
        self.outages.append(outage)

    async def credited(self, count: int) -> None:
        """Wait until that many payments are credited."""
        async with asyncio.timeout(120), self.arrived:
            await self.arrived.wait_for(lambda: len(self.credits) >= count)

    def _maybe_fail(self) -> None:
        if self.trouble:
            self.trouble -= 1
            raise ConnectionError("wallets cannot be reached")

    def states(self, payment_id: str) -> list[str]:
        return [seen.state for seen in self.observations if seen.payment_id == payment_id]


class Bench:
    """One settlements process that can be killed and started again."""

    def __init__(
        self, twin: TestClient, wire: Wire, clock: Clock, path: Path, *, patience_seconds: float = 5.0
    ) -> None:
        self.twin, self.wire, self.clock, self.path = twin, wire, clock, path
        self.session, self.settle_bodies = wire.session, wire.settle_bodies
        self.world = twin.app[WORLD]
        self.wallets = Wallets()
        self.policy = SettlementPolicy(present_wait_ms=60_000)
        self.patience_seconds = patience_seconds
        self.crash_at: str | None = None
        self.at_step: Callable[[str], None] = lambda _step: None
        self.settlements: Settlements
        self.store: GroupWriter
        self.start()

    def start(self) -> None:
        url = str(self.twin.make_url("/"))
        self.store = GroupWriter(self.path, migrate_settlements)
        wait = self.patience_seconds
        relay = RelayClient(f"{url}relay", self.session, settle_timeout_seconds=wait, read_timeout_seconds=wait)
        self.chain = StacksApi(f"{url}stacks", self.session, read_timeout_seconds=wait, broadcast_timeout_seconds=wait)
        self.settlements = Settlements(
            self.store, Interrupted(relay, self.wire, self._checkpoint), self.chain, self.wallets, self.clock,
            policy=self.policy, rng=random.Random(7), checkpoint=self._checkpoint,
        )  # fmt: skip

    def _checkpoint(self, step: str) -> None:
        self.at_step(step)
        if step == self.crash_at:
            self.crash_at = None
            raise Crash(step)

    async def kill(self) -> None:
        await self.settlements.aclose()
        self.store.close()

    async def restart(self) -> None:
        await self.kill()
        self.start()

    async def post(self, path: str, body: object) -> dict:
        async with self.twin.post(path, json=body) as reply:
            assert reply.status in (200, 201), await reply.text()
            return await reply.json()

    async def fault(self, kind: str, **parameters: object) -> None:
        await self.post("/devnet/faults", {"kind": kind, **parameters})

    async def heal(self) -> None:
        async with self.twin.delete("/devnet/faults") as reply:
            assert reply.status == 200

    async def fund(self, key: PrivateKey, *, stx: int = 50_000_000, sats: int = 1_000_000) -> None:
        address = str(key.public_key.address(NETWORK))
        await self.post("/devnet/faucet", {"address": address, "stx": stx, "sbtc": sats})

    async def mine(self, count: int = 1) -> None:
        self.clock.ms += 1000 * count
        await self.post("/devnet/mine", {"count": count})

    async def broadcast(self, tx: Transaction) -> str:
        async with self.twin.post("/stacks/v2/transactions", data=tx.serialize()) as reply:
            assert reply.status == 200, await reply.text()
            return await reply.json()

    async def present(self, tx: Transaction, **changes: object) -> PaymentReport:
        return await self.settlements.present(presentation(tx, **changes))

    async def pass_time(self, seconds: float, *, step_seconds: float = 1.0, mining: bool = False) -> None:
        for _ in range(max(1, int(seconds / step_seconds))):
            self.clock.ms += int(step_seconds * 1000)
            if mining:
                await self.post("/devnet/mine", {"count": 1})
            await self.settlements.tick()

    async def until(
        self, payment_id: str, holds: Callable[[PaymentReport], bool], *, mining: bool = True, step_seconds: float = 2
    ) -> PaymentReport:
        for _ in range(400):
            report = await self.settlements.report(payment_id)
            if report is not None and holds(report):
                await self.settlements.tick()  # let the outbox out
                return report
            await self.pass_time(step_seconds, step_seconds=step_seconds, mining=mining)
        raise AssertionError(f"never came to pass: {report}")

    async def confirmed(self, payment_id: str) -> PaymentReport:
        return await self.until(payment_id, lambda report: report.state == "confirmed")


def presentation(tx: Transaction, **changes: object) -> Presentation:
    fields: dict = {"address": WALLET, "purpose": "create", "body_hash": "body"} | changes
    return Presentation(payment=verified(tx), **fields)


__all__ = ["PAYER", "PAY_TO", "WALLET", "Bench", "Clock", "Crash", "Interrupted", "Wallets", "Wire", "presentation"]
