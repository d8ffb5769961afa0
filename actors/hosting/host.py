"""A host: many wallet actors in one process, with their timers, their node and their files.

It activates wallets on demand, puts idle ones away, fires alarms, and makes the effects of turns happen. Nothing a host
holds in memory is needed after a crash: on start it activates every wallet that has a runtime or a loss to tell.
"""

import asyncio
import contextlib
import logging
import resource
from collections.abc import Callable
from concurrent.futures import Executor, ThreadPoolExecutor
from typing import TypeVar

from actors.clock import Clock
from actors.errors import FencedError
from actors.hosting.actor import Surroundings, WalletActor
from actors.hosting.effects import Effects, LossSink, PayoutSink
from actors.hosting.host_settings import HostSettings
from actors.hosting.liveness import Liveness
from actors.hosting.meter_reader import MeterReader
from actors.hosting.node_link import NodeLink
from actors.hosting.order_delivery import EarningSink, OrderDelivery
from actors.hosting.overview import ROWS_MAX, AtRest, HostOverview, wallet_row
from actors.hosting.reconciling import Reconciler
from actors.hosting.residents import Residents
from actors.hosting.timers import Timers
from actors.stores.wallets import WalletRepository, WalletStore
from actors.view import View
from actors.wallet import commands as c
from actors.wallet.state import Phase, UptimeProof, WalletState
from operations.errors import SatboxError
from sandboxes.protocol import (
    NoCapacity,
    Reservation,
    SandboxError,
    SandboxNode,
)

log = logging.getLogger(__name__)

OVERVIEW_AT_ONCE = 100
ABSENT_SECONDS = 0.05
"""How often somebody who waits for a wallet that is not there yet looks for it."""

Page = TypeVar("Page")


