"""A whole gate in one process: real settlements, oracle, registry client and wallets over an in-process devnet and a
simulated node. Time is the machine's plus whatever a test adds; blocks come when a test mines them.
"""

import asyncio
import base64
import contextlib
import hashlib
import itertools
import json
import random
import secrets
import time
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp import web
from aiohttp.test_utils import BaseTestServer, TestClient, TestServer
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from actors.hosting.host import WalletHost
from actors.hosting.host_settings import HostSettings
from actors.stores.wallet_folder import WalletFolder
from actors.system import ActorSystem, LocalTransport
from actors.wallet.state import Payout, Phase, WalletPolicy, WalletState
from actors.wallet_sinks import WalletPayouts, WalletSink
from devnet.app import create_app as create_devnet
from devnet.settings import DevnetSettings
from devnet.world import WORLD, World
from gate.charging.order_folder import OrderFolder
from gate.front.app import Mount, create_app
from gate.front.server import GateRunner
from gate.genesis import AgentRegistry, Challenger, PassIssuer
from gate.outside import HandleResolver
from gate.outside.next_nonces import NextNonces
from gate.parts.dispute_file import DisputeFile
from gate.parts.nodes import Nodes, OneNode
from gate.parts.receipts import ReceiptSigner, checkpoint_log
from gate.parts.room import Room
from gate.parts.services import Services
from gate.parts.views import Views
from gate.settings import GateSettings
from oracle import (
    AnchorBook,
    DeskSettings,
    Oracle,
    OracleSettings,
    QuoteBook,
    QuoteDesk,
    Snapshot,
    SnapshotFollower,
    devnet_bases,
    http_sources,
    quote_reader,
)
from relay_client.chain import ChainUnavailable, StacksApi
from relay_client.payouts import PayoutOrder, PayoutQueue, PayoutReport
from relay_client.payouts import migrate as migrate_payouts
from relay_client.preflight import chain_preflight
from relay_client.relay import RelayClient
from relay_client.settlements import PaymentReport, SettlementPolicy, Settlements
from relay_client.settlements.schema import migrate as migrate_settlements
from relay_client.states import is_in_flight
from sandboxes.simulated import SimulatedNode
from sandboxes.texts import bytes_of
from stacks import Network, PrivateKey, Transaction, sbtc
from stacks.signing import Sender, sign_origin, sip010_transfer, token_transfer
from storage.writer import GroupWriter

NETWORK = Network.TESTNET
DEPLOYMENT = "gatehouse"
OPERATOR_TOKEN = "operator-token-of-the-gatehouse"
POLICY = WalletPolicy(grace_ms=3_000, grace_cap_ms=30_000, wake_minimum_seconds=2)
PAY_TO_KEY = PrivateKey(hashlib.sha256(b"gatehouse treasury").digest())
PAY_TO = PAY_TO_KEY.address(NETWORK)
PAYOUT_KEY = PrivateKey(hashlib.sha256(b"gatehouse payouts").digest())
SLOTS = {"nano": 2, "small": 3, "medium": 1}
BTC = "tb1qqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqq0l98cr"
SATS = 1_000_000
_numbers = itertools.count(1)


class OffsetClock:
    """The machine's clock, ahead by what a test has added; for the gate, the wallets, settlements and the devnet alike.
    `step_ms` is by how much somebody has set the wall clock.
    """

    def __init__(self) -> None:
        self.ahead_ms = self.step_ms = 0

    def wall_ms(self) -> int:
        return time.time_ns() // 1_000_000 + self.ahead_ms + self.step_ms

    now_ms = wall_ms

    def monotonic_ms(self) -> int:
        return time.monotonic_ns() // 1_000_000 + self.ahead_ms

    def now(self) -> float:
        return self.wall_ms() / 1000

    async def sleep(self, seconds: float) -> None:
        """What the devnet waits: a twentieth, so that a test of slowness is quick."""
        await asyncio.sleep(seconds / 20)


