"""A whole service on this machine: devnet, sandbox node, Ray cluster with its actors, gate. All are launched at once, since
loading is most of what they do at first. Each then waits for those it needs in that order, and they end in reverse. Each child
is kept running; a watchdog finds actors that Ray has brought back and that nobody has called yet.
"""

import asyncio
import contextlib
import fcntl
import json
import os
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any

import structlog

from actors.clock import SystemClock
from actors.on_ray.call import NamedActors
from actors.on_ray.oracle import NAME as ORACLE
from actors.on_ray.oracle import start_oracle
from actors.on_ray.settlements import SETTLEMENTS
from actors.on_ray.settlements_process import start_settlements
from actors.on_ray.steady_scheduler import SteadyScheduler
from actors.on_ray.transport import RayTransport, start_host
from actors.stores.wallet_folder import WalletFolder
from actors.view import iso
from devnet.urls import devnet_urls
from satbox.children import Child, python_module
from satbox.compose import Deployment, on_devnet
from satbox.ray_cluster import forget_cluster, open_cluster, start_cluster, stop_cluster
from satbox.settings import Settings

log = structlog.get_logger()

WATCHDOG_SECONDS = 1.0
PING_SECONDS_MAX = 30.0
Say = Callable[[str], None]


class AlreadyRunningError(Exception):
    """Another service owns this home folder."""


@dataclass
class Service:
    """A running service, for the process that started it."""

    deployment: Deployment
    gate_url: str
    devnet_urls: dict[str, str] = field(default_factory=dict)
    children: dict[str, Child] = field(default_factory=dict)
    actors: NamedActors = field(default_factory=NamedActors)

    def pid(self, name: str) -> int | None:
        """The process id of a child."""
        return self.children[name].pid

    async def actor_pid(self, name: str) -> int:
        """The process id of an actor, once it is up."""
        return int(await self.actors.call(name, "ping"))


@contextlib.asynccontextmanager
async def running(settings: Settings, say: Say) -> AsyncIterator[Service]:
    """Start everything; end everything on the way out, posting charges and saving workspaces."""
    deployment = Deployment.load(settings)
    (settings.home / "run").mkdir(exist_ok=True, mode=0o700)
    with _owned(deployment):
        async with contextlib.AsyncExitStack() as stack:
            forget_cluster(settings.home)  # or the gate, which waits for the new one, would join the last
            children: dict[str, Child] = {}

            async def launched(name: str, child: Child) -> Child:
                stack.push_async_callback(child.stop)
                children[name] = child
                await child.launch()
                return child

            urls: dict[str, str] = {}
            devnet: Child | None = None
            if settings.devnet.enabled:
                say("starting the devnet")
                devnet = await launched("devnet", _devnet(settings))
                urls = devnet_urls(settings.devnet.port) if settings.devnet.port else (await devnet.ready())["urls"]
                settings = on_devnet(settings, urls)
                deployment = Deployment(settings, deployment.keys)
            say("starting the sandbox node")
            node = await launched("node", _node(deployment))
            say("starting the gate")
            gate = await launched("gate", _gate(deployment))
            say("starting the actors on Ray")
            names = await _actor_names(deployment)
            await asyncio.to_thread(start_cluster, settings.home, deployment.keys.ray_token_path, actors=len(names))
            stack.callback(stop_cluster, settings.home)
            if devnet is not None and settings.devnet.port:
                await devnet.ready()
            await node.ready()
            actors = NamedActors()
            transport = RayTransport(deployment.host_spec())
            await _start_actors(deployment, actors, names)
            stack.push_async_callback(_close_actors, transport, actors, names)
            stack.push_async_callback(gate.stop)  # before the actors, and not only where it was launched
            open_cluster(settings.home)
            ready = await gate.ready()
            scheduler = _watchdog(actors, names)
            _checkpoint_hourly(scheduler, deployment)
            stack.callback(scheduler.shutdown, wait=False)
            yield Service(deployment, ready["url"], urls, children, actors)
            say("stopping: charges are posted and workspaces saved")


@contextlib.contextmanager
def _owned(deployment: Deployment) -> Any:
    """Own the home folder for as long as this process lives."""
    path = deployment.settings.home / "run" / "lock"
    with path.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise AlreadyRunningError(f"a service already runs on {deployment.settings.home}") from error
        yield


