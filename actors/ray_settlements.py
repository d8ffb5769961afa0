"""Settlements on Ray: the actor that runs them, and the client that finds the right one.

Payers are sharded by sha256 of their address over `settlements-0` .. `settlements-<k-1>`, each with a file of its own.
"""

import asyncio
import hashlib
import logging
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp

from actors.clock import SystemClock
from actors.ray_call import NamedActors, answered, packed, start_actor, unpacked
from relay_client.chain import StacksApi
from relay_client.preflight import chain_preflight
from relay_client.relay import RelayClient
from relay_client.settlements import PaymentReport, Policy, Presentation, Settlements, Store

CONCURRENCY_MAX = 1000


@dataclass(frozen=True, slots=True)
class SettlementsSpec:
    """What a settlements process is told; it crosses to the process pickled."""

    home: Path
    relay_url: str
    stacks_api_url: str
    transport: Any
    """A HostSpec: how to reach the wallets."""
    policy: Policy
    count: int = 1
    api_key: str | None = None


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

    def __init__(self, name: str, spec: SettlementsSpec) -> None:
        logging.basicConfig(level=logging.WARNING)
        self._name = name
        self._spec = spec
        self._settlements: Settlements | None = None
        self._store: Store | None = None
        self._session: aiohttp.ClientSession | None = None
        self._work: asyncio.Task[None] | None = None

    def _started(self) -> Settlements:
        if self._settlements is None:
            # Late imports: the transport reaches hosts, whose module reaches this one for losses.
            from actors.credit_sink import WalletSink
            from actors.ray_system import RayTransport
            from actors.system import ActorSystem

            spec = self._spec
            self._store = Store(spec.home / f"{self._name}.sqlite")
            self._session = aiohttp.ClientSession()
            chain = StacksApi(spec.stacks_api_url, self._session, api_key=spec.api_key)
            sink = WalletSink(ActorSystem(RayTransport(spec.transport)), SystemClock())
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
        return self._settlements

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

    async def report(self, payment_id: str) -> PaymentReport | None:
        """A payment by its id."""
        return await self._started().report(payment_id)

    async def record_loss(self, payment_id: str, usat: int) -> None:
        """A start on credit that was never paid."""
        await self._started().record_loss(payment_id, usat)

    async def close(self) -> None:
        """Stop cleanly; what was under way is taken up by the next start."""
        if self._settlements is None or self._work is None or self._session is None or self._store is None:
            return
        self._work.cancel()
        await asyncio.gather(self._work, return_exceptions=True)
        await self._settlements.aclose()
        await self._session.close()
        self._store.close()
        self._settlements = None


def _stopped(work: "asyncio.Task[None]") -> None:
    """Work that ends by itself is a broken process: leave, and let Ray start a fresh one from the committed state."""
    if not work.cancelled() and work.exception() is not None:
        logging.getLogger(__name__).critical("settlements stop", exc_info=work.exception())
        os._exit(1)


class RaySettlements:
    """Settlements wherever they run."""

    def __init__(self, count: int = 1) -> None:
        self._count = count
        self._actors = NamedActors()

    def names(self) -> list[str]:
        """The actors that run."""
        return [f"settlements-{k}" for k in range(self._count)]

    def _name(self, payer: str) -> str:
        return f"settlements-{int.from_bytes(hashlib.sha256(payer.encode()).digest()[:4], 'big') % self._count}"

    async def present(self, presentation: Presentation) -> PaymentReport:
        """Settle a verified payment."""
        report: PaymentReport = await self._actors.call(
            self._name(presentation.payment.origin), "present", packed(presentation)
        )
        return report

    async def recall(self, presentation: Presentation) -> PaymentReport | None:
        """What `present` would answer for bytes presented before."""
        report: PaymentReport | None = await self._actors.call(
            self._name(presentation.payment.origin), "recall", packed(presentation)
        )
        return report

    async def report(self, payment_id: str) -> PaymentReport | None:
        """A payment by its id, whichever shard has it."""
        for name in self.names():
            report: PaymentReport | None = await self._actors.call(name, "report", payment_id)
            if report is not None:
                return report
        return None

    async def record_loss(self, payment_id: str, payer: str, usat: int) -> None:
        """Tell the payer's shard of a start on credit that was never paid."""
        await self._actors.call(self._name(payer), "record_loss", payment_id, usat)


def start_settlements(name: str, spec: SettlementsSpec) -> Any:
    """Make the named settlements actor, or get it."""
    return start_actor(SettlementsProcess, name, name, spec, concurrency=CONCURRENCY_MAX)