@dataclass(frozen=True)
class Who:
    """An agent with a Stacks key; its Bitcoin half matters only in the tests of proofs."""

    name: str

    @property
    def key(self) -> PrivateKey:
        return PrivateKey(hashlib.sha256(f"gatehouse {self.name}".encode()).digest())

    @property
    def address(self) -> str:
        return str(self.key.address(NETWORK))


@dataclass
class Answer:
    """One answer, read whole."""

    status: int
    headers: Any
    raw: bytes

    @property
    def body(self) -> Any:
        return json.loads(self.raw)

    @property
    def code(self) -> str:
        """The error's code; the envelope is checked on the way."""
        document = self.body
        assert set(document) == {"error", "request_id"}, document
        error = document["error"]
        assert {"code", "message", "retryable", "funds_moved", "hint", "details"} <= set(error), error
        assert error["funds_moved"] in (True, False, "unknown")
        assert document["request_id"] == self.headers["x-request-id"]
        return str(error["code"])

    @property
    def funds_moved(self) -> Any:
        return self.body["error"]["funds_moved"]


def header_of(tx: Transaction | bytes, accepted: Any = None, identifier: str | None = None, **other: Any) -> str:
    """A `payment-signature` header around a transaction."""
    raw = tx if isinstance(tx, bytes) else tx.serialize()
    payload: dict[str, Any] = {"x402Version": 2, "payload": {"transaction": raw.hex()}, **other}
    if accepted is not None:
        payload["accepted"] = accepted
    if identifier is not None:
        payload["extensions"] = {"payment-identifier": {"info": {"id": identifier}}}
    return base64.b64encode(json.dumps(payload).encode()).decode()


class GateServer(BaseTestServer):
    """The gate behind its real runner, with its limits."""

    def __init__(self, app: web.Application) -> None:
        super().__init__()
        self._app = app

    async def _make_runner(self, **options: Any) -> GateRunner:
        return GateRunner(self._app, **options)


