"""What a host does about a node that fails it."""

import asyncio
import secrets
from dataclasses import replace
from pathlib import Path
from typing import Any

from actors.clock import SystemClock
from actors.hosting.host import WalletHost
from actors.hosting.host_settings import HostSettings
from actors.stores.wallet_folder import WalletFolder
from actors.system import ActorSystem, LocalTransport
from actors.view import status
from actors.wallet import commands as c
from actors.wallet.state import Phase, Plan, WalletPolicy
from operations.sandbox import StartFile
from sandboxes.clock import boottime_ms
from sandboxes.protocol import NodeUnavailable, Runtime, StartFailed, StartRequest, Stopped, StopRequest
from sandboxes.simulated import SimulatedNode

ADDRESS = "STHOSTEFFECTS"


async def no_loss(payment_id: str, payer: str, usat: int) -> None:
    await asyncio.sleep(0)


async def started(tmp_path: Path, node: SimulatedNode) -> WalletHost:
    settings = HostSettings(tmp_path)
    host = WalletHost(
        settings, WalletFolder(tmp_path), node, SystemClock(), lambda: f"rt_{secrets.token_hex(8)}", no_loss
    )
    await host.start()
    await host.ask(ADDRESS, c.Prepare("create", Plan("nano"), 1))
    return host


async def settled(host: WalletHost, phase: Phase) -> None:
    view = await host.ask(ADDRESS, c.Look())
    async with asyncio.timeout(120):
        while view.state.phase is not phase:
            view = await host.wait(ADDRESS, view.state.version, 5)


async def test_a_runtime_that_was_lost_before_it_was_seen_is_started_under_a_new_id(tmp_path: Path) -> None:
    node = SimulatedNode(boottime_ms)
    node.fail_next_start(StartFailed("runtime_lost", "it died with the node", retryable=False))
    host = await started(tmp_path, node)
    await host.ask(ADDRESS, c.Deposit("pay_1", "SPpayer", 10**9, "tx", "sBTC"))
    await settled(host, Phase.ALIVE)

    assert len(await node.runtimes()) == 1
    await host.close()


async def test_a_silent_node_is_asked_again_for_the_same_runtime(tmp_path: Path) -> None:
    node = SimulatedNode(boottime_ms)
    node.fail_next_start(NodeUnavailable("no answer"))
    host = await started(tmp_path, node)
    view = await host.ask(ADDRESS, c.Deposit("pay_1", "SPpayer", 10**9, "tx", "sBTC"))
    asked = view.state.runtime
    await settled(host, Phase.ALIVE)
    runtimes = await node.runtimes()

    assert asked is not None
    assert [info.runtime_id for info in runtimes] == [asked.runtime_id]
    await host.close()


async def test_a_node_that_lost_a_runtime_gets_it_finalised_and_the_wallet_starts_again(tmp_path: Path) -> None:
    node = SimulatedNode(boottime_ms)
    host = await started(tmp_path, node)
    await host.ask(ADDRESS, c.Deposit("pay_1", "SPpayer", 10**9, "tx", "sBTC"))
    await settled(host, Phase.ALIVE)
    (first,) = await node.runtimes()
    node.lose(first.runtime_id, "oom_killed")
    view = await host.ask(ADDRESS, c.Look())
    async with asyncio.timeout(120):
        while (
            view.state.runtime is None
            or view.state.runtime.runtime_id == first.runtime_id
            or not view.state.runtime.boot_id
        ):
            view = await host.wait(ADDRESS, view.state.version, 5)
    (second,) = await node.runtimes()

    assert second.runtime_id == view.state.runtime.runtime_id
    assert view.state.phase is Phase.ALIVE
    await host.close()


