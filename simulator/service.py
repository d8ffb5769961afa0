"""The service as it is put together for real, on pretended machines: hosts, settlements, gates, one sandbox node."""

from __future__ import annotations

import asyncio
import contextvars
import hashlib
import itertools
import random
from collections.abc import Coroutine
from dataclasses import replace
from pathlib import Path
from typing import Any

from actors.hosting.host import WalletHost
from actors.hosting.host_settings import HostSettings
from actors.hosting.overview import HostOverview
from actors.hosting.requests import Ask, Pay, Purse, Request, Response, serve
from actors.stores.wallet_folder import WalletFolder
from actors.system import ActorSystem
from actors.wallet.commands import Earn
from actors.wallet.state import WalletPolicy
from actors.wallet_sinks import WalletSink
from operations.errors import SatboxError
from relay_client.preflight import chain_preflight
from relay_client.relay import Relay
from relay_client.settlements import Settlements, SettleRoute
from relay_client.settlements.policy import SettlementPolicy
from simulator.auditor import Auditor
from simulator.chain import SimulatedChain
from simulator.disk import Disk, DiskStore
from simulator.gates import Gates
from simulator.lines import NodeLine, Payers, RelayLine, RepeatingSink
from simulator.machine import Machine
from simulator.network import LostError, Network, Process
from simulator.relay import SimulatedRelay
from simulator.times import Times
from simulator.virtual_loop import HereExecutor, Incarnation, incarnation

SETTLEMENT_POLICY = SettlementPolicy(
    watch_ms=1_500_000, unknown_give_up_ms=600_000, dropped_give_up_ms=600_000, held_ms=300_000,
    reorg_wait_ms=300_000, poll_first_ms=1_000, poll_max_ms=8_000, refresh_ms=8_000, recheck_ms=15_000, probe_ms=15_000,
)  # fmt: skip
"""The rules as they are; patience is shorter and looks are rarer, so that more of them fits into a minute."""


