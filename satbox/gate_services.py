"""Everything a gate works with, on a cluster that its process has joined."""

import asyncio
import contextlib
import secrets
import time
from collections.abc import AsyncIterator, Awaitable, Callable

import aiohttp

from actors.clock import SystemClock
from actors.on_ray.oracle import RayOracle
from actors.on_ray.settlements import RaySettlements
from actors.on_ray.transport import RayTransport
from actors.system import ActorSystem
from gate.charging.order_folder import OrderFolder
from gate.genesis import AgentRegistry, Challenger, PassIssuer
from gate.outside import HandleResolver
from gate.outside.next_nonces import NextNonces
from gate.parts.dispute_file import DisputeFile
from gate.parts.nodes import OneNode
from gate.parts.receipts import ReceiptSigner
from gate.parts.room import Room
from gate.parts.secret_file import SecretFile
from gate.parts.secrets import Secrets
from gate.parts.services import Services
from gate.parts.views import Views
from gate.settings import GateSettings
from oracle import (
    DeskSettings,
    QuoteBook,
    QuoteDesk,
    SnapshotFollower,
    quote_reader,
)
from relay_client.chain import StacksApi
from sandboxes.client import NodeClient
from satbox.compose import Deployment


@contextlib.asynccontextmanager
async def gate_services(deployment: Deployment) -> AsyncIterator[Services]:
    """Everything a gate works with, on a cluster that this process has joined."""
    settings = deployment.gate_settings()
    clock = SystemClock()
    transport = RayTransport(deployment.host_spec())
    system = ActorSystem(transport)
    key = deployment.keys.operator
    async with contextlib.AsyncExitStack() as stack:
        session = await stack.enter_async_context(aiohttp.ClientSession())
        node = await stack.enter_async_context(NodeClient(deployment.node_socket))
        store = SecretFile(deployment.settings.home / "secrets.sqlite", deployment.keys.secrets_key)
        stack.callback(store.close)
        oracle = await _quote_desk(deployment, settings, clock, stack)
        # Capacity is asked over connections of its own: those of long commands may all be taken.
        control = await stack.enter_async_context(NodeClient(deployment.node_socket))
        nodes = OneNode(node, control)
        settlements = RaySettlements()
        yield Services(
            settings=settings,
            clock=clock,
            system=system,
            views=Views(system, clock, settings.snapshot_ms_max),
            settlements=settlements,
            payouts=settlements,
            next_nonce=NextNonces(
                _next_nonce(StacksApi(deployment.settings.upstreams.stacks_api, session)), clock.monotonic_ms
            ),
            oracle=oracle,
            nodes=nodes,
            registry=AgentRegistry(deployment.settings.upstreams.registry, session, time.monotonic),
            handles=HandleResolver(deployment.settings.upstreams.registry, session, time.monotonic),
            challenger=Challenger(
                key, deployment=settings.deployment, network=settings.network, wall_seconds=time.time
            ),
            passes=PassIssuer(key, deployment=settings.deployment, wall_seconds=time.time),
            receipts=ReceiptSigner(key),
            checkpoints=deployment.checkpoints(),
            order_logs=OrderFolder(deployment.settings.home / "orders", clock.wall_ms),
            disputes=DisputeFile(deployment.settings.home / "disputes.sqlite"),
            operator_key=key,
            room=Room(nodes, clock),
            read_quote=quote_reader(key.public_key(), network=settings.network.caip2, pay_to=settings.pay_to),
            secrets=Secrets(store),
        )


def _next_nonce(chain: StacksApi) -> Callable[[str], Awaitable[int]]:
    async def ask(address: str) -> int:
        return (await chain.nonces(address)).possible_next

    return ask


async def _quote_desk(
    deployment: Deployment, settings: GateSettings, clock: SystemClock, stack: contextlib.AsyncExitStack
) -> QuoteDesk:
    """Quotes beside the gate, from the oracle's last snapshot, which a task of its own keeps fresh."""
    book = QuoteBook(deployment.settings.home / "oracle.sqlite", now_ms=clock.wall_ms)
    stack.callback(book.close)
    follower = SnapshotFollower(RayOracle().snapshot, monotonic_ms=clock.monotonic_ms)
    await follower.ask()  # so that the first 402 has every offer; a silent oracle costs a few seconds, once
    following = asyncio.create_task(follower.run(), name="oracle follower")

    async def stop() -> None:
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)

    stack.push_async_callback(stop)
    terms = DeskSettings(
        settings.network.caip2, settings.pay_to, quote_ms=deployment.settings.oracle.quote_seconds * 1000
    )
    return QuoteDesk(
        follower.latest,
        deployment.keys.operator,
        book,
        terms,
        now_ms=clock.wall_ms,
        new_id=lambda: f"quo_{secrets.token_hex(12)}",
    )
