"""The whole service, end to end on the embedded devnet: create to first output, warm commands, status load, deposits on Ray."""

import asyncio
import json
import sys
import time
from datetime import datetime
from pathlib import Path

import aiohttp

from actors.on_ray.call import NamedActors
from actors.on_ray.host_spec import HostSpec
from actors.on_ray.transport import RayTransport
from actors.placement import HostMap
from actors.system import ActorSystem
from actors.wallet import commands as c
from actors.wallet.state import Plan
from bench.figures import Figure, latency, rss_bytes
from bench.wallets import addresses
from satbox.agent.keystore import new_agent
from satbox.client import Client
from satbox.client.settings import ClientSettings
from satbox.demo import demo_settings
from satbox.demo.devnet_control import DevnetControl
from satbox.service import Service, running

SAT = 1_000_000


async def funded_client(service: Service, control: DevnetControl, name: str) -> Client:
    """A fresh Genesis agent with coins and a pass."""
    agent = await asyncio.to_thread(new_agent, name)
    await control.register(agent, 2)
    await control.fund(agent, stx=100, sats=100_000)
    settings = ClientSettings(
        gate=service.gate_url,
        stacks_api=service.devnet_urls["stacks"],
        deployment=service.deployment.settings.deployment,
    )
    client = Client(settings, agent=agent)
    await client.prove()
    return client


async def _create_to_output(client: Client) -> tuple[float, float]:
    """Milliseconds from the request to the first output, and from the settlement to it."""
    began = time.perf_counter()
    paid = await client.sandbox_create(sats=100)
    result = await client.sandbox_exec(argv=["/bin/echo", "hello"])
    ended_wall_ms, took = time.time() * 1000, (time.perf_counter() - began) * 1000
    if result.stdout != "hello\n":
        raise RuntimeError(f"no output: {result}")
    events = await client.sandbox_events(limit=100)
    settled = next(e for e in events.items if e.type == "payment" and e.data["payment_id"] == paid.paymentId)
    settled_ms = datetime.fromisoformat(settled.at).timestamp() * 1000
    return took, ended_wall_ms - settled_ms


async def create_and_exec(service: Service, session: aiohttp.ClientSession, n: int) -> list[Figure]:
    """Creates, one after another by fresh wallets, then commands in the last one."""
    control = DevnetControl(service.devnet_urls["devnet"], session)
    whole, beyond = [], []
    client: Client | None = None
    for k in range(n + 1):
        if client is not None:
            await client.sandbox_reap()
            await client.close()
        client = await funded_client(service, control, f"bench-{k}")
        took, after = await _create_to_output(client)
        if k:  # the first one warms the service up
            whole.append(took)
            beyond.append(after)
    assert client is not None
    warm = []
    for _ in range(20 + 4 * n):
        began = time.perf_counter()
        await client.sandbox_exec(argv=["/bin/true"])
        warm.append((time.perf_counter() - began) * 1000)
    figures = [
        latency(
            "create_first_output", beyond, "beyond settlement: relay's answer recorded -> first output at the client"
        ),
        latency("create_first_output_whole", whole, "402, signing, paying and settling included"),
        latency("warm_exec", warm[20:], "/bin/true over HTTP through gate, node and supervisor"),
        await status_load(service, client),
    ]
    await client.sandbox_reap()
    await client.close()
    return figures


async def status_load(service: Service, client: Client, seconds: float = 8.0) -> Figure:
    """Status answers a second from one gate process, which has one core."""
    token = (await client.prove()).token
    port = service.gate_url.rpartition(":")[2]
    arguments = ("127.0.0.1", port, "/sandbox/status", token, str(seconds), "8", "16")
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "bench.http_load", *arguments, stdout=asyncio.subprocess.PIPE
    )
    out, _ = await process.communicate()
    measured = json.loads(out)
    return Figure(
        "status_rps",
        "1/s",
        measured["n"],
        round(measured["rps"], 1),
        round(measured["p50"], 3),
        round(measured["p95"], 3),
        f"8 connections, 16 deep, {measured['failures']} failures; one gate process, load from the other core",
    )


async def deposits_on_ray(system: ActorSystem, wallets: int, total: int) -> Figure:
    """Durable deposits a second through Ray, batched as settlements' deliveries are."""
    names = addresses(wallets, seed=wallets)
    for name in names:
        await system.ask(name, c.Prepare("create", Plan("nano"), 10**12))  # too dear to start: money alone
    gate = asyncio.Semaphore(2048)

    async def one(n: int) -> None:
        async with gate:
            await system.ask(names[n % wallets], c.Deposit(f"pay_{n}", "SPpayer", SAT // 2, f"tx{n}", "sBTC"))

    began = time.perf_counter()
    await asyncio.gather(*(one(n) for n in range(total)))
    took = time.perf_counter() - began
    label = "deposits_1_wallet" if wallets == 1 else f"deposits_{wallets}_wallets"
    return Figure(label, "1/s", total, round(total / took, 1), note="through Ray, fsynced before each answer")


async def dedicated(spec: HostSpec, n: int) -> list[Figure]:
    """A Ray actor for each wallet: what it takes to begin one, and what it weighs."""
    own = HostSpec(spec.home, spec.node_socket, HostMap("dedicated"), spec.policy)
    transport = RayTransport(own)
    system, actors = ActorSystem(transport), NamedActors()
    samples, weights = [], []
    for name in addresses(n, seed=77):
        began = time.perf_counter()
        await system.ask(name, c.Prepare("create", Plan("nano"), 10**12))
        samples.append((time.perf_counter() - began) * 1000)
        weights.append(rss_bytes(int(await actors.call(f"wallet-{name}", "ping"))))
    await transport.close()
    return [
        latency("activation_dedicated", samples, "a Ray actor of its own: new process to first answer"),
        Figure("rss_dedicated_wallet", "bytes", n, sorted(weights)[n // 2], note="resident memory of that process"),
    ]


async def figures(home: Path, *, quick: bool = False) -> list[Figure]:
    """Everything this module measures, on a service of its own in `home`."""
    made: list[Figure] = []
    async with running(demo_settings(home, "shared"), _say) as service, aiohttp.ClientSession() as session:
        made += await create_and_exec(service, session, 10 if quick else 50)
        spec = service.deployment.host_spec()
        system = ActorSystem(RayTransport(spec))
        made.append(await deposits_on_ray(system, 1, 2_000 if quick else 20_000))
        made.append(await deposits_on_ray(system, 64, 2_000 if quick else 20_000))
        made += await dedicated(spec, 3 if quick else 10)
    return made


def _say(line: str) -> None:
    print(f"bench: {line}", file=sys.stderr)
