"""A host as a Ray actor: one process, many wallets (shared) or one (dedicated)."""

import asyncio
import contextlib
import logging
import os
import secrets
from collections.abc import Callable, Iterator

import ray

from actors.clock import SystemClock
from actors.errors import ActorError
from actors.hosting.actor import QueueFullError
from actors.hosting.host import WalletHost
from actors.hosting.host_settings import HostSettings
from actors.hosting.requests import Request, Response, serve
from actors.on_ray.call import packed, unpacked
from actors.on_ray.garbage import spare_startup
from actors.on_ray.host_spec import HostSpec
from actors.on_ray.settlements import RaySettlements
from actors.system import ActorSystem, Transport
from actors.wallet.commands import Earn
from operations import logs
from operations.errors import SatboxError
from sandboxes.client import NodeClient
from storage.full_disk import FULL_SECONDS, is_full

log = logging.getLogger(__name__)

CONCURRENCY_MAX = 2000
"""Calls one host works on at a time; most of them wait for events or for a version."""


class HostProcess:
    """The Ray actor. Its first call, or the watchdog's ping after a restart, starts the host. `transport` makes the way to
    wallets on other hosts, for what is earned there.
    """

    def __init__(self, name: str, spec: HostSpec, transport: Callable[[HostSpec], Transport]) -> None:
        logs.configure()
        self._name = name
        self._spec = spec
        self._settlements = RaySettlements()
        self._wallets = ActorSystem(transport(spec))
        self._starting: asyncio.Task[WalletHost] | None = None
        self._leaving: asyncio.Task[None] | None = None
        self._calls = 0

    async def ping(self) -> int:
        """Be up, and say which process this is."""
        await self._host()
        return os.getpid()

    async def batch(self, payload: bytes) -> bytes:
        """Serve many requests at once; each fails or succeeds alone."""
        requests: list[Request] = unpacked(payload)
        with self._busy():
            host = await self._host()
            return packed(await asyncio.gather(*(_serve(host, request) for request in requests)))

    async def serve(self, payload: bytes) -> bytes:
        """Serve one request that may take long."""
        with self._busy():
            return packed(await _serve(await self._host(), unpacked(payload)))

    @contextlib.contextmanager
    def _busy(self) -> Iterator[None]:
        self._calls += 1
        try:
            yield
        finally:
            self._calls -= 1

    async def outage(self, since_ms: int, until_ms: int | None) -> None:
        """Hold grace while payments cannot be taken."""
        await (await self._host()).payments_unavailable(since_ms, until_ms)

    async def statistics(self) -> dict[str, int]:
        """Counts for metrics."""
        return (await self._host()).statistics()

    async def overview(self) -> bytes:
        """Every wallet in a few numbers."""
        with self._busy():
            return packed(await (await self._host()).overview())

    async def close(self) -> None:
        """Post what is due and let go of the files."""
        if self._starting is not None:
            await (await self._starting).close()

    async def _leave_when_idle(self, host: WalletHost) -> None:
        """A wallet's own process ends when its wallet was put away: the next call makes a new one."""
        while True:
            await asyncio.sleep(self._spec.idle_seconds / 4)
            if self._calls == 0 and host.statistics()["resident"] == 0:
                # Nothing resident means nothing to flush. A call that arrives just now finds us dead and is made again.
                ray.kill(ray.get_runtime_context().current_actor, no_restart=True)

    async def _host(self) -> WalletHost:
        if self._starting is None:
            self._starting = asyncio.ensure_future(self._start())
        try:
            return await asyncio.shield(self._starting)
        except Exception:
            self._starting = None
            raise

    async def _start(self) -> WalletHost:
        spec = self._spec
        settings = HostSettings(
            folder=spec.home / "wallets",
            name=self._name,
            policy=spec.policy,
            idle_seconds=spec.idle_seconds,
            owns=lambda address: spec.placement.owns(self._name, address),
        )
        node = NodeClient(spec.node_socket)
        host = WalletHost(
            settings,
            spec.wallets(),
            node,
            SystemClock(),
            lambda: f"rt_{secrets.token_hex(12)}",
            self._tell_loss,
            send_payout=self._settlements.payout_submit,
            tell_earning=self._tell_earning,
        )
        await host.start()
        spare_startup()
        if spec.placement.placement == "dedicated":
            self._leaving = asyncio.ensure_future(self._leave_when_idle(host))
        return host

    async def _tell_earning(self, address: str, earning: Earn) -> None:
        await self._wallets.ask(address, earning)

    async def _tell_loss(self, payment_id: str, payer: str, usat: int) -> None:
        await self._settlements.record_loss(payment_id, payer, usat)


async def _serve(host: WalletHost, request: Request) -> Response | SatboxError | ActorError:
    """Errors are answers here: one request of a batch must not fail the others."""
    try:
        return await serve(host, request)
    except QueueFullError:
        return SatboxError("overloaded", retry_after=1)
    except (SatboxError, ActorError) as error:
        return error
    except Exception as error:
        log.exception("a request failed: %s", type(request).__name__)
        return SatboxError("storage_full", retry_after=FULL_SECONDS) if is_full(error) else SatboxError("internal")