def _devnet(settings: Settings) -> Child:
    return Child(
        "devnet",
        python_module(
            "devnet",
            *("--port", str(settings.devnet.port)),
            *("--state", str(settings.home / "devnet.sqlite")),
            *("--network", settings.network),
            *("--block-seconds", str(settings.devnet.block_seconds)),
        ),
        dict(os.environ),
    )


def _node(deployment: Deployment) -> Child:
    arguments = ("--socket", str(deployment.node_socket), "--state", str(deployment.settings.home / "node"))
    settings = json.dumps(deployment.node_settings())
    return Child("node", python_module("sandboxes.node", *arguments, "--settings-json", settings), dict(os.environ))


def _gate(deployment: Deployment) -> Child:
    environment = dict(os.environ) | {"SATBOX_GATE_SETTINGS": deployment.settings.model_dump_json()}
    return Child("gate", python_module("satbox.gate_process"), environment)


async def _actor_names(deployment: Deployment) -> list[str]:
    """Every actor that must be there from the start, wallets with a sandbox among them."""
    placement = deployment.host_spec().placement
    hosts = placement.names()
    if placement.placement == "dedicated":
        hosts = await asyncio.to_thread(_unfinished_wallets, deployment)
    return [*hosts, SETTLEMENTS, ORACLE]


async def _start_actors(deployment: Deployment, actors: NamedActors, names: list[str]) -> None:
    """Make every actor and wait until each has taken up its work."""
    hosts, settlements = deployment.host_spec(), deployment.settlements_spec()
    for name in names:
        if name == ORACLE:
            start_oracle(deployment.oracle_spec())
        elif name == SETTLEMENTS:
            start_settlements(settlements)
        else:
            start_host(name, hosts)
    await asyncio.gather(*(actors.call(name, "ping") for name in names))


def _unfinished_wallets(deployment: Deployment) -> list[str]:
    """Dedicated placement makes actors on demand, but a wallet with a sandbox cannot wait for somebody to ask."""
    return [f"wallet-{address}" for address in WalletFolder(deployment.settings.home / "wallets").unfinished()]


def _watchdog(actors: NamedActors, names: list[str]) -> SteadyScheduler:
    """A restarted actor starts its work on its first call: make that call, so that no deadline waits for a visitor."""

    async def sweep() -> None:
        with contextlib.suppress(asyncio.CancelledError, TimeoutError):  # cut off by our own stop, or asked again soon
            running = set(names) | set(await asyncio.to_thread(_wallet_actors))
            async with asyncio.timeout(PING_SECONDS_MAX):
                await asyncio.gather(*(actors.call(name, "ping") for name in running), return_exceptions=True)

    scheduler = SteadyScheduler()
    scheduler.add_job(
        sweep, "interval", seconds=WATCHDOG_SECONDS, max_instances=1, coalesce=True, misfire_grace_time=30
    )
    scheduler.start()
    return scheduler


def _checkpoint_hourly(scheduler: SteadyScheduler, deployment: Deployment) -> None:
    """Commit to what has changed, on a thread of its own. A checkpoint that fails is logged, and tried again with the next."""
    checkpoints = deployment.checkpoints()

    async def make() -> None:
        try:
            now_ms = SystemClock().wall_ms()
            made = await asyncio.to_thread(checkpoints.make, now_ms, iso(now_ms))
        except Exception:
            log.exception("no checkpoint was made")
            return
        for address, reason in made.rewritten.items():
            log.error("a wallet's past has changed", address=address, reason=reason)

    seconds = deployment.settings.books.checkpoint_seconds
    scheduler.add_job(make, "interval", seconds=seconds, max_instances=1, coalesce=True, misfire_grace_time=None)


def _wallet_actors() -> list[str]:
    import ray

    return [name for name in ray.util.list_named_actors() if name.startswith("wallet-")]


async def _close_actors(transport: RayTransport, actors: NamedActors, names: list[str]) -> None:
    """Settlements first, so that nothing new reaches a host; then hosts post what is due and let go."""
    for name in names:
        if not name.startswith(("host-", "wallet-")):
            with contextlib.suppress(Exception):
                async with asyncio.timeout(10):
                    await actors.handle(name).close.remote()
    await transport.close()