@dataclass
class House:
    """The gate and everything behind it, within reach."""

    client: TestClient
    services: Services
    world: World
    devnet: TestClient
    clock: OffsetClock
    node: SimulatedNode
    transport: LocalTransport
    settlements: Settlements
    oracle: Oracle
    follower: SnapshotFollower
    is_oracle_silent: bool = False

    # Agents

    @property
    def orders_folder(self) -> Path:
        """Where the log of orders is."""
        assert isinstance(self.services.order_logs, OrderFolder)
        return self.services.order_logs.folder

    async def agent(self, *, stx: int = 50_000_000, sats: int = 100_000) -> Who:
        """A fresh funded agent."""
        who = Who(f"agent {next(_numbers)} {secrets.token_hex(4)}")
        await self.devnet_post("faucet", {"address": who.address, "stx": stx, "sbtc": sats})
        return who

    def bearer(self, who: Who, scope: str = "owner", epoch: int = 0) -> dict[str, str]:
        """A pass, as if proven."""
        token, _ = self.services.passes.issue(who.address, BTC, 2, scope, epoch)
        return {"Authorization": f"Bearer {token}"}

    # Requests

    async def ask(self, method: str, path: str, *, who: Who | None = None, headers: Any = None, **other: Any) -> Answer:
        """One request to the gate."""
        all_headers = {**(self.bearer(who) if who else {}), **(headers or {})}
        async with self.client.request(method, path, headers=all_headers, **other) as response:
            return Answer(response.status, response.headers.copy(), await response.read())

    async def pay(
        self, path: str, who: Who, tx: Transaction | bytes, body: Any = None, *, headers: Any = None, **other: Any
    ) -> Answer:
        """A paid POST; `other` goes into the payment header."""
        sent = {"payment-signature": header_of(tx, **other), **(headers or {})}
        answer = await self.ask("POST", path, who=who, headers=sent, json=body or {})
        assert "payment-required" not in answer.headers, "an answer to a payment must never ask for another one"
        return answer

    async def offers(self, path: str, who: Who, body: Any = None) -> dict[str, Any]:
        """The offers of a 402 by asset."""
        answer = await self.ask("POST", path, who=who, json=body or {})
        assert answer.status == 402, answer.raw
        return {entry["asset"].rpartition(".")[2]: entry for entry in answer.body["accepts"]}

    async def created(self, who: Who, sats: int = 500, *, confirmed: bool = True) -> Answer:
        """A running sandbox."""
        tx = self.sbtc(who, sats)
        answer = await self.pay("/sandbox/create", who, tx, {"sats": sats})
        for _ in range(20):  # a relay that is slow on a busy machine leaves it under way: asked again, as a client does
            if answer.status != 202:
                break
            answer = await self.pay("/sandbox/create", who, tx, {"sats": sats})
        assert answer.status == 201, answer.raw
        if confirmed:
            assert (await self.settled(answer.body["paymentId"])).state == "confirmed"
            await self.until(lambda: self.state(who).accounts.deposits == -sats * SATS)
        await self.until(lambda: self.state(who).phase in (Phase.ALIVE, Phase.GRACE))
        return answer

    # Payments

    def nonce(self, who: Who) -> int:
        """The next nonce, pending ones counted in."""
        account = self.world.chain.ledger.accounts.get(who.address)
        pending = [r for r in self.world.chain.pending.values() if r.origin == who.address]
        return (account.nonce if account else 0) + len(pending)

    def sender(self, who: Who, nonce: int | None = None, fee: int = 1_000, sponsored: bool = False) -> Sender:
        number = self.nonce(who) if nonce is None else nonce
        return Sender(who.key.public_key, NETWORK, number, 0 if sponsored else fee, sponsored)

    def sbtc(
        self, who: Who, sats: int, *, to: Any = PAY_TO, token: Any = None, memo: str | None = None, **sender: Any
    ) -> Transaction:
        """A signed sBTC transfer."""
        memo = memo or f"m{next(_numbers)}"
        tx = sip010_transfer(self.sender(who, **sender), token or sbtc(NETWORK), to, sats, memo)
        return sign_origin(tx, who.key)

    def stx(self, who: Who, ustx: int, *, to: Any = PAY_TO, **sender: Any) -> Transaction:
        """A signed STX transfer."""
        return sign_origin(token_transfer(self.sender(who, **sender), to, ustx, f"m{next(_numbers)}"), who.key)

    # What is true inside

    def state(self, who: Who | str) -> WalletState:
        """A wallet as committed; a blank one when it was never touched."""
        address = who if isinstance(who, str) else who.address
        actor = self.transport.host.residents.actors.get(address)
        return WalletState(address) if actor is None else actor.state

    async def fault(self, kind: str, **parameters: Any) -> None:
        await self.devnet_post("faults", {"kind": kind, **parameters})

    async def heal(self) -> None:
        async with self.devnet.delete("/devnet/faults") as reply:
            assert reply.status == 200

    async def devnet_post(self, path: str, body: Any) -> Any:
        async with self.devnet.post(f"/devnet/{path}", json=body) as reply:
            assert reply.status in (200, 201), await reply.text()
            return await reply.json()

    # Prices

    async def source(self, name: str, **behaviour: Any) -> None:
        """Make one price source behave otherwise."""
        await self.devnet_post(f"prices/{name}", behaviour)

    async def refresh_prices(self) -> None:
        """Ask every source now, and hear of it."""
        await self.oracle.refresh(everything=True)
        await self.follower.ask()

    # Time

    async def until(self, holds: Callable[[], Any], seconds: float = 120.0) -> None:
        """Wait for something that is about to be true."""
        async with asyncio.timeout(seconds):
            while not holds():
                await asyncio.sleep(0.005)

    async def advance(self, seconds: float) -> None:
        """Let time pass, proven by the node."""
        self.clock.ahead_ms += round(seconds * 1000)
        self.node.tick()
        await asyncio.sleep(0)
        await self.transport.host.link.refresh()
        await self.transport.host.fire_due()

    async def settled(self, payment_id: str, *, mining: bool = True) -> PaymentReport:
        """The payment once it is over; a quarter of a second passes per block."""
        async with asyncio.timeout(120):
            while True:
                report = await self.settlements.report(payment_id)
                assert report is not None
                if not is_in_flight(report.state):
                    return report
                if mining:
                    self.world.mine()
                self.clock.ahead_ms += 250
                self.node.tick()
                await asyncio.sleep(0.01)