class WalletHost:
    """Hosts the wallets whose addresses it is given."""

    def __init__(
        self,
        settings: HostSettings,
        wallets: WalletRepository,
        node: SandboxNode,
        clock: Clock,
        new_runtime_id: Callable[[], str],
        tell_loss: LossSink,
        *,
        send_payout: PayoutSink | None = None,
        tell_earning: EarningSink | None = None,
        executor: Executor | None = None,
    ) -> None:
        self._settings = settings
        self._clock = clock
        self._executor = executor or ThreadPoolExecutor(settings.threads, thread_name_prefix="commit")
        self.residents = Residents(
            settings, clock, self._executor, wallets, lambda store: WalletActor(store, self._around), self._activated
        )
        self._reconciler = Reconciler(settings, self.residents, node, self._executor)
        self._timers = Timers()
        self._due = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._is_closing = False
        self._at_rest = AtRest(wallets, settings.owns, clock.monotonic_ms)
        self._overview = asyncio.Lock()
        self.link = NodeLink(
            node,
            clock,
            on_lost=self._reconciler.lost,
            on_start_file=self._reconciler.start_file_ended,
            on_connect=self._reconciler.connected,
            on_beat=self._due.set,
        )
        self.meter_reader = MeterReader(node, lambda: list(self.residents.actors.values()), settings.meter_seconds)
        self._effects = Effects(node, tell_loss, settings.pre_stop_seconds, send_payout)
        self._orders = OrderDelivery(tell_earning or self._tell_own)
        self._liveness = Liveness(settings.folder / f".{settings.name}.alive")
        self._gap: tuple[int, int] | None = None
        self._around = Surroundings(
            clock=clock,
            policy=settings.policy,
            executor=self._executor,
            new_runtime_id=new_runtime_id,
            proof=self.link.proof,
            refresh_proof=self.link.refresh,
            run_effect=self._effects.run,
            deliver_orders=self._orders.wake,
            armed=self._arm,
            died=self._died,
        )

    # Life

    async def start(self) -> None:
        """Hear the node, activate every wallet that needs watching, then keep time."""
        self._settings.folder.mkdir(parents=True, exist_ok=True)
        _raise_file_limit()
        await self.link.refresh()
        self._gap = self._liveness.gap(self.link.proof())
        await self.residents.open_unfinished()
        self._gap = None
        self._tasks = [
            asyncio.create_task(self.link.run(), name="node link"),
            asyncio.create_task(self._keep_time(), name="timers"),
            asyncio.create_task(self.meter_reader.run(), name="meters"),
        ]

    async def close(self) -> None:
        """Post what is due and let go of every file. Sandboxes stay up: they outlive their host."""
        self._is_closing = True
        self.residents.end()
        self._effects.close()
        await self._orders.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.link.close()
        await self.residents.put_away()
        self._liveness.beat(self.link.proof())
        self._executor.shutdown(wait=True)

    # Commands and reads

    async def ask(self, address: str, command: c.Command) -> View:
        """Run one command on a wallet. A copy that was fenced while it waited is opened again, once."""
        if not creates(command) and not await self.residents.exists(address):
            refusal = None if isinstance(command, c.Look) else c.Refusal("wallet_not_found")
            return View(WalletState(address), self._clock.wall_ms(), self.link.proof(), refusal)
        for last in (False, True):
            actor = await self.residents.get(address)
            try:
                return await actor.ask(command)
            except FencedError:
                self.residents.forget(address)
                if last or self._is_closing:
                    raise
        raise AssertionError("unreachable")

    async def prepare(self, address: str, command: c.Prepare) -> View:
        """May a payment for this wallet be presented now? Reserves a slot when it would start a sandbox."""
        view = await self.ask(address, command)
        if view.refusal is None and view.state.phase in (Phase.NONE, Phase.REAPED):
            size_class = (command.plan or view.state.plan).size_class
            reservation = Reservation(address, size_class, self._settings.reserve_seconds, command.payment_id)
            try:
                await self.link.node.reserve(reservation)
            except NoCapacity as error:
                raise SatboxError("no_capacity", retry_after=max(1, round(error.retry_after_seconds))) from error
            except SandboxError as error:
                raise SatboxError("node_unavailable", str(error), retry_after=2) from error
        return view

    async def wait(self, address: str, version: int, timeout_seconds: float) -> View:
        """The wallet once it is past `version`, or when the time is up."""
        give_up = asyncio.get_running_loop().time() + timeout_seconds
        while not await self.residents.exists(address):
            left = give_up - asyncio.get_running_loop().time()
            if left <= 0:
                return await self.ask(address, c.Look())
            await asyncio.sleep(min(left, ABSENT_SECONDS))
        return await (await self.residents.get(address)).wait_change(version, timeout_seconds)

    async def read(self, address: str, query: Callable[[WalletStore], Page]) -> Page:
        """Run a read of a wallet's books off the loop; SatboxError when there is none."""
        if not await self.residents.exists(address):
            raise SatboxError("wallet_not_found")
        store = (await self.residents.get(address)).store
        return await asyncio.get_running_loop().run_in_executor(self._executor, query, store)

    async def _tell_own(self, address: str, earning: c.Earn) -> None:
        """The only host there is tells its own wallets."""
        await self.ask(address, earning)

    def statistics(self) -> dict[str, int]:
        """Counts for metrics."""
        phases: dict[str, int] = {}
        for actor in self.residents.actors.values():
            phases[actor.state.phase.value] = phases.get(actor.state.phase.value, 0) + 1
        return {"resident": len(self.residents.actors), "armed": len(self._timers), **phases}

    async def overview(self) -> HostOverview:
        """Every wallet in a few numbers; one look at a time."""
        async with self._overview:
            proof = self.link.proof()
            actors = [actor for actor in self.residents.actors.values() if actor.state.exists][:ROWS_MAX]
            rows = []
            for count, actor in enumerate(actors):
                rows.append(wallet_row(actor.state, proof))
                if count % OVERVIEW_AT_ONCE == OVERVIEW_AT_ONCE - 1:
                    await asyncio.sleep(0)  # commands in between
            resident = frozenset(self.residents.actors)
            asleep, unread = await asyncio.get_running_loop().run_in_executor(
                self._executor, self._at_rest.rows, resident
            )
            return HostOverview((*rows, *asleep), unread)

    # Time

    def _arm(self, address: str, at_ms: int | None) -> None:
        before = self._timers.next_ms()
        self._timers.arm(address, at_ms)
        if at_ms is not None and (before is None or at_ms < before):
            self._due.set()

    async def _keep_time(self) -> None:
        while True:
            await self.fire_due()
            self.residents.passivate()
            self._liveness.beat(self.link.proof())
            proof, next_ms = self.link.proof(), self._timers.next_ms()
            pause = 1.0
            if proof is not None and next_ms is not None:
                pause = min(pause, max(0.005, (next_ms - proof.now_ms) / 1000))
            self._due.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await self._due.wait()

    async def fire_due(self) -> int:
        """Give every wallet whose alarm has come a turn; what cannot be proven yet is asked again in a second."""
        proof = self.link.proof()
        if proof is None:
            return 0
        due = self._timers.due(proof.now_ms)
        for start in range(0, len(due), 256):
            await asyncio.gather(*(self._fire(a, proof.now_ms) for a in due[start : start + 256]))
        return len(due)

    async def _fire(self, address: str, now_ms: int) -> None:
        actor = self.residents.actors.get(address)
        if actor is None or actor.is_dead:
            return
        version = actor.state.version
        try:
            await actor.ask(c.Tick())
        except Exception:
            log.exception("an alarm of %s failed; it is tried again", address)
        if actor.state.version == version and not actor.is_dead:
            # Nothing was due after all: the node's proof lags, or payments are out. Ask again, never forget.
            self._timers.arm(address, now_ms + 1000)

    async def payments_unavailable(self, since_ms: int, until_ms: int | None) -> None:
        """Payments cannot be taken since wall time `since_ms`, or could not until `until_ms`."""
        proof = self.link.proof()
        if proof is None:
            return
        wall_ms = self._clock.wall_ms()
        from_ms = proof.now_ms - max(0, wall_ms - since_ms)
        if until_ms is None:
            self.link.outage_since_ms = from_ms
            return
        to_ms = proof.now_ms - max(0, wall_ms - until_ms)
        for actor in list(self.residents.actors.values()):
            if actor.state.phase in (Phase.ALIVE, Phase.GRACE):
                await self._give_back(actor, from_ms, to_ms)
        self.link.outage_since_ms = None
        self._due.set()

    async def _activated(self, actor: WalletActor) -> None:
        if self._gap is not None and actor.state.phase in (Phase.ALIVE, Phase.GRACE):
            await self._give_back(actor, *self._gap)

    async def _give_back(self, actor: WalletActor, from_ms: int, to_ms: int) -> None:
        """Pass the deadlines up to now with grace held, then return the lost time to it."""
        await self.link.refresh()
        runtime = actor.state.runtime
        proof = self.link.proof(None if runtime is None else runtime.runtime_id)
        if proof is not None:
            held = UptimeProof(proof.node_id, proof.boot_id, proof.now_ms, proof.proven_ms, outage_since_ms=from_ms)
            await actor.ask(c.Outage(from_ms, to_ms), proof=held)

    def _died(self, actor: WalletActor, error: BaseException) -> None:
        if self.residents.actors.get(actor.address) is actor:
            self._timers.arm(actor.address, None)
        self.residents.died(actor, error)


def creates(command: c.Command) -> bool:
    """Whether a command may begin a wallet: a create, a proof, or money that is not to be turned away."""
    match command:
        case c.Prepare(purpose=purpose):
            return purpose == "create"
        case c.Observe() | c.Deposit() | c.Reverse() | c.BurnNonce() | c.RevokePasses() | c.Earn() | c.PromiseOrder():
            return True
        case _:
            return False


def _raise_file_limit() -> None:
    """A resident wallet holds three descriptors (file, log, index): take all the process may have."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
