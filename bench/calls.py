"""Calls through the proxy to a server in a sandbox: free, and paid from 64 buckets, each payment durable before its answer.

Both kinds of traffic are measured in turns in one run, from another process, on a service of its own. The server inside answers
two bytes at once, so that what is measured is the way to it.
"""

import asyncio
import base64
import json
import secrets
import statistics
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp

from actors.on_ray.transport import RayTransport
from actors.system import ActorSystem
from actors.wallet import commands as c
from bench.figures import Figure
from bench.service import funded_client
from operations.routes import RouteInput
from relay_client.orders import SCHEME, Order
from satbox.agent.keystore import new_agent
from satbox.client import Client
from satbox.demo import demo_settings
from satbox.demo.devnet_control import DevnetControl
from satbox.service import Service, running
from satbox.settings import Settings
from stacks import PrivateKey

SAT = 1_000_000
PAYERS = 64
PORT = 8000
INNER = b"""
import asyncio
class Two(asyncio.Protocol):
    def connection_made(self, transport): self.transport = transport; self.seen = b""
    def data_received(self, data):
        self.seen += data
        while b"\\r\\n\\r\\n" in self.seen:
            self.seen = self.seen.partition(b"\\r\\n\\r\\n")[2]
            self.transport.write(b"HTTP/1.1 200 OK\\r\\nContent-Length: 2\\r\\n\\r\\nok")
async def main():
    server = await asyncio.get_running_loop().create_server(Two, "127.0.0.1", 8000)
    await server.serve_forever()
asyncio.run(main())
"""


@dataclass(frozen=True, slots=True)
class Market:
    """A seller that is up, and payers with money."""

    service: Service
    seller: Client
    address: str
    payers: list[tuple[str, PrivateKey]]
    deployment: str

    def request(self, path: str, payer: tuple[str, PrivateKey] | None) -> str:
        """One request, in base64; signed for a payer."""
        target = f"/sandbox/proxy/{self.address}/{PORT}{path}"
        lines = [f"GET {target} HTTP/1.1", "Host: 127.0.0.1"]
        if payer is not None:
            lines.append(f"payment-signature: {self._order(target, *payer)}")
        return base64.b64encode("\r\n".join([*lines, "", ""]).encode()).decode()

    def _order(self, target: str, address: str, key: PrivateKey) -> str:
        network = self.seller.settings.network
        expires_at = int(self.seller.now_seconds()) + 280
        order = Order(self.deployment, address, self.address, 1, f"GET {target}", secrets.token_hex(16), expires_at)
        payload: dict[str, Any] = {"order": order.wire(), "signature": order.signed(key, network)}
        document = {"x402Version": 2, "accepted": {"scheme": SCHEME, "network": network.caip2}, "payload": payload}
        return base64.b64encode(json.dumps(document).encode()).decode()


async def _opened(service: Service, session: aiohttp.ClientSession) -> Market:
    control = DevnetControl(service.devnet_urls["devnet"], session)
    seller = await funded_client(service, control, "seller")
    await seller.sandbox_create(sats=500)
    await seller.files_write("inner.py", INNER)
    process = await seller.processes_start(argv=["python3", "inner.py"])
    await seller.processes_wait(process.process_id, until="port", port=PORT)
    routes = [
        RouteInput(port=PORT, path="/free", rate_per_minute=1_000_000),
        RouteInput(port=PORT, path="/paid", sats=1, rate_per_minute=1_000_000),
    ]
    await seller.routes_set(routes=routes)
    system = ActorSystem(RayTransport(service.deployment.host_spec()))
    payers = []
    for number in range(PAYERS):
        agent = await asyncio.to_thread(new_agent, f"payer-{number}")
        address = agent.addresses(seller.settings.network).stx
        await system.ask(
            address, c.Deposit(f"pay_bench_{number}", address, 100_000 * SAT, f"tx{number}", "sBTC", wakes=False)
        )
        payers.append((address, agent.stacks_key))
    assert seller.agent is not None
    own = seller.agent.addresses(seller.settings.network).stx
    return Market(service, seller, own, payers, service.deployment.settings.deployment)


