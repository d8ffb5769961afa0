"""What a gate needs from the rest of the service, as interfaces, and the bundle that carries them."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Protocol

from aiohttp import web
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from actors.books.checkpoints import CheckpointBook
from actors.clock import Clock
from actors.system import ActorSystem
from gate.genesis import AgentRegistry, Challenger, PassIssuer
from gate.outside import HandleResolver
from gate.parts.dispute_index import DisputeIndex
from gate.parts.nodes import Nodes
from gate.parts.orders import OrderLogs
from gate.parts.receipts import ReceiptSigner
from gate.parts.room import Room
from gate.parts.sandbox_policy import SandboxPolicy
from gate.parts.secrets import Secrets
from gate.parts.views import Views
from gate.settings import GateSettings
from oracle import Quote, Reason, Snapshot
from relay_client.payouts import PayoutReport
from relay_client.settlements import PaymentReport, Presentation


class SettlementsPort(Protocol):
    """Payments, wherever settlements run."""

    async def present(self, presentation: Presentation) -> PaymentReport:
        """Settle a verified payment; idempotent by its origin-signed bytes."""
        ...

    async def report(self, payment_id: str) -> PaymentReport | None:
        """A payment by its id."""
        ...

    async def states(self) -> dict[str, int]:
        """Payments by state, and `outbox`: what wallets have yet to be told."""
        ...

    async def claim_spare(self, presentation: Presentation, usat: int) -> PaymentReport | None:
        """The earlier payment, of a call that failed, that a new one stands for; None when it must be sent."""
        ...

    async def keep_spare(self, payer: str, payment_id: str) -> None:
        """The call of this payment failed: its money may pay for the payer's next one."""
        ...

    async def drop_spare(self, payer: str, payment_id: str) -> None:
        """Its money is used up."""
        ...

    async def is_told(self, payer: str, payment_id: str) -> bool:
        """Whether its wallet has heard all there is of a payment: one that is in a block may yet have to be credited."""
        ...

    async def can_sponsor(self) -> bool:
        """Whether the relay pays fees for others now; never raises, up to some seconds old."""
        ...

    async def recall(self, presentation: Presentation) -> PaymentReport | None:
        """What `present` would answer for bytes presented before; None for new ones. Raises conflicts."""
        ...


class PayoutsPort(Protocol):
    """The payout queue, wherever it runs."""

    async def payouts_of(self, address: str) -> list[PayoutReport]:
        """A wallet's, newest first."""
        ...

    async def payouts_unfinished(self) -> list[PayoutReport]:
        """All that are not over."""
        ...

    async def payout_approve(self, payout_id: str) -> PayoutReport:
        """The operator lets it pass. Raises payout_not_found, payout_state, payout_limit."""
        ...

    async def payout_deny(self, payout_id: str) -> PayoutReport:
        """The operator does not. Raises payout_not_found, payout_state."""
        ...


class OraclePort(Protocol):
    """Prices and quotes from the oracle's last snapshot; none of it waits for the oracle."""

    def snapshot(self) -> Snapshot | None:
        """The last snapshot; None while the oracle is silent."""
        ...

    def why_not(self, asset: str) -> Reason | None:
        """Why an asset is not offered now; None when it is."""
        ...

    async def quote(self, asset: str, sats: int) -> Quote:
        """A signed price; asset_not_offered, with `details.reason`, when there is none to be had."""
        ...


@dataclass(frozen=True, slots=True)
class Services:
    """Everything a gate works with."""

    settings: GateSettings
    clock: Clock
    system: ActorSystem
    views: Views
    settlements: SettlementsPort
    oracle: OraclePort
    nodes: Nodes
    registry: AgentRegistry
    challenger: Challenger
    passes: PassIssuer
    receipts: ReceiptSigner
    operator_key: Ed25519PrivateKey
    room: Room
    read_quote: Callable[[str], Quote]
    order_logs: OrderLogs
    """The folder of the gates' logs of paid calls."""
    secrets: Secrets | None = None
    handles: HandleResolver | None = None
    policy: SandboxPolicy = field(default_factory=SandboxPolicy)
    checkpoints: CheckpointBook | None = None
    disputes: DisputeIndex | None = None
    payouts: PayoutsPort | None = None
    next_nonce: Callable[[str], Awaitable[int]] | None = None
    """The nonce of an address's next transaction, pending ones counted; raises ChainUnavailable."""
    statement_slots: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(2))
    """Statement files written at the same time; whoever comes later waits."""
    statements_under_way: Counter[str] = field(default_factory=Counter)
    """Statement files being written or read, by wallet."""


SERVICES: web.AppKey[Services] = web.AppKey("services", Services)