class LocalPayouts:
    """The payout queue in this process."""

    def __init__(self, queue: PayoutQueue) -> None:
        self.queue = queue

    async def payout_submit(self, address: str, payout: Payout) -> None:
        await self.queue.submit(
            PayoutOrder(
                payout.payout_id, address, payout.origin, payout.asset, payout.atomic, payout.usat, payout.fee_usat
            )
        )

    async def payouts_of(self, address: str) -> list[PayoutReport]:
        return await self.queue.of(address)

    async def payouts_unfinished(self) -> list[PayoutReport]:
        return await self.queue.unfinished()

    async def payout_approve(self, payout_id: str) -> PayoutReport:
        return await self.queue.approve(payout_id)

    async def payout_deny(self, payout_id: str) -> PayoutReport:
        return await self.queue.deny(payout_id)


@contextlib.asynccontextmanager
async def gatehouse(
    folder: Path,
    slots: dict[str, int] | None = None,
    mounts: Sequence[Mount] = (),
    nodes_of: Callable[[Any], Nodes] = lambda node: OneNode(node, node),
    **changes: Any,
) -> AsyncIterator[House]:
    """Build it, run it, take it down. `changes` replace fields of the gate's settings."""
    clock, key = OffsetClock(), Ed25519PrivateKey.generate()
    async with contextlib.AsyncExitStack() as stack:
        devnet_app = create_devnet(DevnetSettings(block_seconds=0), clock)
        devnet = await stack.enter_async_context(TestClient(TestServer(devnet_app)))
        session = await stack.enter_async_context(aiohttp.ClientSession())
        base = str(devnet.make_url("/")).rstrip("/")
        store = GroupWriter(folder / "settlements.sqlite", migrate_settlements)
        stack.callback(store.close)
        chain = StacksApi(f"{base}/stacks", session, read_timeout_seconds=1, broadcast_timeout_seconds=1)
        node = SimulatedNode(clock.monotonic_ms, slots=slots or SLOTS)

        losses: list[Settlements] = []
        queues: list[LocalPayouts] = []

        async def tell_loss(payment_id: str, payer: str, usat: int) -> None:
            await losses[0].record_loss(payment_id, usat)

        host = WalletHost(
            HostSettings(folder / "wallets", policy=POLICY, pre_stop_seconds=0), WalletFolder(folder / "wallets"), node, clock,
            lambda: f"rt_{secrets.token_hex(8)}", tell_loss, send_payout=lambda *sent: queues[0].payout_submit(*sent),
        )  # fmt: skip
        transport = LocalTransport(host)
        await host.start()
        stack.push_async_callback(host.close)
        system = ActorSystem(transport)
        settlements = Settlements(
            store, RelayClient(f"{base}/relay", session, settle_timeout_seconds=1, read_timeout_seconds=1), chain,
            WalletSink(system, clock), clock, policy=SettlementPolicy(present_wait_ms=1_500, refresh_ms=300),
            preflight=chain_preflight(chain), rng=random.Random(7),
        )  # fmt: skip
        losses.append(settlements)
        payout_store = GroupWriter(folder / "payouts.sqlite", migrate_payouts)
        stack.callback(payout_store.close)
        queue = PayoutQueue(payout_store, chain, WalletPayouts(system), clock, lambda: PAYOUT_KEY, NETWORK)
        queues.append(LocalPayouts(queue))
        stack.push_async_callback(settlements.aclose)
        book = QuoteBook(folder / "oracle.sqlite", now_ms=clock.now_ms)
        anchors = AnchorBook(folder / "oracle.sqlite")
        stack.callback(book.close)
        stack.callback(anchors.close)
        oracle = Oracle(
            http_sources(devnet_bases(f"{base}/prices"), session), anchors, OracleSettings(), now_ms=clock.now_ms
        )
        stack.push_async_callback(oracle.aclose)

        async def heard() -> Snapshot:
            if house.is_oracle_silent:
                await asyncio.Event().wait()
            return oracle.snapshot()

        follower = SnapshotFollower(heard, monotonic_ms=clock.monotonic_ms)
        desk = QuoteDesk(
            follower.latest, key, book, DeskSettings(NETWORK.caip2, str(PAY_TO)), now_ms=clock.now_ms,
            new_id=lambda: f"quo_{secrets.token_hex(8)}",
        )  # fmt: skip

        async def next_nonce(address: str) -> int:
            return (await chain.nonces(address)).possible_next

        settings = GateSettings(
            deployment=DEPLOYMENT, network=NETWORK, pay_to=str(PAY_TO), public_url="http://gate.test",
            operator_token=OPERATOR_TOKEN, policy=POLICY, start_wait_seconds=30.0,
        )  # fmt: skip
        nodes = nodes_of(node)
        services = Services(
            settings=replace(settings, **changes), clock=clock, system=system, views=Views(system, clock, 1000),
            settlements=settlements, oracle=desk, nodes=nodes,  # type: ignore[arg-type]
            registry=AgentRegistry(f"{base}/aibtc", session, lambda: clock.monotonic_ms() / 1000),
            handles=HandleResolver(f"{base}/aibtc", session, lambda: clock.monotonic_ms() / 1000),
            challenger=Challenger(key, deployment=DEPLOYMENT, network=NETWORK, wall_seconds=clock.now),
            passes=PassIssuer(key, deployment=DEPLOYMENT, wall_seconds=clock.now), receipts=ReceiptSigner(key),
            payouts=queues[0], next_nonce=NextNonces(next_nonce, clock.monotonic_ms),
            order_logs=OrderFolder(folder / "orders", clock.wall_ms), disputes=DisputeFile(folder / "disputes.sqlite"),
            checkpoints=checkpoint_log(folder, ReceiptSigner(key), deployment=DEPLOYMENT, network=NETWORK.caip2),
            operator_key=key, room=Room(nodes, clock),
            read_quote=quote_reader(key.public_key(), network=NETWORK.caip2, pay_to=str(PAY_TO)),
        )  # fmt: skip
        client = await stack.enter_async_context(TestClient(GateServer(create_app(services, mounts))))
        house = House(
            client, services, devnet_app[WORLD], devnet, clock, node, transport, settlements, oracle, follower
        )
        await house.refresh_prices()

        async def follow_prices() -> None:
            while True:  # tests let minutes pass in a moment
                await oracle.refresh()
                await follower.ask()
                await asyncio.sleep(0.02)

        async def pump() -> None:
            while True:
                await settlements.tick()
                with contextlib.suppress(ChainUnavailable):
                    await queue.tick()
                node.tick()
                await asyncio.sleep(0.004)

        pumping = [asyncio.create_task(pump()), asyncio.create_task(follow_prices())]

        async def stop() -> None:
            for task in pumping:
                task.cancel()
            await asyncio.gather(*pumping, return_exceptions=True)

        stack.push_async_callback(stop)
        yield house


def split_output(result: dict[str, Any]) -> tuple[dict[str, Any], dict[str, bytearray]]:
    """A command's result as `NodeClient.exec_bytes` gives it."""
    names = ("stdout", "stderr")
    output = {name: bytearray(bytes_of({name: "", **result}, name)) for name in names}
    left_out = {name + end for name in names for end in ("", "_base64")}
    return {name: value for name, value in result.items() if name not in left_out}, output