async def _load(market: Market, path: str, connections: int, each: int, *, paid: bool) -> dict[str, Any]:
    payers = [market.payers[k % PAYERS] if paid else None for k in range(connections)]
    requests = [[market.request(path, payer) for _ in range(each)] for payer in payers]
    host, _, port = market.service.gate_url.rpartition("/")[2].partition(":")
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        json.dump(requests, file)
        file.flush()
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "bench.call_load", host, port, file.name, stdout=asyncio.subprocess.PIPE
        )
        out, _ = await process.communicate()
    measured: dict[str, Any] = json.loads(out)
    if set(measured["codes"]) != {"200"}:
        raise RuntimeError(f"{path}: {measured['codes']}")
    return measured


def _settings(home: Path) -> Settings:
    """All callers come from one address here: what limits a single peer would be all that is measured."""
    settings = demo_settings(home, "shared")
    gate = settings.gate.model_copy(update={"open_requests_per_second": 0})
    return settings.model_copy(update={"gate": gate})


async def figures(home: Path, *, quick: bool = False) -> list[Figure]:
    """Calls a second by 64 callers, and what payment adds to one call, when four callers are there and when one is."""
    rounds, each = (2, 60) if quick else (5, 120)
    async with running(_settings(home), _say) as service, aiohttp.ClientSession() as session:
        market = await _opened(service, session)
        for paid in (False, True):  # connections and allowances are there before the clock starts
            await _load(market, "/paid" if paid else "/free", PAYERS, 5, paid=paid)
        free = [await _load(market, "/free", PAYERS, each, paid=False) for _ in range(rounds)]
        paid_ = [await _load(market, "/paid", PAYERS, each, paid=True) for _ in range(rounds)]
        added: dict[int, list[tuple[dict[str, Any], dict[str, Any]]]] = {4: [], 1: []}
        for _ in range(rounds):
            for callers, pairs in added.items():
                unpaid = await _load(market, "/free", callers, 3 * each, paid=False)
                pairs.append((unpaid, await _load(market, "/paid", callers, 3 * each, paid=True)))
        system = ActorSystem(RayTransport(service.deployment.host_spec()))
        earned = -(await system.look(market.address)).state.accounts.earnings
        calls = PAYERS * 5 + sum(one["n"] for one in paid_)
        calls += sum(paying["n"] for pairs in added.values() for _, paying in pairs)
        note = f"{earned // SAT:,} of {calls:,} sats earned when the last answer was there"
        await market.seller.sandbox_reap()
        await market.seller.close()
    return [
        _rps("proxy_rps_free", free, "64 callers, one gate process; gate, node, sandbox and load share the cores"),
        _rps("proxy_rps_bucket", paid_, f"the same, each paid from its own bucket, durable before its answer; {note}"),
        _added("proxy_added_ms", "4 callers", added[4]),
        _added("proxy_added_alone_ms", "one caller", added[1]),
    ]  # fmt: skip


def _rps(name: str, runs: list[dict[str, Any]], note: str) -> Figure:
    median = sorted(runs, key=lambda one: one["rps"])[len(runs) // 2]
    return Figure(
        name, "1/s", sum(one["n"] for one in runs), round(median["rps"], 1), round(median["p50"], 2),
        round(median["p95"], 2), note,
    )  # fmt: skip


def _added(name: str, who: str, pairs: list[tuple[dict[str, Any], dict[str, Any]]]) -> Figure:
    free, paid = (statistics.median(pair[k]["p50"] for pair in pairs) for k in (0, 1))
    return Figure(
        name, "ms", sum(paying["n"] for _, paying in pairs),
        round(statistics.median(paying["p50"] - unpaid["p50"] for unpaid, paying in pairs), 3),
        note=f"what payment adds to the median call, {who}; free and paid in turns: {free:.2f} and {paid:.2f} ms",
    )  # fmt: skip


def _say(line: str) -> None:
    print(f"bench: {line}", file=sys.stderr)
