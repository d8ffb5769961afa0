"""Reach hosts on Ray: micro-batched, with a bounded window, and patient while Ray restarts a host.

A Ray call costs about a millisecond, most of it fixed, so commands for one host travel together: while a batch is in
flight the next one gathers. Every command is idempotent (see `actors.wallet`), so one whose host died is sent again.
"""

import asyncio
import contextlib
import pickle
import time
from collections import deque
from typing import Any

import ray
from ray.exceptions import RayActorError

from actors.errors import ActorError
from actors.placement import HostMap
from actors.ray_host import CONCURRENCY_MAX, NAMESPACE, HostProcess, HostSpec
from actors.requests import Ask, ReadLedger, ReadMeter, Request, Response
from operations.errors import SatboxError

BATCH_MAX = 256
WINDOW = 4
WAITING_MAX = 8192
CALL_SECONDS_MAX = 30.0
RETRY_SECONDS = 0.1


class _Host:
    """One host's handle, its gathering batch and its window."""

    def __init__(self, system: "RayTransport", name: str) -> None:
        self._system = system
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
        payload = pickle.dumps([request for request, _ in batch], protocol=5)
        try:
            answers = pickle.loads(await self._system.call(self._name, "batch", payload))  # noqa: S301 - our own host
        except BaseException as error:
            for _, future in batch:
                if not future.done():
                    future.set_exception(error if isinstance(error, Exception) else SatboxError("timeout"))
            if not isinstance(error, Exception):
                raise
            return
        for (_, future), answer in zip(batch, answers, strict=True):
            _settle(future, answer)


def _settle(future: "asyncio.Future[Response]", answer: Any) -> None:
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
        self._hosts: dict[str, _Host] = {}
        self._handles: dict[str, Any] = {}

    @property
    def placement(self) -> HostMap:
        """Which host an address lives on."""
        return self._spec.placement

    async def send(self, request: Request) -> Response:
        """Quick requests are batched; those that may wait travel alone so that they hold nobody up."""
        name = self.placement.name(request.address)
        if isinstance(request, Ask | ReadLedger | ReadMeter):
            host = self._hosts.get(name)
            if host is None:
                host = self._hosts[name] = _Host(self, name)
            try:
                return await host.ask(request)
            except ActorError as error:
                raise SatboxError("overloaded", retry_after=1) from error
        answer = pickle.loads(await self.call(name, "serve", pickle.dumps(request, protocol=5)))  # noqa: S301
        if isinstance(answer, Exception):
            raise answer
        response: Response = answer
        return response

    async def call(self, name: str, method: str, *arguments: Any) -> Any:
        """Call a host; wait for Ray to bring it back when it has died."""
        give_up = time.monotonic() + CALL_SECONDS_MAX
        while True:
            try:
                return await getattr(self.handle(name), method).remote(*arguments)
            except (RayActorError, ValueError) as error:
                # ValueError: the name is not registered (yet, or again).
                self._handles.pop(name, None)
                if time.monotonic() > give_up:
                    raise SatboxError("timeout", f"host {name} does not answer", retry_after=2) from error
            await asyncio.sleep(RETRY_SECONDS)

    def handle(self, name: str) -> Any:
        """The named actor; made when it does not exist and may be made on demand."""
        handle = self._handles.get(name)
        if handle is None:
            is_on_demand = self.placement.placement == "dedicated"
            handle = start_host(name, self._spec) if is_on_demand else ray.get_actor(name, namespace=NAMESPACE)
            self._handles[name] = handle
        return handle

    async def broadcast_outage(self, since_ms: int, until_ms: int | None) -> None:
        """Tell every host that runs."""
        await asyncio.gather(*(self.call(name, "outage", since_ms, until_ms) for name in self._running()))

    async def statistics(self) -> dict[str, dict[str, int]]:
        """Counts by host."""
        names = self._running()
        counts = await asyncio.gather(*(self.call(name, "statistics") for name in names))
        return dict(zip(names, counts, strict=True))

    def _running(self) -> list[str]:
        return self.placement.names() or [n for n in ray.util.list_named_actors() if n.startswith("wallet-")]

    async def close(self) -> None:
        """Have every host post its charges and let go."""
        for name in self._running():
            with contextlib.suppress(RayActorError, ValueError, TimeoutError):
                async with asyncio.timeout(15):
                    await self.handle(name).close.remote()


def start_host(name: str, spec: HostSpec) -> Any:
    """Make the named host, or get it when it is there. Ray restarts it for as long as it exists."""
    actor: Any = ray.remote(HostProcess)
    return actor.options(
        name=name,
        namespace=NAMESPACE,
        get_if_exists=True,
        lifetime="detached",
        max_restarts=-1,
        max_concurrency=CONCURRENCY_MAX,
        num_cpus=0,
    ).remote(name, spec)
