"""Reach hosts on Ray: micro-batched, with a bounded window, and patient while Ray restarts a host.

A Ray call costs about a millisecond, most of it fixed, so commands for one host travel together: while a batch is in
flight the next one gathers. Every command is idempotent (see `actors.wallet`), so one whose host died is sent again.
"""

import asyncio
import contextlib
from collections import deque
from typing import Any

import ray
from ray.exceptions import RayActorError

from actors.clock import SystemClock
from actors.errors import ActorError
from actors.hosting.overview import HostOverview
from actors.hosting.requests import (
    Ask,
    Pay,
    ReadDisputes,
    ReadLedger,
    ReadMeter,
    ReadOrder,
    ReadSpans,
    Request,
    Response,
    absent,
)
from actors.on_ray.call import NamedActors, packed, start_actor, unpacked
from actors.on_ray.host import CONCURRENCY_MAX, HostProcess
from actors.on_ray.host_spec import HostSpec
from actors.placement import HostMap
from operations.errors import SatboxError

BATCH_MAX = 256
WINDOW = 4
WAITING_MAX = 8192


class _Host:
    """One host's handle, its gathering batch and its window."""

    def __init__(self, actors: NamedActors, name: str) -> None:
        self._actors = actors
        self._name = name
        self._waiting: deque[tuple[Request, asyncio.Future[Response]]] = deque()
        self._in_flight: set[asyncio.Task[None]] = set()

    async def ask(self, request: Request) -> Response:
        if len(self._waiting) >= WAITING_MAX:
            raise SatboxError("overloaded", retry_after=1)
        future: asyncio.Future[Response] = asyncio.get_running_loop().create_future()
        self._waiting.append((request, future))
        self._flush()
        return await future

    def _flush(self) -> None:
        while self._waiting and len(self._in_flight) < WINDOW:
            batch = [self._waiting.popleft() for _ in range(min(BATCH_MAX, len(self._waiting)))]
            task = asyncio.create_task(self._send(batch))
            self._in_flight.add(task)
            task.add_done_callback(self._landed)

    def _landed(self, task: "asyncio.Task[None]") -> None:
        self._in_flight.discard(task)
        self._flush()

    async def _send(self, batch: "list[tuple[Request, asyncio.Future[Response]]]") -> None:
        payload = packed([request for request, _ in batch])
        try:
            answers = unpacked(await self._actors.call(self._name, "batch", payload))
        except BaseException as error:
            for _, future in batch:
                if not future.done():
                    future.set_exception(error if isinstance(error, Exception) else SatboxError("timeout"))
            if not isinstance(error, Exception):
                raise
            return
        for (_, future), answer in zip(batch, answers, strict=True):
            _resolve(future, answer)


def _resolve(future: "asyncio.Future[Response]", answer: Any) -> None:
    if future.done():
        return
    if isinstance(answer, Exception):
        future.set_exception(answer)
    else:
        future.set_result(answer)


class RayTransport:
    """Carries requests to the Ray actor that hosts their address."""

    def __init__(self, spec: HostSpec) -> None:
        self._spec = spec
        self._wallets = spec.wallets()
        self._hosts: dict[str, _Host] = {}
        self._is_on_demand = spec.placement.placement == "dedicated"
        self._actors = NamedActors((lambda name: start_host(name, spec)) if self._is_on_demand else None)

    @property
    def placement(self) -> HostMap:
        """Which host an address lives on."""
        return self._spec.placement

    async def send(self, request: Request) -> Response:
        """Quick requests are batched; those that may wait travel alone so that they hold nobody up."""
        if self._is_on_demand and not await self._wallets.exists(request.address):
            # A process for whatever address somebody thinks of would cost 50 MB each.
            found = absent(request, SystemClock())
            if found is not None:
                return found
        name = self.placement.name(request.address)
        if isinstance(request, Ask | Pay | ReadDisputes | ReadLedger | ReadMeter | ReadOrder | ReadSpans):
            host = self._hosts.get(name)
            if host is None:
                host = self._hosts[name] = _Host(self._actors, name)
            try:
                return await host.ask(request)
            except ActorError as error:
                raise SatboxError("overloaded", retry_after=1) from error
        answer = unpacked(await self._actors.call(name, "serve", packed(request)))
        if isinstance(answer, Exception):
            raise answer
        response: Response = answer
        return response

    async def broadcast_outage(self, since_ms: int, until_ms: int | None) -> None:
        """Tell every host that runs."""
        await asyncio.gather(*(self._actors.call(name, "outage", since_ms, until_ms) for name in self._running()))

    async def statistics(self) -> dict[str, dict[str, int]]:
        """Counts by host."""
        names = self._running()
        counts = await asyncio.gather(*(self._actors.call(name, "statistics") for name in names))
        return dict(zip(names, counts, strict=True))

    async def overview(self) -> dict[str, HostOverview]:
        """Every wallet in a few numbers, by host; with one process a wallet, of those that run."""
        names = self._running()
        told = await asyncio.gather(*(self._actors.call(name, "overview") for name in names))
        return {name: unpacked(page) for name, page in zip(names, told, strict=True)}

    def _running(self) -> list[str]:
        return self.placement.names() or [n for n in ray.util.list_named_actors() if n.startswith("wallet-")]

    async def close(self) -> None:
        """Have every host post its charges and let go."""
        await asyncio.gather(*(self._close(name) for name in self._running()))

    async def _close(self, name: str) -> None:
        with contextlib.suppress(RayActorError, ValueError, TimeoutError):
            async with asyncio.timeout(15):
                await self._actors.handle(name).close.remote()


def start_host(name: str, spec: HostSpec) -> Any:
    """Make the named host, or get it when it is there."""
    return start_actor(HostProcess, name, name, spec, RayTransport, concurrency=CONCURRENCY_MAX)
