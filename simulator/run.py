"""One run: actions and faults drawn from the seed, the auditor after every step, and at times peace, by whose end all is well."""

from __future__ import annotations

import asyncio
import logging
import random
import shutil
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path

import structlog

from actors.books.chain import broken_links
from actors.stores.wallet_file import WalletFile
from actors.stores.wallet_folder import wallet_path
from actors.wallet.state import Phase, WalletPolicy
from relay_client.settlements import SettleRoute
from relay_client.states import is_in_flight
from simulator.auditor import Auditor
from simulator.clients import Clients
from simulator.service import Service
from simulator.virtual_loop import StuckError, VirtualLoop, note
from simulator.wallets import Signed

PEACE_SECONDS = 1_800
STEPS_BETWEEN_PEACE = 10_000
BLOCK_SECONDS = 8.0
GATE_STEPS = (
    "Reserve asked", "Reserve answered", "orders", "logged", "logged", "PostOrders asked", "PostOrders answered", "posted",
    "noted", "Unreserve asked", "Unreserve answered",
)  # fmt: skip
"""Where a gate can die between a call and the end of its money's way."""


@dataclass
class Report:
    """How a run went."""

    seed: int
    steps: int = 0
    virtual_seconds: int = 0
    wall_seconds: float = 0.0
    commits: int = 0
    entries: int = 0
    messages: int = 0
    requests: int = 0
    payments: int = 0
    calls: int = 0
    paid_calls: int = 0
    faults: dict[str, int] = field(default_factory=dict)
    refusals: dict[str, int] = field(default_factory=dict)
    torn: int = 0
    violations: list[str] = field(default_factory=list)
    history: str = ""
    """How many events there were, and a hash of them all: the same for the same seed, whatever the machine."""

    @property
    def is_clean(self) -> bool:
        """Whether nothing was found."""
        return not self.violations

    def as_dict(self) -> dict[str, object]:
        """For JSON."""
        return asdict(self)


