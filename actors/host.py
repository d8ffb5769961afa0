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
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from actors.actor import Surroundings, WalletActor
from actors.clock import Clock
from actors.effects import Effects, LossSink, PayoutSink
from actors.errors import FencedError
from actors.liveness import Liveness
from actors.meter_reader import MeterReader
from actors.node_link import NodeLink
from actors.order_delivery import EarningSink, OrderDelivery
from actors.overview import ROWS_MAX, AtRest, HostOverview, wallet_row
from actors.placement import wallet_path
from actors.storage import WalletStore
from actors.timers import Timers
from actors.unfinished import is_damage, is_unfinished, unfinished
from actors.view import View
from actors.wallet import commands as c
from actors.wallet.state import Phase, Policy, Proof, WalletState
from operations.errors import SatboxError
from sandboxes.protocol import (
    NoCapacity,
    Reservation,
    RuntimeLost,
    SandboxError,
    SandboxNode,
    StopRequest,
)

log = logging.getLogger(__name__)

OVERVIEW_AT_ONCE = 100
CLOSING_AT_ONCE = 256
FENCED_REOPEN_SECONDS = 20.0
"""Long enough that two hosts of one wallet do not fence each other in turns."""
ABSENT_SECONDS = 0.05
"""How often somebody who waits for a wallet that is not there yet looks for it."""
LOOK_MS = 5_000
"""How often residents are looked through: at ten thousand that costs milliseconds each time."""

Page = TypeVar("Page")


@dataclass(frozen=True, slots=True)
class HostSettings:
    """What a host is told at start."""

    wallets: Path
    name: str = "host-0"
    policy: Policy = field(default_factory=Policy)
    idle_seconds: float = 300.0
    resident_max: int = 20_000
    open_files_max: int = 1_500
    """Wallet files held open; each takes three descriptors."""
    threads: int = 3
    """Of commits and reads: more of them wait for one another, since each statement changes hands of the interpreter."""
    pre_stop_seconds: float = 1.0
    reserve_seconds: float = 60.0
    meter_seconds: float = 60.0
    """How often meters other than the clock are read; at the end of a runtime they are read anyhow."""
    owns: Callable[[str], bool] | None = None


