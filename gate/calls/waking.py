"""Waking a sandbox for those who call it: one start for all who wait, and nobody is let in before its port answers."""

import asyncio
import contextlib
from collections import OrderedDict

from actors.view import View
from actors.wallet.calls import Route
from actors.wallet.commands import Wake
from actors.wallet.decide_runtime import DESTROYED
from actors.wallet.state import Phase, RuntimeRef
from gate.parts.services import Services
from gate.reach.reaching import lost, was_lost
from operations.errors import SatboxError
from sandboxes.protocol import SandboxError

ASLEEP = frozenset({Phase.REAPED, Phase.NONE})
COMING_UP = frozenset({Phase.STARTING, Phase.STOPPING})
PORT_PAUSE_SECONDS = (0.02, 0.05, 0.1, 0.25)
CONNECT_SECONDS = 2.0
ANSWERED_MAX = 10_000


class Wakers:
    """The starts in progress at one gate, by wallet."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._starting: dict[tuple[str, int], asyncio.Task[View]] = {}
        self._answered: OrderedDict[tuple[str, int], None] = OrderedDict()

    async def up(self, view: View, route: Route) -> View:
        """The wallet with its sandbox up and the route's port answering. Raises sandbox_reaped, credit_insufficient,
        traffic_wakes_limit, sandbox_starting, node_unavailable.
        """
        address, phase = view.state.address, view.state.phase
        if phase in (Phase.ALIVE, Phase.GRACE) and not (route.wakes and self._is_fresh(view, route.port)):
            return view
        if phase in ASLEEP and (not route.wakes or view.state.reason == DESTROYED):
            raise SatboxError("sandbox_reaped", details={"reason": view.state.reason})
        key = (address, route.port)
        task = self._starting.get(key)
        if task is None:
            task = self._starting[key] = asyncio.create_task(self._start(address, route), name=f"wake {address}")
            task.add_done_callback(lambda done: self._done(key, done))
        return await asyncio.shield(task)  # the first caller may leave; the others still wait for the start

    def _is_fresh(self, view: View, port: int) -> bool:
        """Whether it may have come up so lately that its server does not listen yet."""
        runtime, proof = view.state.runtime, view.proof
        if runtime is None or proof is None or (runtime.runtime_id, port) in self._answered:
            return False
        return proof.now_ms - runtime.healthy_at_ms < self._services.settings.wake_wait_seconds * 1000

    def _done(self, key: tuple[str, int], task: "asyncio.Task[View]") -> None:
        self._starting.pop(key, None)
        if not task.cancelled():
            task.exception()

    async def _start(self, address: str, route: Route) -> View:
        services = self._services
        give_up_ms = services.clock.monotonic_ms() + int(services.settings.wake_wait_seconds * 1000)
        view = await services.views.get(address, fresh=True)
        if view.state.phase in ASLEEP:
            if not route.wakes:  # it was stopping a moment ago, and has stopped
                raise SatboxError("sandbox_reaped", details={"reason": view.state.reason})
            try:
                view = await services.system.ask(address, Wake(traffic_per_hour=route.wakes_per_hour))
            except SatboxError as error:
                if error.code != "credit_insufficient":
                    raise
                # The wallet's credit, not the caller's: a caller without a payment is offered the price of a wake.
                raise SatboxError("sandbox_reaped", details={"reason": "no credit", "offer": "call unpaid"}) from error
        while view.state.phase in COMING_UP:
            left = (give_up_ms - services.clock.monotonic_ms()) / 1000
            if left <= 0:
                raise lost(view.state) if was_lost(view.state) else SatboxError("sandbox_starting", retry_after=2)
            view = await services.system.wait(address, view.state.version, left)
        services.views.put(view)
        runtime = view.state.runtime
        if view.state.phase not in (Phase.ALIVE, Phase.GRACE) or runtime is None:
            code = "start_failed" if view.state.reason == "start_failed" else "sandbox_reaped"
            raise SatboxError(code, details={"reason": view.state.reason})
        await self._answering(runtime, route.port, give_up_ms)
        return view

    async def _answering(self, runtime: RuntimeRef, port: int, give_up_ms: int) -> None:
        """Wait until something listens: a server starts after its sandbox."""
        tries = 0
        while self._services.clock.monotonic_ms() < give_up_ms:
            with contextlib.suppress(SandboxError):
                node = self._services.nodes.for_runtime(runtime)
                peer = await node.processes.connect(runtime.runtime_id, port, seconds=CONNECT_SECONDS)
                peer.close()
                self._answered[runtime.runtime_id, port] = None
                if len(self._answered) > ANSWERED_MAX:
                    self._answered.popitem(last=False)
                return
            await asyncio.sleep(PORT_PAUSE_SECONDS[min(tries, len(PORT_PAUSE_SECONDS) - 1)])
            tries += 1
        raise SatboxError("port_closed", details={"port": port}, retry_after=2)
