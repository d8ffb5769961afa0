import asyncio
import json
import os
import signal
import sqlite3
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest
from aiohttp.test_utils import TestClient, TestServer
from devnet_twin import ALICE, BOB, SERVICE, ManualClock, Payer, Twin

from devnet.app import create_app
from devnet.settings import DevnetSettings
from devnet.store import Store
from devnet.world import WORLD, World, WrongState
from stacks.network import Network
from stacks.transaction import decode_transaction

BTC = "bc1qzhp3hrquz8z3tcjykavqdwky35fen3m4pf3zxk"
ROOT = Path(__file__).parent.parent.parent
VECTORS = json.loads((ROOT / "tests/vectors/stacks_transactions.json").read_text())


@asynccontextmanager
async def running(settings: DevnetSettings) -> AsyncIterator[Twin]:
    clock = ManualClock()
    async with TestClient(TestServer(create_app(settings, clock))) as client:
        yield Twin(client, clock, settings.network)


@asynccontextmanager
async def process(state: Path, *options: str) -> AsyncIterator[tuple[asyncio.subprocess.Process, dict]]:
    """A devnet process of its own, as `satbox up` runs it."""
    argv = ("-m", "devnet", "--port", "0", "--state", str(state), *options)
    child = await asyncio.create_subprocess_exec(
        sys.executable, *argv, cwd=ROOT, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL
    )
    assert child.stdout is not None
    try:
        async with asyncio.timeout(120):
            ready = json.loads(await child.stdout.readline())
        yield child, ready
    finally:
        if child.returncode is None:
            child.kill()
        await child.wait()


async def test_sigkill_loses_nothing_that_was_answered(tmp_path: Path) -> None:
    state, headers = tmp_path / "devnet.sqlite", {"Content-Type": "application/octet-stream"}
    confirmed, pending = ALICE.pay_sbtc(SERVICE.address, 250, 0), ALICE.pay_sbtc(SERVICE.address, 50, 1)
    async with process(state, "--block-seconds", "0") as (child, ready), aiohttp.ClientSession() as http:
        urls = ready["urls"]
        faucet = {"address": str(ALICE.address), "stx": 10_000, "sbtc": 1_000}
        await (await http.post(urls["devnet"] + "/faucet", json=faucet)).read()
        agent = {"btcAddress": BTC, "stxAddress": str(ALICE.address), "level": 2}
        await (await http.post(urls["devnet"] + "/agents", json=agent)).read()
        for tx in (confirmed, pending):
            reply = await http.post(urls["stacks"] + "/v2/transactions", data=tx.serialize(), headers=headers)
            assert reply.status == 200
            if tx is confirmed:
                await (await http.post(urls["devnet"] + "/mine", json={})).read()
        os.kill(child.pid, signal.SIGKILL)
        await child.wait()
    async with process(state, "--block-seconds", "0") as (child, ready), aiohttp.ClientSession() as http:
        urls = ready["urls"]

        async def get(url: str) -> dict:
            async with http.get(url) as reply:
                return await reply.json()

        assert (await get(f"{urls['stacks']}/extended/v1/tx/{confirmed.txid()}"))["tx_status"] == "success"
        assert (await get(f"{urls['stacks']}/extended/v1/tx/{pending.txid()}"))["tx_status"] == "pending"
        assert (await get(f"{urls['aibtc']}/api/verify/{BTC}"))["level"] == 2
        await (await http.post(urls["devnet"] + "/mine", json={})).read()
        status = await get(urls["devnet"] + "/status")
        assert (status["height"], status["conserved"], status["pending"]) == (2, True, 0)
        balances = await get(f"{urls['stacks']}/extended/v1/address/{ALICE.address}/balances")
        assert [token["balance"] for token in balances["fungible_tokens"].values()] == ["700"]
        child.send_signal(signal.SIGTERM)
        assert await child.wait() == 0


async def test_relay_memory_and_undo_survive_a_restart(tmp_path: Path) -> None:
    settings = DevnetSettings(block_seconds=0, state_path=tmp_path / "state.sqlite")
    tx = ALICE.pay_sbtc(SERVICE.address, 250, 0, sponsored=True)
    async with running(settings) as twin:
        await twin.fund(ALICE)
        first = await twin.settle(tx, SERVICE.address, 250, identifier="pay_0123456789abcdef")
        await twin.mine()
        before = await twin.tx(first["transaction"])
    async with running(settings) as twin:
        assert await twin.settle(tx, SERVICE.address, 250, identifier="pay_0123456789abcdef") == first
        assert (await twin.get(f"/relay/settle/status/{first['transaction']}"))["status"] == "confirmed"
        assert await twin.tx(first["transaction"]) == before
        await twin.post("/devnet/reorg", {"blocks": 1})
        assert (await twin.balance(SERVICE.address))["sbtc"] == 0
    async with running(settings) as twin:
        assert (await twin.get("/devnet/status"))["height"] == 0
        await twin.mine()
        assert (await twin.balance(SERVICE.address))["sbtc"] == 250
        assert (await twin.tx(first["transaction"]))["block_hash"] != before["block_hash"]
        assert await twin.conserved()