class Run:
    """See the module."""

    def __init__(
        self,
        seed: int,
        steps: int,
        wallets: int,
        home: Path,
        peace_every: int = STEPS_BETWEEN_PEACE,
        route: SettleRoute = SettleRoute.RELAY_THEN_DIRECT,
    ) -> None:
        self.route = route
        self.rng = random.Random(seed)  # noqa: S311 - reproducible on purpose
        self.steps = steps
        self.wallets = wallets
        self.home = home
        self.peace_every = peace_every
        self.report = Report(seed)
        self.policy = WalletPolicy()
        self.auditor = Auditor(self.policy.grace_ms, self.policy.grace_cap_ms, self.policy.checkpoint_ms)
        self.tasks: set[asyncio.Task[None]] = set()

    async def run(self) -> Report:
        """All steps, or up to the first violation."""
        began = time.monotonic()
        self.service = Service(self.home, self.rng, self.auditor, self.policy, self.route)
        self.clients = Clients(self.service, self.wallets)
        await self.service.begin()
        beats, blocks = asyncio.create_task(self._beats()), asyncio.create_task(self._blocks())
        faults = self._faults()
        names, weights = [name for name, _, _ in faults], [weight for _, weight, _ in faults]
        deeds: dict[str, Callable[[], None]] = {name: deed for name, _, deed in faults}
        while self.report.steps < self.steps and not self.auditor.violations:
            self.report.steps += 1
            if self.rng.random() < 0.98:
                self._start(self.clients.act())
            else:
                (name,) = self.rng.choices(names, weights)
                self.report.faults[name] = self.report.faults.get(name, 0) + 1
                note(name)
                deeds[name]()
            await asyncio.sleep(self._pause())
            if self.report.steps % 50 == 0:
                self.clients.fill_gaps()
            self.auditor.watch(self._node_ms())
            if self.report.steps % self.peace_every == 0 or self.report.steps == self.steps:
                await self._peace()
        for task in (beats, blocks, *self.tasks):
            task.cancel()
        self._fill(began)
        return self.report

    def _fill(self, began: float) -> None:
        report, loop = self.report, asyncio.get_running_loop()
        report.virtual_seconds = int(loop.time())
        report.wall_seconds = round(time.monotonic() - began, 2)
        report.commits, report.entries = self.auditor.commits, self.auditor.entries
        report.messages, report.requests = self.service.network.messages, self.clients.requests
        report.refusals, report.torn = self.clients.refusals, self.service.disk.torn
        report.calls, report.paid_calls = self.clients.callers.calls, len(self.auditor.calls.rows)
        report.payments = len(self.auditor.promises)
        report.violations = self.auditor.violations[:20]
        note(self.rng.random())
        assert isinstance(loop, VirtualLoop)
        report.history = loop.history.digest()

    def _start(self, work: object) -> None:
        task = asyncio.ensure_future(work)  # type: ignore[call-overload]
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    def _pause(self) -> float:
        chance = self.rng.random()
        if chance < 0.7:
            return self.rng.expovariate(50.0)
        return self.rng.expovariate(2.0) if chance < 0.997 else self.rng.uniform(10.0, 120.0)

    def _node_ms(self) -> int:
        return self.service.times.monotonic_ms() - self.service.boot_ms

    async def _beats(self) -> None:
        while True:
            if self.service.node.is_up:
                self.service.machine.tick()
            await asyncio.sleep(1.0)

    async def _blocks(self) -> None:
        while True:
            await asyncio.sleep(self.rng.uniform(0.5, 1.5) * BLOCK_SECONDS)
            self.service.chain.mine()

    # Faults

    def _faults(self) -> list[tuple[str, int, Callable[[], None]]]:
        service, rng = self.service, self.rng
        loop = asyncio.get_running_loop()

        def for_a_while(begin: Callable[[], None], end: Callable[[], None], seconds: float) -> None:
            begin()
            self.auditor.bad_since_ms = self._node_ms()
            loop.call_later(seconds, end)

        def kill_host() -> None:
            service.kill(rng.choice(service.hosts), rng.uniform(0.1, 40.0))

        def kill_settlements() -> None:
            service.kill(service.settling, rng.uniform(0.1, 60.0))

        def kill_gate() -> None:
            service.kill(rng.choice(service.gates), rng.choice((0.1, 1.0, 10.0, 100.0)))

        def kill_all() -> None:
            for place in (*service.hosts, service.settling, *service.gates):
                service.kill(place, rng.uniform(0.1, 20.0))

        def node_restart() -> None:
            service.restart_node(reboot=rng.random() < 0.4)

        def stop_gate() -> None:
            service.tills.leave(rng.choice(service.gates), rng.choice((0.1, 2.0, 100.0)))

        def gate_dies() -> None:
            service.disk.dies_at = rng.choice(GATE_STEPS)

        def log_fails() -> None:
            service.disk.is_failing = True
            loop.call_later(rng.uniform(0.5, 30.0), lambda: setattr(service.disk, "is_failing", False))

        def tear_log() -> None:
            service.disk.tears_log = True

        def lose_runtime() -> None:
            running = list(self.auditor.running)
            if running:
                service.machine.lose(rng.choice(running), rng.choice(("exited", "oom_killed")))

        def partition() -> None:
            pair = frozenset(rng.sample(["host-0", "host-1", "settlements", "node", "gate-0", "gate-1", "relay"], 2))
            service.network.cuts.add(pair)
            loop.call_later(rng.uniform(1.0, 200.0), lambda: service.network.cuts.discard(pair))

        def weather() -> None:
            now = service.network.weather
            now.loss, now.double, now.slow = rng.choice(((0, 0, 0), (0.1, 0.1, 0.05), (0.3, 0.3, 0.2), (0, 0.5, 0)))

        def full_disk() -> None:
            service.disk.is_full = True
            loop.call_later(rng.uniform(0.5, 60.0), lambda: setattr(service.disk, "is_full", False))

        def tear() -> None:
            service.disk.tears_next = True

        def set_back(step_ms: int) -> None:
            service.times.step_ms -= step_ms

        def clock_step() -> None:
            step_ms = rng.choice((-3_600_000, -5_000, 1_000, 30_000, 86_400_000))
            service.times.step_ms += step_ms
            if rng.random() < 0.5:  # somebody notices
                loop.call_later(rng.uniform(0.5, 60.0), set_back, step_ms)

        def reorg() -> None:
            service.chain.reorganise(rng.randrange(1, 6), lose=rng.choice((0.0, 0.2)))

        def chain_api() -> None:
            service.chain.silent = rng.random() < 0.5
            service.chain.lag_seconds = rng.choice((0.0, 2.0, 15.0))
            loop.call_later(rng.uniform(5.0, 400.0), self._chain_well)

        def relay_mood() -> None:
            mood = service.relay.mood
            mood.lost_before, mood.lost_after, mood.held, mood.refused, mood.forgets = (
                rng.choice((0.0, 0.0, 0.2, 0.6)) for _ in range(5)
            )
            mood.silent = rng.random() < 0.2
            loop.call_later(rng.uniform(5.0, 300.0), self._relay_well)

        def drop() -> None:
            if service.chain.mempool:
                service.chain.forget(rng.choice(list(service.chain.mempool)))

        def zombie() -> None:
            service.haunt(rng.choice(service.hosts))
            loop.call_later(rng.uniform(1.0, 60.0), service.exorcise)

        def outage() -> None:
            service.chain.silent = service.relay.mood.silent = True
            seconds = rng.uniform(30.0, 1_500.0)
            loop.call_later(seconds, self._chain_well)
            loop.call_later(seconds * 0.9, self._relay_well)

        deeds: list[tuple[str, int, Callable[[], None]]] = [
            ("kill_host", 12, kill_host), ("kill_settlements", 10, kill_settlements), ("kill_gate", 4, kill_gate),
            ("kill_all", 2, kill_all), ("node_restart", 4, node_restart), ("lose_runtime", 10, lose_runtime),
            ("partition", 8, partition), ("weather", 8, weather), ("full_disk", 3, full_disk), ("torn_write", 5, tear),
            ("clock_step", 8, clock_step), ("reorg", 6, reorg), ("chain_api", 6, chain_api),
            ("stop_gate", 4, stop_gate), ("gate_dies", 14, gate_dies), ("log_fails", 5, log_fails), ("tear_log", 4, tear_log),
            ("relay_mood", 10, relay_mood), ("mempool_drop", 5, drop), ("zombie", 4, zombie), ("outage", 2, outage),
        ]  # fmt: skip

        def noted(deed: Callable[[], None]) -> Callable[[], None]:
            return lambda: for_a_while(deed, self._judge_again, 600.0)

        return [(name, weight, noted(deed)) for name, weight, deed in deeds]

    def _judge_again(self) -> None:
        since = self.auditor.bad_since_ms
        if since is not None and abs(self._node_ms() - since) >= 590_000:
            self.auditor.bad_since_ms = None

    def _chain_well(self) -> None:
        self.service.chain.silent, self.service.chain.lag_seconds = False, 0.0

    def _relay_well(self) -> None:
        mood = self.service.relay.mood
        mood.lost_before = mood.lost_after = mood.held = mood.refused = mood.forgets = 0.0
        mood.silent = False

    # Peace

    async def _peace(self) -> None:
        """Nothing is broken for hours: every payment ends, every alarm fires, the books and the chain agree."""
        service = self.service
        service.network.cuts.clear()
        weather = service.network.weather
        weather.loss = weather.double = weather.slow = 0.0
        service.disk.is_full = service.disk.tears_next = False
        service.disk.is_failing = service.disk.tears_log = False
        service.disk.dies_at = None
        self._chain_well()
        self._relay_well()
        service.exorcise()
        for place in (*service.hosts, service.settling, *service.gates):
            service.revive(place)
        for tx in (*service.chain.mempool.values(), *service.chain.signed.values()):
            tx.not_before = 0.0
        self.auditor.bad_since_ms = self._node_ms()
        await asyncio.sleep(300)
        self.auditor.bad_since_ms = None
        for _ in range(PEACE_SECONDS // 300):
            self.clients.fill_gaps()
            await asyncio.sleep(300)
            self.auditor.watch(self._node_ms())
        await self._agree()

    async def _agree(self) -> None:
        service, wrong = self.service, self.auditor.violations
        settlements = service.settlements
        if settlements is None:
            wrong.append("settlements did not come back")
            return
        credited: dict[str, int] = {}
        wrong += self.auditor.calls.at_peace(lambda payment_id: self.auditor.promises[payment_id].confirmed())
        for address, books in self.auditor.books.items():
            for payment_id, usat in books.deposits.items():
                if payment_id not in books.reversed:
                    name = payment_id.rsplit("_", 1)[0] if payment_id.count("_") > 1 else payment_id
                    if name in credited:
                        wrong.append(f"{name} is credited to two wallets")
                    credited[name] = usat
            self._wallet_at_peace(address)
        for signed in self._all_signed():
            report = await settlements.report(signed.payment_id)
            is_paid = bool(service.chain.truth(signed.payment.identity))
            if report is not None and is_in_flight(report.state):
                wrong.append(f"{signed.payment_id} is {report.state} after hours of peace")
            if (signed.payment_id in credited) != is_paid and report is not None:
                wrong.append(f"{signed.payment_id}: in a block: {is_paid}, credited: {signed.payment_id in credited}")

    def _all_signed(self) -> list[Signed]:
        return [signed for wallet in self.clients.wallets for signed in wallet.signed]

    def _wallet_at_peace(self, address: str) -> None:
        books, wrong = self.auditor.books[address], self.auditor.violations
        state = books.state
        assert state is not None
        if state.losses or state.phase in (Phase.STARTING, Phase.STOPPING):
            wrong.append(f"{address} has something left to do: {state.phase} {state.losses}")
        if state.promises:
            wrong.append(f"{address} still promises {state.promises}")
        if state.pending:
            wrong.append(f"{address} still waits for {[pending.payment_id for pending in state.pending]}")
        if state.credit_start is not None and state.phase is Phase.REAPED:
            wrong.append(f"{address} still leans on {state.credit_start.payment_id}")
        store = WalletFile(wallet_path(self.home / "wallets", address), address)
        try:
            broken = list(broken_links(address, iter(store.entries(0, 10**9))))
            if broken:
                wrong.append(f"{address}: the chain is broken at {broken[:3]}")
        finally:
            store.close()


def simulate(
    seed: int,
    steps: int,
    *,
    wallets: int = 60,
    peace_every: int = STEPS_BETWEEN_PEACE,
    home: Path | None = None,
    route: SettleRoute = SettleRoute.RELAY_THEN_DIRECT,
) -> Report:
    """Run and report. The same numbers give the same run. `route`: who broadcasts payments."""
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(50), logger_factory=structlog.ReturnLoggerFactory()
    )
    logging.disable(logging.CRITICAL)
    random.seed(seed)
    base = Path("/dev/shm") if Path("/dev/shm").is_dir() else None  # noqa: S108 - files of one run, removed after it
    folder = home or Path(tempfile.mkdtemp(prefix="simulated-", dir=base))
    run = Run(seed, steps, wallets, folder, peace_every, route)
    disk_rng = random.Random(seed + 1)  # noqa: S311
    loop = VirtualLoop(lambda: disk_rng.uniform(0.0002, 0.005))
    loop.set_exception_handler(lambda *_: None)
    try:
        return loop.run_until_complete(run.run())
    except StuckError as error:
        run.report.violations.append(str(error))
        return run.report
    finally:
        loop.finish()
        logging.disable(logging.NOTSET)
        if home is None:
            shutil.rmtree(folder, ignore_errors=True)