class WalletHost:
    """Hosts the wallets whose addresses it is given."""

    def __init__(
        self,
        settings: HostSettings,
        node: SandboxNode,
        clock: Clock,
        new_runtime_id: Callable[[], str],
        tell_loss: LossSink,
        *,
        send_payout: PayoutSink | None = None,
        tell_earning: EarningSink | None = None,
        executor: Executor | None = None,
        open_store: Callable[[Path, str], WalletStore] = WalletStore,
    ) -> None:
        self._settings = settings
        self._clock = clock
        self._executor = executor or ThreadPoolExecutor(settings.threads, thread_name_prefix="commit")
        self._open_store = open_store
        self._actors: dict[str, WalletActor] = {}
        self._opening: dict[str, asyncio.Future[WalletActor]] = {}
        self._timers = Timers()
        self._due = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._is_closing = False
        self._looked_ms = 0
        self._at_rest = AtRest(settings.wallets, settings.owns, clock.monotonic_ms)
        self._overview = asyncio.Lock()
        self.link = NodeLink(node, clock, on_lost=self._on_lost, on_connect=self._reconcile, on_beat=self._due.set)
        self.meter_reader = MeterReader(node, lambda: list(self._actors.values()), settings.meter_seconds)
        self._effects = Effects(node, tell_loss, settings.pre_stop_seconds, send_payout)
        self._orders = OrderDelivery(tell_earning or self._tell_own)
        self._liveness = Liveness(settings.wallets / f".{settings.name}.alive")
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
        self._settings.wallets.mkdir(parents=True, exist_ok=True)
        _raise_file_limit()
        await self.link.refresh()
        self._gap = self._liveness.gap(self.link.proof())
        await self._activate_unfinished()
        self._tasks = [
            asyncio.create_task(self.link.run(), name="node link"),
            asyncio.create_task(self._keep_time(), name="timers"),
            asyncio.create_task(self.meter_reader.run(), name="meters"),
        ]

    async def close(self) -> None:
        """Post what is due and let go of every file. Sandboxes stay up: they outlive their host."""
        self._is_closing = True
        self._effects.close()
        await self._orders.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.link.close()
        actors = list(self._actors.values())
        for start in range(0, len(actors), CLOSING_AT_ONCE):  # each may have to open its file again
            await asyncio.gather(*(self._put_away(actor) for actor in actors[start : start + CLOSING_AT_ONCE]))
        self._actors.clear()
        self._liveness.beat(self.link.proof())
        self._executor.shutdown(wait=True)

    async def _put_away(self, actor: WalletActor) -> None:
        """Post what a wallet owes up to now, let it finish, close its file."""
        with contextlib.suppress(Exception):  # a wallet that cannot write now is taken up by its next activation
            if actor.state.runtime is not None:
                await actor.ask(c.Checkpoint())
            async with asyncio.timeout(5):
                await actor.settled()
        actor.close()

    # Commands and reads

    async def ask(self, address: str, command: c.Command) -> View:
        """Run one command on a wallet. A copy that was fenced while it waited is opened again, once."""
        if not self._exists(address) and not creates(command):
            refusal = None if isinstance(command, c.Look) else c.Refusal("wallet_not_found")
            return View(WalletState(address), self._clock.wall_ms(), self.link.proof(), refusal)
        for last in (False, True):
            actor = await self._actor(address)
            try:
                return await actor.ask(command)
            except FencedError:
                self._actors.pop(address, None)
                if last or self._is_closing:
                    raise
        raise AssertionError("unreachable")

    async def prepare(self, address: str, command: c.Prepare) -> View:
        """May a payment for this wallet be presented now? Reserves a slot when it would start a sandbox."""
        view = await self.ask(address, command)
        if view.refusal is None and view.state.phase in (Phase.NONE, Phase.REAPED):
            reservation = Reservation(address, view.state.plan.size_class, self._settings.reserve_seconds)
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
        while not self._exists(address):
            left = give_up - asyncio.get_running_loop().time()
            if left <= 0:
                return await self.ask(address, c.Look())
            await asyncio.sleep(min(left, ABSENT_SECONDS))
        return await (await self._actor(address)).wait_change(version, timeout_seconds)

    async def read(self, address: str, query: Callable[[WalletStore], Page]) -> Page:
        """Run a read of a wallet's file off the loop; SatboxError when there is none."""
        if not self._exists(address):
            raise SatboxError("wallet_not_found")
        store = (await self._actor(address)).store
        return await asyncio.get_running_loop().run_in_executor(self._executor, query, store)

    async def _tell_own(self, address: str, earning: c.Earn) -> None:
        """The only host there is tells its own wallets."""
        await self.ask(address, earning)

    def statistics(self) -> dict[str, int]:
        """Counts for metrics."""
        phases: dict[str, int] = {}
        for actor in self._actors.values():
            phases[actor.state.phase.value] = phases.get(actor.state.phase.value, 0) + 1
        return {"resident": len(self._actors), "armed": len(self._timers), **phases}

    async def overview(self) -> HostOverview:
        """Every wallet in a few numbers; one look at a time."""
        async with self._overview:
            proof = self.link.proof()
            actors = [actor for actor in self._actors.values() if actor.state.exists][:ROWS_MAX]
            rows = []
            for count, actor in enumerate(actors):
                rows.append(wallet_row(actor.state, proof))
                if count % OVERVIEW_AT_ONCE == OVERVIEW_AT_ONCE - 1:
                    await asyncio.sleep(0)  # commands in between
            resident = frozenset(self._actors)
            asleep, unread = await asyncio.get_running_loop().run_in_executor(
                self._executor, self._at_rest.rows, resident
            )
            return HostOverview((*rows, *asleep), unread)

    # Activation

    def _exists(self, address: str) -> bool:
        """Whether this wallet was ever written: looking must not make files."""
        return address in self._actors or wallet_path(self._settings.wallets, address).exists()

    async def _actor(self, address: str) -> WalletActor:
        actor = self._actors.get(address)
        if actor is not None and not actor.is_dead:
            return actor
        opening = self._opening.get(address)
        if opening is None:
            opening = asyncio.ensure_future(self._activate(address))
            self._opening[address] = opening
            opening.add_done_callback(lambda _: self._opening.pop(address, None))
        return await asyncio.shield(opening)

    async def _activate(self, address: str) -> WalletActor:
        if self._is_closing:
            raise FencedError("the host is closing")
        path = wallet_path(self._settings.wallets, address)
        loop = asyncio.get_running_loop()
        store = await loop.run_in_executor(self._executor, self._open_store, path, address)
        actor = WalletActor(store, self._around)
        self._actors[address] = actor
        if self._gap is not None and store.state.phase in (Phase.ALIVE, Phase.GRACE):
            await self._give_back(actor, *self._gap)
        actor.resume()
        return actor

    async def _activate_unfinished(self) -> None:
        """Open the wallets with a runtime or a loss to tell; the rest can wait until somebody asks."""
        loop = asyncio.get_running_loop()
        addresses = await loop.run_in_executor(self._executor, unfinished, self._settings.wallets, self._settings.owns)
        for start in range(0, len(addresses), 64):
            await asyncio.gather(*(self._activate_undamaged(a) for a in addresses[start : start + 64]))
        self._gap = None

    async def _activate_undamaged(self, address: str) -> None:
        """One wallet's damage must not keep the others from starting; it fails whoever asks for it."""
        try:
            await self._actor(address)
        except Exception as error:
            if not is_damage(error):
                raise
            log.exception("the wallet of %s is damaged", address)

    def _passivate(self) -> None:
        """Put wallets away that nothing runs for and nobody has asked about."""
        if self._clock.monotonic_ms() - self._looked_ms < LOOK_MS:
            return
        self._looked_ms = self._clock.monotonic_ms()
        oldest_ms = self._clock.monotonic_ms() - int(self._settings.idle_seconds * 1000)
        excess = len(self._actors) - self._settings.resident_max
        for address, actor in list(self._actors.items()):
            is_old = actor.last_used_ms < oldest_ms
            if (is_old or excess > 0) and actor.is_idle and not is_unfinished(actor.state):
                del self._actors[address]
                actor.retire()
                self._executor.submit(actor.store.close)  # closing writes the log back: not on the loop
                excess -= 1
        self._rest()

    def _rest(self) -> None:
        """Close the files of the wallets used longest ago, when more are open than descriptors allow."""
        opened = [actor for actor in self._actors.values() if actor.store.is_open]
        excess = len(opened) - self._settings.open_files_max
        if excess > 0:
            opened.sort(key=lambda actor: actor.last_used_ms)
            for actor in opened[:excess]:
                if actor.is_idle:
                    self._executor.submit(actor.store.rest)  # a commit that comes meanwhile waits, and opens it again

    # Time

    def _arm(self, address: str, at_ms: int | None) -> None:
        before = self._timers.next_ms()
        self._timers.arm(address, at_ms)
        if at_ms is not None and (before is None or at_ms < before):
            self._due.set()

    async def _keep_time(self) -> None:
        while True:
            await self.fire_due()
            self._passivate()
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
        actor = self._actors.get(address)
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

    # The node

    async def _on_lost(self, lost: RuntimeLost) -> None:
        for actor in list(self._actors.values()):
            if actor.state.runtime is not None and actor.state.runtime.runtime_id == lost.runtime_id:
                await actor.ask(c.Lost(lost.runtime_id, lost.reason))
                return

    async def _reconcile(self) -> None:
        """After (re)connecting: a runtime the node does not know is lost, one that no wallet owns is ended."""
        infos = {info.runtime_id: info for info in await self.link.node.runtimes()}
        owned: set[str] = set()
        for actor in list(self._actors.values()):
            runtime = actor.state.runtime
            if runtime is None:
                continue
            owned.add(runtime.runtime_id)
            if runtime.is_healthy and runtime.runtime_id not in infos:
                await actor.ask(c.Lost(runtime.runtime_id, "unknown"))
        for info in infos.values():
            is_ours = self._settings.owns is None or self._settings.owns(info.address)
            if is_ours and info.runtime_id not in owned and not await self._owns_now(info.address, info.runtime_id):
                log.warning("ending runtime %s of %s: no wallet owns it", info.runtime_id, info.address)
                await self.link.node.stop(StopRequest(info.runtime_id, snapshot=True))

    async def _owns_now(self, address: str, runtime_id: str) -> bool:
        try:
            actor = await self._actor(address)
        except Exception as error:
            if not is_damage(error):
                raise
            log.exception("who owns runtime %s of %s cannot be read, so it is left alone", runtime_id, address)
            return True
        runtime = actor.state.runtime
        if runtime is not None and runtime.runtime_id == runtime_id:
            return True
        # An old host that lives on knows an old state: what runs by now is the newer copy's business.
        loop = asyncio.get_running_loop()
        return not await loop.run_in_executor(self._executor, actor.store.is_newest)

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
        for actor in list(self._actors.values()):
            if actor.state.phase in (Phase.ALIVE, Phase.GRACE):
                await self._give_back(actor, from_ms, to_ms)
        self.link.outage_since_ms = None
        self._due.set()

    async def _give_back(self, actor: WalletActor, from_ms: int, to_ms: int) -> None:
        """Pass the deadlines up to now with grace held, then return the lost time to it."""
        await self.link.refresh()
        runtime = actor.state.runtime
        proof = self.link.proof(None if runtime is None else runtime.runtime_id)
        if proof is not None:
            held = Proof(proof.node_id, proof.boot_id, proof.now_ms, proof.proven_ms, outage_since_ms=from_ms)
            await actor.ask(c.Outage(from_ms, to_ms), proof=held)

    def _died(self, actor: WalletActor, error: BaseException) -> None:
        if self._actors.get(actor.address) is actor:
            del self._actors[actor.address]
            self._timers.arm(actor.address, None)
        actor.close()
        if is_unfinished(actor.state) and not self._is_closing:
            # A newer copy looks after it now; but its host may be the one that is gone soon, and somebody must.
            pause = FENCED_REOPEN_SECONDS if isinstance(error, FencedError) else 1.0
            asyncio.get_running_loop().call_later(pause, self._reopen, actor.address)

    def _reopen(self, address: str) -> None:
        if not self._is_closing:
            task = asyncio.ensure_future(self._actor(address))
            task.add_done_callback(lambda done: done.cancelled() or done.exception())


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