async def test_a_start_file_that_failed_is_an_event_once_and_in_the_status_until_the_next_start(tmp_path: Path) -> None:
    node = SimulatedNode(boottime_ms)
    host = await started(tmp_path, node)
    await host.ask(ADDRESS, c.Deposit("pay_1", "SPpayer", 10**9, "tx", "sBTC"))
    await settled(host, Phase.ALIVE)
    (runtime,) = await node.runtimes()
    node.end_start_file(runtime.runtime_id, 126)
    node.end_start_file(runtime.runtime_id, 126)  # as after a new subscription
    node.end_start_file(runtime.runtime_id, 1)
    view = await host.ask(ADDRESS, c.Look())
    async with asyncio.timeout(120):
        while view.state.start_file is None:
            view = await host.wait(ADDRESS, view.state.version, 5)
    node.lose(runtime.runtime_id)  # comes after them on the same stream
    shown = status(view, WalletPolicy(), view.wall_ms).start_file
    async with asyncio.timeout(120):
        while view.state.start_file is not None:
            view = await host.wait(ADDRESS, view.state.version, 5)
    page = await ActorSystem(LocalTransport(host)).events(ADDRESS, 0, 100)
    told = [event for event in page.events if event.type == "start_file_failed"]
    await host.close()

    assert shown == StartFile(state="cannot_run", exit_code=126, process_id="p1")
    assert [event.data["exit_code"] for event in told] == [126]
    assert status(view, WalletPolicy(), view.wall_ms).start_file is None


async def test_files_that_a_snapshot_left_behind_are_an_event(tmp_path: Path) -> None:
    node = SimulatedNode(boottime_ms)
    real = node.stop

    async def stop(request: StopRequest) -> Stopped:
        return replace(await real(request), skipped=2, skipped_examples=("pipe: neither file, folder nor link",))

    node.stop = stop  # type: ignore[method-assign]
    host = await started(tmp_path, node)
    await host.ask(ADDRESS, c.Deposit("pay_1", "SPpayer", 10**9, "tx", "sBTC"))
    await settled(host, Phase.ALIVE)
    await host.ask(ADDRESS, c.Reap())
    await settled(host, Phase.REAPED)
    page = await ActorSystem(LocalTransport(host)).events(ADDRESS, 0, 100)
    await host.close()

    told = [event.data for event in page.events if event.type == "files_left_behind"]
    assert told == [{"count": 2, "examples": ["pipe: neither file, folder nor link"]}]


async def test_what_a_destroyed_wallet_left_behind_is_deleted_even_while_it_sleeps(tmp_path: Path) -> None:
    node = SimulatedNode(boottime_ms)
    host = await started(tmp_path, node)
    await host.ask(ADDRESS, c.Deposit("pay_1", "SPpayer", 10**9, "tx", "sBTC"))
    await settled(host, Phase.ALIVE)
    await host.ask(ADDRESS, c.Reap())
    await settled(host, Phase.REAPED)
    kept = (await host.ask(ADDRESS, c.Look())).state.snapshot_digest
    view = await host.ask(ADDRESS, c.Reap(destroy=True))
    async with asyncio.timeout(120):
        while view.state.forgets:
            view = await host.wait(ADDRESS, view.state.version, 5)
    await host.close()

    assert kept is not None
    assert view.state.snapshot_digest is None
    assert not node._snapshots


async def test_more_wallets_than_open_files_lose_nothing(tmp_path: Path) -> None:
    async def no_loss(payment_id: str, payer: str, usat: int) -> None:
        await asyncio.sleep(0)

    settings = HostSettings(tmp_path, open_files_max=2)
    host = WalletHost(
        settings,
        WalletFolder(tmp_path),
        SimulatedNode(boottime_ms),
        SystemClock(),
        lambda: f"rt_{secrets.token_hex(8)}",
        no_loss,
    )
    await host.start()
    names = [f"STMANY{n}" for n in range(24)]
    for name in names:
        await host.ask(name, c.Prepare("create", Plan("nano"), 10**15))  # too dear to start: money alone
    for turn in range(6):
        host.residents.rest()  # as every few seconds; here while the next turns are already asked for
        await asyncio.gather(*(host.ask(name, c.Deposit(f"pay_{turn}", "SPpayer", 7, "tx", "sBTC")) for name in names))
    async with asyncio.timeout(120):
        while sum(actor.store.is_open for actor in host.residents.actors.values()) > 2:
            host.residents.rest()
            await asyncio.sleep(0.01)
    views = [await host.ask(name, c.Deposit("pay_0", "SPpayer", 7, "tx", "sBTC")) for name in names]

    assert {view.state.accounts.bucket for view in views} == {42}
    assert all(view.is_duplicate for view in views)
    await host.close()


