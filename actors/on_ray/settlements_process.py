"""The Ray actor that runs settlements and the payout queue."""

import asyncio
import logging
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp

from actors.clock import SystemClock
from actors.on_ray.call import answered, start_actor, unpacked
from actors.on_ray.host_spec import HostSpec
from actors.on_ray.settlements import SETTLEMENTS
from actors.on_ray.transport import RayTransport
from actors.system import ActorSystem
from actors.wallet_sinks import WalletPayouts, WalletSink
from operations import logs
from operations.errors import SatboxError
from relay_client.chain import StacksApi
from relay_client.payouts import KeyFile, PayoutPolicy, PayoutQueue
from relay_client.payouts import migrate as migrate_payouts
from relay_client.payouts.records import PayoutSink
from relay_client.preflight import chain_preflight
from relay_client.relay import RelayClient
from relay_client.settlements import PaymentReport, SettlementPolicy, Settlements
from relay_client.settlements.schema import migrate as migrate_settlements
from stacks import Network
from storage.writer import GroupWriter

CONCURRENCY_MAX = 1000


@dataclass(frozen=True, slots=True)
class PayoutSpec:
    """How money is paid out."""

    key: KeyFile
    network: Network
    policy: PayoutPolicy


@dataclass(frozen=True, slots=True)
class SettlementsSpec:
    """What a settlements process is told; it crosses to the process pickled."""

    home: Path
    relay_url: str
    stacks_api_url: str
    transport: HostSpec
    """How to reach the wallets."""
    policy: SettlementPolicy
    api_key: str | None = field(default=None, repr=False)
    payouts: PayoutSpec | None = None


class _Clock:
    """The machine's clocks under the names settlements use."""

    def __init__(self) -> None:
        self._system = SystemClock()

    def now_ms(self) -> int:
        """Wall time."""
        return self._system.wall_ms()

    def monotonic_ms(self) -> int:
        """Monotonic time."""
        return self._system.monotonic_ms()


class SettlementsProcess:
    """The Ray actor. Its first call, or the watchdog's ping after a restart, starts the work."""

    def __init__(self, spec: SettlementsSpec) -> None:
        logs.configure()
        self._spec = spec
        self._settlements: Settlements | None = None
        self._store: GroupWriter | None = None
        self._session: aiohttp.ClientSession | None = None
        self._work: asyncio.Task[None] | None = None
        self._queue: PayoutQueue | None = None
        self._payout_store: GroupWriter | None = None
        self._paying: asyncio.Task[None] | None = None

    def _started(self) -> Settlements:
        if self._settlements is None:
            spec = self._spec
            self._store = GroupWriter(spec.home / f"{SETTLEMENTS}.sqlite", migrate_settlements)
            self._session = aiohttp.ClientSession()
            chain = StacksApi(spec.stacks_api_url, self._session, api_key=spec.api_key)
            system = ActorSystem(RayTransport(spec.transport))
            sink = WalletSink(system, SystemClock())
            self._settlements = Settlements(
                self._store,
                RelayClient(spec.relay_url, self._session),
                chain,
                sink,
                _Clock(),
                policy=spec.policy,
                preflight=chain_preflight(chain),
            )
            self._work = asyncio.ensure_future(self._settlements.run())
            self._work.add_done_callback(_stopped)
            if spec.payouts is not None:
                self._start_payouts(spec.payouts, chain, WalletPayouts(system))
        return self._settlements

    def _start_payouts(self, spec: PayoutSpec, chain: StacksApi, sink: PayoutSink) -> None:
        self._payout_store = GroupWriter(self._spec.home / "payouts.sqlite", migrate_payouts)
        self._queue = PayoutQueue(self._payout_store, chain, sink, _Clock(), spec.key, spec.network, policy=spec.policy)
        self._paying = asyncio.ensure_future(self._queue.run())
        self._paying.add_done_callback(_stopped)

    def _payouts(self) -> PayoutQueue:
        self._started()
        if self._queue is None:
            raise SatboxError("reclaim_nothing", "This service pays nothing out.")
        return self._queue

    async def payout_submit(self, payload: bytes) -> Any:
        """Take an order; durable when this returns."""
        return await answered(self._payouts().submit(unpacked(payload)))

    async def payouts_of(self, address: str) -> Any:
        """A wallet's payouts."""
        return await answered(self._payouts().of(address))

    async def payouts_unfinished(self) -> Any:
        """All that are not over."""
        return await answered(self._payouts().unfinished())

    async def payout_approve(self, payout_id: str) -> Any:
        """The operator lets one pass."""
        return await answered(self._payouts().approve(payout_id))

    async def payout_deny(self, payout_id: str) -> Any:
        """The operator does not."""
        return await answered(self._payouts().deny(payout_id))

    async def ping(self) -> int:
        """Be up, and say which process this is."""
        self._started()
        return os.getpid()

    async def present(self, payload: bytes) -> Any:
        """Settle a payment."""
        return await answered(self._started().present(unpacked(payload)))

    async def recall(self, payload: bytes) -> Any:
        """What a repeated presentation would be answered."""
        return await answered(self._started().recall(unpacked(payload)))

    async def claim_spare(self, payload: bytes, usat: int) -> Any:
        """The earlier payment that a new one stands for."""
        return await answered(self._started().claim_spare(unpacked(payload), usat))

    async def keep_spare(self, payment_id: str) -> None:
        """The call of this payment failed."""
        await self._started().keep_spare("", payment_id)

    async def drop_spare(self, payment_id: str) -> None:
        """Its money is used up."""
        await self._started().drop_spare("", payment_id)

    async def is_told(self, payment_id: str) -> bool:
        """Whether its wallet has heard all there is of it."""
        return await self._started().is_told("", payment_id)

    async def report(self, payment_id: str) -> PaymentReport | None:
        """A payment by its id."""
        return await self._started().report(payment_id)

    async def states(self) -> dict[str, int]:
        """Payments by state."""
        return await self._started().states()

    async def can_sponsor(self) -> bool:
        """Whether the relay pays fees for others now."""
        return await self._started().can_sponsor()

    async def record_loss(self, payment_id: str, usat: int) -> None:
        """A start on credit that was never paid."""
        await self._started().record_loss(payment_id, usat)

    async def close(self) -> None:
        """Stop cleanly; what was under way is taken up by the next start."""
        if self._settlements is None or self._work is None or self._session is None or self._store is None:
            return
        work = [task for task in (self._work, self._paying) if task is not None]
        for task in work:
            task.cancel()
        await asyncio.gather(*work, return_exceptions=True)
        await self._settlements.aclose()
        await self._session.close()
        self._store.close()
        if self._payout_store is not None:
            self._payout_store.close()
        self._settlements = self._queue = None


def _stopped(work: "asyncio.Task[None]") -> None:
    """Work that ends by itself is a broken process: leave, and let Ray start a fresh one from the committed state."""
    if not work.cancelled() and work.exception() is not None:
        logging.getLogger(__name__).critical("settlements stop", exc_info=work.exception())
        os._exit(1)


def start_settlements(spec: SettlementsSpec) -> Any:
    """Make the settlements actor, or get it."""
    return start_actor(SettlementsProcess, SETTLEMENTS, spec, concurrency=CONCURRENCY_MAX)