class Service:
    """All processes, and how each is killed and started again."""

    def __init__(
        self, home: Path, rng: random.Random, auditor: Auditor, policy: WalletPolicy, route: SettleRoute, hosts: int = 2
    ) -> None:
        self.settlement_policy = replace(SETTLEMENT_POLICY, route=route)
        self.rng = rng
        self.auditor = auditor
        self.policy = policy
        self.home = home
        self.times = Times()
        self.network = Network(rng)
        self.disk = Disk(rng, auditor.committed)
        self.disk.power_lost = self._power_lost
        self.disk.gates = lambda: [gate.life for gate in self.gates if gate.life is not None and gate.is_up]
        loop = asyncio.get_running_loop()
        self.boot_ms = int(loop.time() * 1000) - 5_000
        self.chain = SimulatedChain(rng, loop.time)
        self.relay = SimulatedRelay(self.chain, rng)
        self.machine = Machine(lambda: self.times.monotonic_ms() - self.boot_ms, auditor)
        self.hosts = [Process(f"host-{number}") for number in range(hosts)]
        self.zombies: list[tuple[Process, Process]] = []
        self.settling, self.outside, self.node = Process("settlements"), Process("relay"), Process("node")
        self.gates = [Process("gate-0"), Process("gate-1"), Process("gate-2")]
        self.tills = Gates(self, home / "orders", auditor.calls)
        self.settlements: Settlements | None = None
        self._served: dict[str, WalletHost] = {}
        self._ids = itertools.count(1)
        self._returns: set[asyncio.TimerHandle] = set()

    async def begin(self) -> None:
        """Start everything."""
        for process in (self.outside, self.node):
            process.begin()
        for gate in self.gates:
            self.start_gate(gate)
        for host in self.hosts:
            self.start_host(host)
        self.start_settlements()
        await asyncio.sleep(1)

    # Hosts

    def host_of(self, address: str) -> Process:
        """Where a wallet lives."""
        return self.hosts[int(hashlib.sha256(address.encode()).hexdigest()[:8], 16) % len(self.hosts)]

    def start_host(self, place: Process) -> None:
        """A new life of a host. An earlier one that still runs finds out by its epoch."""
        life = place.begin()

        async def live() -> None:
            settings = HostSettings(
                self.home / "wallets",
                name=place.name,
                policy=self.policy,
                idle_seconds=120.0,
                open_files_max=200,
                owns=lambda address: self.host_of(address) is place,
            )
            line = NodeLine(self.network, self.node, self.machine, place.name)
            host = WalletHost(
                settings,
                WalletFolder(self.home / "wallets", self.disk.open_wallet),
                line,
                self.times,
                lambda: f"rt_{next(self._ids)}",
                self._tell_loss,
                tell_earning=self._tell_earning,
                executor=HereExecutor(),
            )
            await host.start()
            self._served[place.name] = host

        self._served.pop(place.name, None)
        self._run_main(place, life, live())

    def _run_main(self, place: Process, life: Incarnation, work: Coroutine[Any, Any, None]) -> None:
        """A process whose work ends by an error exits and is restarted, as Ray does with actors."""

        def ended(done: asyncio.Task[None]) -> None:
            if not done.cancelled() and done.exception() is not None and not life.is_dead:
                life.freeze()
                self._after_death(place, life, 1.0)

        task = life.run(work, "main")
        contextvars.Context().run(task.add_done_callback, ended)

    def start_gate(self, place: Process) -> None:
        """A new life of a gate, on whichever slot of the log is free."""
        life = place.begin()
        self._run_main(place, life, self.tills.live(place, life))

    async def _tell_earning(self, address: str, earning: Earn) -> None:
        await ActorSystem(self).ask(address, earning)

    async def _tell_loss(self, payment_id: str, payer: str, usat: int) -> None:
        await self.network.call(self.settling, lambda: self._record_loss(payment_id, usat), repeatable=True)

    async def _record_loss(self, payment_id: str, usat: int) -> None:
        if self.settlements is None:
            raise LostError("settlements")
        await self.settlements.record_loss(payment_id, usat)

    async def _serve(self, place: Process, request: Request) -> Response:
        host = self._served.get(place.name)
        if host is None:
            raise LostError(place.name)
        return await serve(host, request)

    # Settlements

    def start_settlements(self) -> None:
        """A new life of the settlements."""
        life = self.settling.begin()
        self.settlements = None

        async def live() -> None:
            store = DiskStore(self.disk, self.home / "settlements.sqlite")
            life.on_death["store"] = store.close
            relay: Relay = RelayLine(self.network, self.outside, self.relay)
            sink = WalletSink(ActorSystem(self), self.times)
            made = Settlements(
                store,
                relay,
                self.chain,
                RepeatingSink(self.network, self.rng, sink),
                self.times,
                policy=self.settlement_policy,
                preflight=chain_preflight(Payers(self.chain)),
                rng=self.rng,
            )
            self.settlements = made
            await made.run()

        self._run_main(self.settling, life, live())

    # Transport, for gates and settlements

    async def send(self, request: Request) -> Response:
        """See `Transport.send`."""
        place = self.host_of(request.address)
        ghosts = [old for haunted, old in self.zombies if haunted is place and old.is_up]
        if ghosts and self.rng.random() < 0.3:  # somebody's list of hosts is older than ours
            place = self.rng.choice(ghosts)
        asked, life = "", incarnation()
        if isinstance(request, Pay) and life is not None:
            asked = type(request.command).__name__
            self.disk.passes(f"{asked} asked", life)
        is_told_twice = bool(asked) or (isinstance(request, Ask) and isinstance(request.command, Earn))
        refused: list[Response] = []

        async def serve_once_refused() -> Response:
            """Serve a request, or repeat its refusal: only a request without an answer is served a second time."""
            made = refused[0] if refused else await self._serve(place, request)
            if isinstance(made, Purse) and made.refusal is not None:
                refused.append(made)
            return made

        try:
            answer = await self.network.call(place, serve_once_refused, repeatable=is_told_twice)
        except LostError as error:
            raise SatboxError("internal", "a wallet's host did not answer") from error
        if asked and life is not None:
            self.disk.passes(f"{asked} answered", life)
        return answer

    async def broadcast_outage(self, since_ms: int, until_ms: int | None) -> None:
        """See `Transport.broadcast_outage`."""
        for place in self.hosts:

            async def tell(place: Process = place) -> None:
                host = self._served.get(place.name)
                if host is None:
                    raise LostError(place.name)
                await host.payments_unavailable(since_ms, until_ms)

            await self.network.call(place, tell)

    async def statistics(self) -> dict[str, dict[str, int]]:
        """See `Transport.statistics`."""
        return {}

    async def overview(self) -> dict[str, HostOverview]:
        """See `Transport.overview`."""
        return {}

    # Death

    def kill(self, place: Process, back_in: float | None) -> None:
        """SIGKILL; a watchdog starts it again after a while."""
        life = place.life
        if life is None or life.is_dead:
            return
        life.freeze()
        self._after_death(place, life, back_in)

    def _after_death(self, place: Process, life: Incarnation, back_in: float | None) -> None:
        self.disk.lose_power(life)
        self.machine.ears.pop(place.name, None)
        life.bury()
        if place is self.settling:
            self.settlements = None
        if place.life is life and back_in is not None:
            asyncio.get_running_loop().call_later(back_in, self.revive, place)

    def _power_lost(self, life: Incarnation) -> None:
        place = next((place for place in (*self.hosts, *self.gates) if place.life is life), None)
        if place is not None:
            loop = asyncio.get_running_loop()
            contextvars.Context().run(loop.call_soon, self._after_death, place, life, self.rng.uniform(0.1, 30))

    def revive(self, place: Process) -> None:
        """Start what is down."""
        if place.is_up:
            return
        if place is self.settling:
            self.start_settlements()
        elif place in self.hosts:
            self.start_host(place)
        elif place in self.gates:
            self.start_gate(place)
        else:
            place.begin()
        if place is self.node:
            self.machine.ears.clear()

    def haunt(self, place: Process) -> None:
        """Start a second copy of a host while the old one still runs, as after a partition."""
        if place.life is not None and not place.life.is_dead:
            old = Process(f"{place.name}-old")
            old.life = place.life
            served = self._served.get(place.name)
            self.start_host(place)
            if served is not None:
                self._served[old.name] = served
            self.zombies.append((place, old))

    def exorcise(self) -> None:
        """The old lives end."""
        for _, old in self.zombies:
            life = old.life
            self._served.pop(old.name, None)
            if life is not None and not life.is_dead:
                life.freeze()
                self.disk.lose_power(life)
                life.bury()
        self.zombies.clear()

    def restart_node(self, *, reboot: bool) -> None:
        """The node process dies and is restarted, or its machine is."""
        if reboot:
            self.boot_ms = self.times.monotonic_ms() - self.rng.randrange(1_000, 9_000_000)
        ears, self.machine.ears = self.machine.ears, {}
        self.machine.restart(f"boot-{next(self._ids)}" if reboot else None)
        self.machine._last_beat_ms = self.machine.proven_ms = self.times.monotonic_ms() - self.boot_ms
        for ear in ears.values():
            ear.put_nowait(None)
        self.kill(self.node, self.rng.uniform(0.2, 15.0))
