"""Wake links on the running service, by the command line: from an agent's keys to somebody who has none."""

import asyncio
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from operations.errors import SatboxError
from operations.wake_links import LINK_HEADER
from satbox.agent.keystore import Keystore, agent_of
from satbox.client import Client
from stacks import Network
from tests.cli.running import Ended, satbox
from tests.service.running_service import Owner, RunningService
from tests.service.searching import files_with

pytestmark = [pytest.mark.ray, pytest.mark.sandbox, pytest.mark.asyncio(loop_scope="session")]


class Terminal:
    """The command line of one person: a home of their own, keys or none."""

    def __init__(self, service: RunningService, home: Path, who: Owner | None = None) -> None:
        self.service = service
        self.home = home
        if who is not None:
            Keystore(home).save(agent_of("default", who.agent.stacks_key, who.agent.bitcoin_key))

    async def run(self, *words: str, stdin: bytes = b"") -> Ended:
        service = self.service
        environment = {
            "SATBOX_STACKS_API": f"{service.devnet_url}/stacks", "SATBOX_DEPLOYMENT": "satbox-test",
            "SATBOX_GATE": service.gate_url,
        }  # fmt: skip
        return await satbox(*words, home=self.home, environment=environment, stdin=stdin)

    async def told(self, *words: str) -> Any:
        ended = await self.run(*words)
        assert ended.code == 0, ended.stderr
        return ended.document


async def reaped(owner: Owner) -> None:
    assert (await owner.client.sandbox_reap()).state == "reaped"


async def test_a_link_wakes_for_somebody_without_keys(service: RunningService, owner: Owner, tmp_path: Path) -> None:
    agent, friend = Terminal(service, tmp_path / "agent", owner), Terminal(service, tmp_path / "friend")
    await owner.client.sandbox_create(sats=500)
    await owner.until(lambda now: now.state == "alive")
    await owner.client.files_write("kept.txt", b"still here")
    made = await agent.told("wake-link", "create", "--label", "my owner")
    assert made["url"] == f"{service.gate_url}/wake/{owner.address}#{made['token']}"
    await reaped(owner)

    woken = await friend.told("wake", made["url"])
    assert (woken["address"], woken["state"]) == (owner.address, "alive")
    assert await owner.client.files_read("kept.txt") == b"still here"
    again = await friend.run("wake", "--link", "-", stdin=made["token"].encode())
    assert again.document["runtime_id"] == woken["runtime_id"]
    (listed,) = (await agent.told("wake-link", "list"))["items"]
    assert (listed["wakes_left_today"], listed["state"], listed["label"]) == (9, "good", "my owner")
    assert (await friend.told("wake-link", "info", made["url"]))["wakes_left_today"] == 9

    await agent.told("wake-link", "revoke", made["link_id"])
    await reaped(owner)
    refused = await friend.run("wake", made["url"])
    assert (refused.code, refused.error["code"]) == (1, "wake_link_invalid")
    assert (await owner.status()).state == "reaped"
    secret = made["token"].removeprefix(f"swl_{owner.address}_")
    assert secret not in service.log()
    assert secret not in refused.stderr
    assert await asyncio.to_thread(files_with, (service.settings.home,), (secret,)) == []


async def test_many_gates_worth_of_clicks_start_it_once(service: RunningService, owner: Owner) -> None:
    await owner.client.sandbox_create(sats=500)
    await owner.until(lambda now: now.state == "alive" and now.deposited_usat > 0)
    link = await owner.client.wake_links_create(scopes=["wake"], wakes_per_day=1)
    await reaped(owner)
    async with Client(service.gate_url, wake_link=link.url) as holder:
        woken = await asyncio.gather(*(holder.wake() for _ in range(20)))
        assert {each.runtime_id for each in woken} == {woken[0].runtime_id}
        await reaped(owner)
        refused = await asyncio.gather(*(holder.wake() for _ in range(5)), return_exceptions=True)
    assert {error.code for error in refused if isinstance(error, SatboxError)} == {"wake_link_cap_reached"}
    assert len(refused) == 5
    assert (await owner.status()).state == "reaped"


async def test_a_cap_outlives_a_host_that_dies(service: RunningService, owner: Owner) -> None:
    await owner.client.sandbox_create(sats=500)
    await owner.until(lambda now: now.state == "alive" and now.deposited_usat > 0)
    link = await owner.client.wake_links_create(scopes=["wake"], wakes_per_day=1)
    await reaped(owner)
    async with Client(service.gate_url, wake_link=link.url) as holder:
        await holder.wake()
        await service.kill("hosts")
        await owner.until(lambda now: now.state == "alive")
        await reaped(owner)
        with pytest.raises(SatboxError, match="wake_link_cap_reached"):
            await holder.wake()


async def test_anybody_pays_through_a_link_and_wakes_what_its_owner_reaped(
    service: RunningService, owner: Owner, tmp_path: Path
) -> None:
    payer = await service.agent()
    friend = Terminal(service, tmp_path / "friend", payer)
    pair = owner.agent.addresses(Network.MAINNET)
    await service.devnet(
        "agents", {"btcAddress": pair.btc, "stxAddress": pair.stx, "level": 2, "displayName": "Wakeful Heron"}
    )
    try:
        await owner.client.sandbox_create(sats=100)
        await owner.until(lambda now: now.state == "alive" and now.deposited_usat > 0)
        link = await owner.client.wake_links_create(scopes=["topup"], sats_per_day=60)
        await reaped(owner)
        handle = "wakeful-heron"
        gift = await friend.run("wake", handle)
        assert (gift.code, gift.error["code"]) == (1, "not_owner")
        assert f"satbox extend --address {owner.address} --seconds 3600" in gift.error["hint"]
        too_much = await friend.run("wake", handle, "--link", link.url, "--pay", "3h")
        assert (too_much.code, too_much.error["code"]) == (1, "wake_link_cap_reached")
        paid = await friend.told("wake", handle, "--link", link.url, "--pay", "2h", "--wait")
        assert (paid["status"], paid["payment"]["payer"], paid["sandbox"]["address"]) == (
            "confirmed", payer.address, owner.address,
        )  # fmt: skip
        await owner.until(lambda now: now.state == "alive")
        books = await owner.books()
        assert (books["credited"], books["payments"]) == (151_000_000, 2)
        async with Client(service.gate_url, wake_link=link.token) as holder:
            assert (await holder.wake_links_info()).sats_left_today == 60 - 51
    finally:
        await payer.client.close()


async def test_a_wake_of_what_is_up_is_quick(service: RunningService, owner: Owner) -> None:
    await owner.client.sandbox_create(sats=500)
    await owner.until(lambda now: now.state == "alive")
    link = await owner.client.wake_links_create()
    headers = {LINK_HEADER: link.token}
    loop = asyncio.get_running_loop()
    async with aiohttp.ClientSession(headers=headers) as session:
        took = []
        for _ in range(20):
            began = loop.time()
            async with session.post(f"{service.gate_url}/sandbox/wake", json={}) as reply:
                assert reply.status == 200
            took.append(loop.time() - began)
    assert sorted(took)[10] < 0.5