def test_a_save_is_all_or_nothing_and_one_devnet_owns_the_file(tmp_path: Path) -> None:
    store = Store(tmp_path / "state.sqlite")
    with pytest.raises(TypeError):
        store.save({"tx": {"good": {"a": 1}, "bad": {"a": object()}}})
    assert store.load("tx") == {}
    store.save({"tx": {"good": {"a": 1}}})
    assert store.load("tx") == {"good": {"a": 1}}
    with pytest.raises(sqlite3.OperationalError):
        Store(tmp_path / "state.sqlite", lock_wait_seconds=0)
    store.close()


def test_a_state_file_belongs_to_one_network(tmp_path: Path) -> None:
    path = tmp_path / "state.sqlite"
    World(DevnetSettings(state_path=path), ManualClock()).close()
    with pytest.raises(WrongState):
        World(DevnetSettings(network=Network.MAINNET, state_path=path), ManualClock())


async def test_mainnet_ids_by_a_setting() -> None:
    alice, service = Payer("alice", Network.MAINNET), Payer("service", Network.MAINNET)
    async with running(DevnetSettings(network=Network.MAINNET, block_seconds=0)) as twin:
        await twin.fund(alice)
        answer = await twin.settle(alice.pay_sbtc(service.address, 9, 0), service.address, 9)
        await twin.mine()

        assert (answer["success"], answer["network"]) == (True, "stacks:1")
        assert (await twin.balance(service.address))["sbtc"] == 9
        await twin.post("/devnet/faucet", {"address": str(BOB.address), "stx": 1}, 400)


async def test_one_sponsor_wallet_leaves_no_nonce_gap_when_it_sponsors_twice() -> None:
    async with running(DevnetSettings(block_seconds=0, sponsor_wallets=1)) as twin:
        await twin.fund(ALICE)
        await twin.fault("sponsor_twice", mode="second", count=1)
        tx = ALICE.pay_sbtc(SERVICE.address, 5, 0, sponsored=True)
        answer = await twin.settle(tx, SERVICE.address, 5)
        await twin.mine()

        assert (await twin.tx(answer["transaction"]))["tx_status"] == "success"


async def test_blocks_come_by_themselves() -> None:
    """The clock runs as fast as it is asked to wait, so a block takes no time here."""

    class FastClock(ManualClock):
        async def sleep(self, seconds: float) -> None:
            await super().sleep(seconds)
            await asyncio.sleep(0)

    app = create_app(DevnetSettings(block_seconds=2), FastClock())
    async with TestClient(TestServer(app)) as client:
        twin = Twin(client, ManualClock())
        while (await twin.get("/devnet/status"))["height"] < 3:
            pass

    assert set(app[WORLD].clock.slept) == {2}  # type: ignore[attr-defined]


@pytest.mark.parametrize("vector", VECTORS[::3], ids=lambda v: f"{v['kind']}-{v['network']}-{v['sponsored']}")
async def test_reference_transactions_are_judged_by_their_bytes(vector: dict) -> None:
    """Signatures of the reference library pass; their nonces are far ahead of a fresh chain's."""
    network = Network(vector["network"])
    tx = decode_transaction(bytes.fromhex(vector.get("sponsored_hex") or vector["origin_signed_hex"]))
    async with running(DevnetSettings(network=network, block_seconds=0)) as twin:
        who = tx.origin_address if tx.sponsor_address is None else tx.sponsor_address
        await twin.post("/devnet/faucet", {"address": str(who), "stx": 10**10})
        body = await twin.broadcast(tx, 400)

    assert isinstance(body, dict)
    assert (body["reason"], body["txid"]) == ("TooMuchChaining", vector["txid"])


async def test_what_the_relay_holds_survives_a_restart(tmp_path: Path) -> None:
    settings = DevnetSettings(block_seconds=0, state_path=tmp_path / "devnet.sqlite")
    async with running(settings) as twin:
        await twin.fund(ALICE)
        await twin.settle(ALICE.pay_sbtc(SERVICE.address, 20, 0, sponsored=True), SERVICE.address, 20)
        await twin.mine()
        held = await twin.settle(ALICE.pay_sbtc(SERVICE.address, 10, 1, sponsored=True), SERVICE.address, 10)
        assert held["errorReason"] == "transaction_held"
    async with running(settings) as twin:
        for _ in range(7):
            twin.clock.seconds += 60
            await twin.mine()
        assert (await twin.balance(SERVICE.address))["sbtc"] == 30
