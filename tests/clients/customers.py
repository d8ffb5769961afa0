"""Agents who pay with clients of their own, the services they pay, and an audit of what their money did."""

import asyncio
import json
import os
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp

from operations.sandbox import PaymentStatus
from satbox.agent.keystore import Agent, new_agent
from satbox.client import Client
from satbox.client.settings import ClientSettings
from satbox.keys import load_keys
from satbox.settings import ActorsSection
from stacks import Network
from tests.service.running_service import SATS, Owner, RunningService

HERE = Path(__file__).parent
REPOSITORY = HERE.parent.parent
SCRIPT_SECONDS_MAX = 60
ENVIRONMENT = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}


class Service(RunningService):
    """`satbox up` on a devnet that plays one of the networks."""

    def __init__(self, network: Network) -> None:
        super().__init__(network=network.value, actors=ActorsSection(hosts=1))
        self.network = network

    async def devnet_get(self, path: str) -> Any:
        async with aiohttp.ClientSession() as session, session.get(f"{self.devnet_url}{path}") as reply:
            assert reply.status == 200, await reply.text()
            return await reply.json()

    @property
    def pay_to(self) -> str:
        return load_keys(self.settings.home).pay_to(self.network)

    def client(self, agent: Agent | None) -> Client:
        return Client(
            ClientSettings(
                gate=self.gate_url, stacks_api=f"{self.devnet_url}/stacks", deployment="satbox-test",
                network=self.network, max_sats=10_000,
            ),
            agent=agent,
        )  # fmt: skip

    async def customer(self) -> "Customer":
        """A fresh Genesis agent with funds in every asset, and a gate pass."""
        agent = await asyncio.to_thread(new_agent, "customer")
        registered = agent.addresses(Network.MAINNET)
        funds = {"stx": 100_000_000, "sbtc": 100_000, "usdcx": 100_000_000}
        await self.devnet("agents", {"btcAddress": registered.btc, "stxAddress": registered.stx, "level": 2})
        await self.devnet("faucet", {"address": agent.addresses(self.network).stx, **funds})
        made = Customer(self, agent, self.client(agent))
        made.gate_pass = (await made.client.prove()).token
        return made


@dataclass
class Customer(Owner):
    """An agent whose own client pays."""

    service: Service
    gate_pass: str = field(default="", repr=False)

    @property
    def address(self) -> str:
        return self.agent.addresses(self.service.network).stx

    def given(self, gate: str | None = None) -> dict[str, Any]:
        """What every client's script is told."""
        return {
            "gate": gate or self.service.gate_url,
            "stacksApi": f"{self.service.devnet_url}/stacks",
            "network": self.service.network.value,
            "key": self.agent.stacks_key.secret.hex() + "01",
            "pass": self.gate_pass,
        }

    async def node(self, script: str, *, gate: str | None = None, **more: Any) -> Any:
        """What a Node client's script prints."""
        return await _run(["node", str(HERE / "node" / f"{script}.mjs")], {**self.given(gate), **more})

    async def python(self, script: str, *, gate: str | None = None, **more: Any) -> Any:
        """What a Python client's script prints."""
        return await _run([sys.executable, str(HERE / "python" / f"{script}.py")], {**self.given(gate), **more})

    async def ask(self, path: str, body: Any, headers: dict[str, str] | None = None) -> tuple[int, Any, Any]:
        """Status, body and headers of a request that no client is in the way of."""
        sent = {"authorization": f"Bearer {self.gate_pass}", **(headers or {})}
        async with (
            aiohttp.ClientSession() as session,
            session.post(self.service.gate_url + path, json=body, headers=sent) as answer,
        ):
            return answer.status, await answer.json(), answer.headers

    async def on_chain(self) -> list[dict[str, Any]]:
        """Every transaction of this customer that the devnet knows, pending or not."""
        base = f"/stacks/extended/v1/address/{self.address}"
        confirmed = await self.service.devnet_get(f"{base}/transactions")
        pending = await self.service.devnet_get(f"{base}/mempool")
        return [*pending["results"], *confirmed["results"]]

    async def deposits(self) -> list[PaymentStatus]:
        """The payments that the wallet was credited with."""
        ledger = await self.client.sandbox_ledger(limit=1000)
        return [
            await self.client.payment_status(entry.reference or "") for entry in ledger.items if entry.kind == "deposit"
        ]

    async def audit(self, *sats: int) -> None:
        """The money: one deposit for each of `sats` and no other, each with a transaction of its own that succeeded on
        chain in the amount that was credited, no other transaction, books that balance, and no unit made or lost.
        """
        books = await self.books()
        assert books["payments"] == len(sats)
        deposits = await self.deposits()
        assert sum(deposit.credited_usat for deposit in deposits) == books["credited"]
        by_size = sorted(deposits, key=lambda deposit: deposit.credited_usat)  # one block may confirm several
        for deposit, bought in zip(by_size, sorted(sats), strict=True):
            assert deposit.status == "confirmed"
            assert deposit.credited_usat == deposit.expected_usat
            assert bought * SATS <= deposit.credited_usat <= (bought * SATS) * 1001 // 1000
        chain = {tx["tx_id"].removeprefix("0x"): tx for tx in await self.on_chain()}
        assert chain.keys() == {deposit.txid for deposit in deposits}
        for deposit in deposits:
            assert deposit.txid is not None
            assert _moved(chain[deposit.txid], self.service.pay_to) == (deposit.asset, deposit.amount, self.address)
        assert (await self.service.devnet_get("/devnet/status"))["conserved"] is True

    async def credited(self, *sats: int) -> None:
        """Waits for the payments to be credited, then audits."""
        await self.until(lambda now: now.deposited_usat >= sum(sats) * SATS)
        await self.audit(*sats)


def _moved(tx: dict[str, Any], pay_to: str) -> tuple[str, str, str]:
    """Asset, amount and sender of the one transfer to `pay_to` in a transaction that succeeded."""
    assert tx["tx_status"] == "success"
    [event] = [e for e in tx["events"] if e.get("asset", {}).get("recipient") == pay_to]
    asset = event["asset"]
    names = {"sbtc-token": "sBTC", "usdcx": "USDCx"}
    name = names[asset["asset_id"].partition("::")[0].partition(".")[2]] if "asset_id" in asset else "STX"
    return name, asset["amount"], asset["sender"]


async def _run(argv: list[str], given: dict[str, Any]) -> Any:
    """A script's answer to one JSON document on stdin: one JSON value on stdout."""
    process = await asyncio.create_subprocess_exec(
        *argv, env=ENVIRONMENT, cwd=REPOSITORY,
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    try:
        async with asyncio.timeout(SCRIPT_SECONDS_MAX):
            stdout, stderr = await process.communicate(json.dumps(given).encode())
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode == 0, stderr.decode(errors="replace")
    return json.loads(stdout)