async def test_meters_are_read_for_all_at_once_and_once_more_at_the_end(tmp_path: Path) -> None:
    node = SimulatedNode(boottime_ms)
    host = await started(tmp_path, node)
    await host.ask(ADDRESS, c.Deposit("pay_1", ADDRESS, 10**9, "tx", "sBTC"))
    await settled(host, Phase.ALIVE)
    runtime = (await host.ask(ADDRESS, c.Look())).state.runtime
    assert runtime is not None

    node.use(runtime.runtime_id, "egress", 2_000_000)
    await host.meter_reader.read()
    version = (await host.ask(ADDRESS, c.Look())).state.version
    await host.meter_reader.read()
    assert (await host.ask(ADDRESS, c.Look())).state.version == version  # nothing new disturbs nobody
    node.use(runtime.runtime_id, "egress", 1_000_000)
    await host.ask(ADDRESS, c.Reap())
    await settled(host, Phase.REAPED)

    entries = await host.read(ADDRESS, lambda store: store.entries(0, 100))
    metered = [(e.reference, dict(e.amounts)["burnt"]) for e in entries if e.kind == "meter"]
    assert metered == [(f"meter:egress:{runtime.runtime_id}", usat) for usat in (100_000, 50_000)]
    await host.close()


async def test_an_old_host_that_lives_on_ends_nothing_of_the_new_one(tmp_path: Path) -> None:
    """Found by the simulator: it knew the wallet as reaped, saw a runtime at the node, and ended it as nobody's."""
    node = SimulatedNode(boottime_ms)
    old = await started(tmp_path, node)
    new = await started(tmp_path, node)
    await new.ask(ADDRESS, c.Deposit("pay_1", "SPpayer", 10**9, "tx", "sBTC"))
    await settled(new, Phase.ALIVE)
    before = await node.runtimes()

    await old._reconciler.connected()

    assert [info.runtime_id for info in await node.runtimes()] == [before[0].runtime_id]
    await new.close()
    await old.close()


class FarNode:
    """The node as an old host reaches it: its starts arrive late."""

    def __init__(self, node: SimulatedNode) -> None:
        self._node = node
        self.may_arrive = asyncio.Event()
        self.stops: list[str] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._node, name)

    async def start(self, request: StartRequest) -> Runtime:
        await self.may_arrive.wait()
        return await self._node.start(request)

    async def stop(self, request: StopRequest) -> Stopped:
        self.stops.append(request.runtime_id)
        return await self._node.stop(request)


async def test_an_old_host_ends_no_runtime_whose_loss_the_new_one_has_yet_to_hear_of(tmp_path: Path) -> None:
    """Found by the simulator: its start came late, heard that the runtime was lost, and finalised it; the node forgot the loss,
    and the new host went on charging.
    """
    node = SimulatedNode(boottime_ms)
    far = FarNode(node)
    old = await started(tmp_path, far)  # type: ignore[arg-type]
    await old.ask(ADDRESS, c.Deposit("pay_1", "SPpayer", 10**9, "tx", "sBTC"))
    (stale,) = old.residents.actors.values()
    new = WalletHost(
        HostSettings(tmp_path),
        WalletFolder(tmp_path),
        node,
        SystemClock(),
        lambda: f"rt_{secrets.token_hex(8)}",
        no_loss,
    )
    await new.start()
    await settled(new, Phase.ALIVE)
    (running,) = await node.runtimes()
    node.lose(running.runtime_id)

    far.may_arrive.set()
    async with asyncio.timeout(60):
        await stale.settled()

    assert far.stops == []
    await new.close()
    await old.close()
