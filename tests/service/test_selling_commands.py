"""Selling and buying from the command line: real processes, real signatures, a real server in a real sandbox."""

import json
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import pytest_asyncio

from operations.errors import SatboxError
from satbox.agent.keystore import Keystore
from satbox.client import Client, ClientSettings
from stacks import Network
from tests.cli.running import Ended
from tests.cli.running import satbox as run
from tests.service.running_service import SATS, RunningService, eventually

pytestmark = [pytest.mark.ray, pytest.mark.sandbox, pytest.mark.asyncio(loop_scope="session")]

SERVER = """
import http.server, json, time
class Inside(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        sent = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
        told = json.dumps({"path": self.path, "method": self.command, "body": sent, "payer": self.headers.get("X-Satbox-Payer"),
                           "pass": self.headers.get("Authorization")}).encode()
        if self.path.startswith("/slow"): time.sleep(3)
        self.send_response(503 if self.path == "/down" else 200)
        self.send_header("Content-Length", str(len(told))); self.end_headers(); self.wfile.write(told)
    do_POST = do_GET
    def log_message(self, *_): pass
http.server.ThreadingHTTPServer(("127.0.0.1", 8000), Inside).serve_forever()
"""


class Street:
    """A seller that is Genesis, a neighbour that is, and a stranger that nobody has registered."""

    def __init__(self, service: RunningService, home: Path) -> None:
        self.service = service
        self.home = home

    async def say(self, agent: str, *words: str, stdin: bytes = b"") -> Ended:
        environment = {
            "SATBOX_GATE": self.service.gate_url,
            "SATBOX_STACKS_API": f"{self.service.devnet_url}/stacks",
            "SATBOX_DEVNET_URL": self.service.devnet_url,
        }
        return await run("--agent", agent, *words, home=self.home, stdin=stdin, environment=environment)

    async def document(self, agent: str, *words: str) -> Any:
        ended = await self.say(agent, *words)
        assert ended.code == 0, ended.stderr
        return ended.document

    def address(self, agent: str) -> str:
        return Keystore(self.home).load(agent).addresses(Network.TESTNET).stx

    def url(self, path: str) -> str:
        return f"{self.service.gate_url}/sandbox/proxy/{self.address('seller')}/8000{path}"

    async def reset(self) -> None:
        """No routes."""
        for one in (await self.document("seller", "routes", "list"))["items"]:
            methods = [word for method in one["methods"] for word in ("--method", method)]
            await self.document("seller", "routes", "set", str(one["port"]), one["path"], *methods, "--remove")


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def street(service: RunningService, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Street]:
    found = Street(service, tmp_path_factory.mktemp("street"))
    for agent in ("seller", "neighbour", "stranger"):
        await found.document(agent, "keygen")
        if agent != "stranger":
            await found.document(agent, "register")
        await found.document(agent, "faucet")
    await found.document("seller", "create", "--sats", "500", "--wait")
    put = await found.say("seller", "exec", "--stdin", "cat > server.py", stdin=SERVER.encode())
    assert put.code == 0, put.stderr
    started = await found.document("seller", "processes", "start", "python3 server.py")
    await found.document("seller", "processes", "wait", started["process_id"], "--until", "port", "--port", "8000")
    yield found
    await found.document("seller", "reap")


async def left(street: Street) -> int:
    """What the stranger has, set aside or not."""
    shown = await street.document("stranger", "bucket")
    assert shown["address"] == street.address("stranger")
    return int(shown["balance_usat"]) + int(shown["reserved_usat"])


async def test_a_stranger_deposits_calls_and_the_agent_has_earned(street: Street) -> None:
    await street.reset()
    shown = await street.document("seller", "routes", "set", "8000", "/answer", "--sats", "7")
    assert [item["url"] for item in shown["items"]] == [street.url("/answer")]
    assert shown["is_whole"]

    empty = await street.say("stranger", "bucket")
    assert (empty.code, empty.error["code"]) == (1, "wallet_not_found")
    poor = await street.say("stranger", "call", street.url("/answer"))
    assert (poor.code, poor.error["code"]) == (1, "credit_insufficient")
    assert "satbox deposit" in poor.error["hint"]

    put = await street.document("stranger", "deposit", "--sats", "100", "--wait")
    assert (put["status"], put["credited_usat"]) == ("confirmed", 100 * SATS)
    assert "not registered" in put["warning"]  # nobody could reclaim what is left

    async def has(sats: int) -> bool:  # a gate's view of a wallet may be a second old
        return await left(street) == sats * SATS

    assert await eventually(lambda: has(100))

    before = (await street.document("seller", "status"))["earnings"]
    called = await street.document("stranger", "call", street.url("/answer"), "--data", "what is it?")
    inside = json.loads(called["body"])
    assert (called["status"], called["sats"]) == (200, 7)
    assert inside == {
        "path": "/answer", "method": "POST", "body": "what is it?", "payer": street.address("stranger"), "pass": None
    }  # fmt: skip
    assert called["receipt"]["statement"]["order_id"] == called["order_id"]
    assert await eventually(lambda: has(93))

    async def earned() -> bool:
        now = (await street.document("seller", "status"))["earnings"]
        return now["earned_usat"] - before["earned_usat"] == 7 * SATS

    assert await eventually(earned)


async def test_what_fails_inside_or_costs_too_much_is_not_paid(street: Street) -> None:
    await street.reset()
    await street.document("seller", "routes", "set", "8000", "/down", "--sats", "7")
    await street.document("stranger", "deposit", "--sats", "20", "--wait")
    down = await street.say("stranger", "call", street.url("/down"))
    assert (down.code, down.document["status"], down.document["sats"], down.document["order_id"]) == (1, 503, 0, None)
    dear = await street.say("stranger", "call", street.url("/down"), "--max-sats", "6")
    assert (dear.code, dear.error["code"]) == (1, "max_sats_exceeded")


async def test_who_could_reclaim_is_not_warned(street: Street) -> None:
    put = await street.document("neighbour", "deposit", "--sats", "10", "--wait")
    assert "warning" not in put
    gift = await street.say("neighbour", "deposit", "--table", "--sats", "10", "--address", street.address("stranger"))
    assert (gift.code, "can't be reclaimed" in gift.stderr) == (0, True)


async def test_an_answer_goes_into_a_file_that_could_be_made_before_anything_was_paid(
    street: Street, tmp_path: Path
) -> None:
    await street.reset()
    await street.document("seller", "routes", "set", "8000", "/answer", "--sats", "7")
    await street.document("stranger", "deposit", "--sats", "20", "--wait")
    kept = tmp_path / "answer.json"
    called = await street.document("stranger", "call", street.url("/answer"), "--output", str(kept))
    assert (called["sats"], called["output"], called["size_bytes"]) == (7, str(kept), kept.stat().st_size)
    assert json.loads(kept.read_text())["path"] == "/answer"
    shown = await street.say("stranger", "call", "--table", street.url("/answer"), "--output", str(kept))
    assert (shown.code, shown.stdout, f"bytes in {kept}" in shown.stderr) == (0, b"", True)

    async def settled() -> int | None:
        found = await street.document("stranger", "bucket")
        return None if found["reserved_usat"] else int(found["balance_usat"])

    before = await eventually(settled)
    for unfit, code in ((tmp_path / "none" / "f", "path_not_found"), (tmp_path, "path_invalid")):
        refused = await street.say("stranger", "call", street.url("/answer"), "--output", str(unfit))
        assert (refused.code, refused.error["code"]) == (1, code)
    both = await street.say("stranger", "call", street.url("/answer"), "--raw", "--output", str(kept))
    assert (both.code, both.error["code"]) == (2, "invalid_request")
    assert os.listdir(tmp_path) == ["answer.json"]
    assert await eventually(settled) == before


async def test_nobody_waits_longer_than_they_said(street: Street) -> None:
    await street.reset()
    await street.document("seller", "routes", "set", "8000", "/slow", "--sats", "7")
    await street.document("seller", "routes", "set", "8000", "/slow-free")
    await street.document("stranger", "deposit", "--sats", "20", "--wait")
    free = await street.say("stranger", "call", street.url("/slow-free"), "--timeout", "1")
    assert (free.code, free.error["code"], free.error["funds_moved"]) == (1, "timeout", False)
    paid = await street.say("stranger", "call", street.url("/slow"), "--timeout", "1s")
    assert (paid.error["code"], paid.error["funds_moved"]) == ("ambiguous", "unknown")
    patient = await street.document("stranger", "call", street.url("/slow"), "--timeout", "1m")
    assert (patient["status"], patient["sats"]) == (200, 7)
    for wrong in ("301", "0", "soon"):
        refused = await street.say("stranger", "call", street.url("/slow"), "--timeout", wrong)
        assert (refused.code, refused.error["code"]) == (2, "invalid_request")


async def test_a_buyer_is_told_what_a_buyer_can_do(street: Street) -> None:
    await street.reset()
    await street.document("seller", "routes", "set", "9000", "/nobody-listens", "--sats", "1")
    await street.document("stranger", "deposit", "--sats", "20", "--wait")
    address = street.address("seller")
    silent = await street.say("stranger", "call", f"{address}/9000/nobody-listens")
    assert (silent.code, silent.error["funds_moved"]) == (1, False)
    assert "its owner" in silent.error["hint"]
    unsold = await street.say("stranger", "call", f"{address}/8000/unsold")
    assert (unsold.error["code"], "routes list" in unsold.error["hint"]) == ("not_found", True)
    elsewhere = await street.say("stranger", "call", "http://127.0.0.1:1/sandbox/proxy/x/1/")
    assert (elsewhere.code, elsewhere.error["code"]) == (2, "invalid_request")


async def test_routes_are_changed_one_by_one_in_their_places_and_keep_their_lists(street: Street) -> None:
    await street.reset()
    stranger, neighbour = street.address("stranger"), street.address("neighbour")
    await street.document("seller", "routes", "set", "8000", "/*", "--sats", "2")
    await street.document("seller", "routes", "set", "8000", "/few", "--sats", "3", "--caller", stranger)
    await street.document("seller", "routes", "set", "8000", "/own", "--callers", "holders")
    shown = await street.document("seller", "routes", "set", "8000", "/few", "--sats", "4", "--caller", neighbour)
    told = [(item["path"], item["sats"], item["callers"], item["addresses"]) for item in shown["items"]]
    assert told == [("/few", 4, "list", [neighbour]), ("/own", 0, "holders", []), ("/*", 2, "anyone", [])]

    again = await street.say("seller", "routes", "set", "8000", "/never", "--remove")
    assert (again.code, again.error["code"]) == (2, "invalid_request")
    listless = await street.say("seller", "routes", "set", "8000", "/x", "--callers", "list")
    assert (listless.code, listless.error["code"]) == (2, "invalid_request")
    odd = await street.say("seller", "routes", "set", "8000", "x", "--sats", "1")
    assert (odd.code, odd.error["code"]) == (2, "invalid_request")


async def test_nobody_is_told_of_routes_that_leave_them_out(street: Street) -> None:
    await street.reset()
    seller = street.address("seller")
    await street.document("seller", "routes", "set", "8000", "/open", "--sats", "1")
    await street.document("seller", "routes", "set", "8000", "/genesis", "--callers", "genesis")
    await street.document("seller", "routes", "set", "8000", "/own", "--callers", "holders")
    await street.document("seller", "routes", "set", "8000", "/few", "--caller", street.address("neighbour"))

    async def seen(agent: str) -> list[str]:
        shown = await street.document(agent, "routes", "list", seller)
        assert not any(item["addresses"] for item in shown["items"])
        assert not shown["is_whole"]
        return [item["path"] for item in shown["items"]]

    assert await seen("stranger") == ["/open"]
    await street.document("neighbour", "prove")
    assert await seen("neighbour") == ["/open", "/genesis", "/few"]
    theirs = await street.say("neighbour", "routes", "set", "8000", "/open", "--address", seller, "--remove")
    assert (theirs.code, theirs.error["code"]) == (1, "not_owner")


async def test_genesis_agents_show_their_pass_and_owners_pay_nothing(street: Street) -> None:
    await street.reset()
    await street.document("seller", "routes", "set", "8000", "/genesis", "--callers", "genesis")
    await street.document("seller", "routes", "set", "8000", "/paid", "--sats", "5")
    called = await street.document("neighbour", "call", street.url("/genesis"))
    assert (called["status"], json.loads(called["body"])["pass"]) == (200, None)
    hidden = await street.say("stranger", "call", street.url("/genesis"))
    assert (hidden.code, hidden.error["code"]) == (1, "not_found")
    own = await street.document("seller", "call", street.url("/paid"))
    assert (own["status"], own["sats"]) == (200, 0)


async def test_an_api_key_calls_without_any_key_pair(street: Street) -> None:
    await street.reset()
    await street.document("seller", "routes", "set", "8000", "/keyed", "--sats", "4")
    await street.document("neighbour", "deposit", "--sats", "50", "--wait")
    made = await street.document(
        "neighbour", "api-key", "create", "--name", "ci", "--sats-total", "9", "--scope", "call"
    )
    assert made["key"].startswith(f"sb_{street.address('neighbour')}_")
    settings = ClientSettings(street.service.gate_url, Network.TESTNET)
    async with Client(settings, api_key=made["key"]) as client:
        called = await client.call(street.url("/keyed"), method="POST", data=b"by key")
        assert (called.status, called.sats) == (200, 4)
        assert called.receipt is not None
        assert (called.receipt["statement"]["key_id"], called.order_id) == (
            made["key_id"], called.receipt["statement"]["order_id"],
        )  # fmt: skip
        assert json.loads(called.body)["payer"] == street.address("neighbour")
        assert json.loads(called.body)["pass"] is None
        with pytest.raises(SatboxError, match="max_sats_exceeded"):
            await client.call(street.url("/keyed"), max_sats=3)
        assert (await client.call(street.url("/keyed"))).sats == 4
        with pytest.raises(SatboxError, match="spending_cap"):
            await client.call(street.url("/keyed"))
        shown = await client.self_show()
        assert (shown.key.key_id, shown.address) == (made["key_id"], street.address("neighbour"))
    listed = await street.say("neighbour", "api-key", "list", "--table")
    assert (listed.code, made["key"].encode() in listed.stdout, b"9/all" in listed.stdout) == (0, False, True)
    assert (await street.document("neighbour", "api-key", "revoke", made["key_id"]))["state"] == "expired"
    async with Client(settings, api_key=made["key"]) as client:
        with pytest.raises(SatboxError, match="spending_key_invalid"):
            await client.call(street.url("/keyed"))


async def test_an_agents_name_does_for_its_address(street: Street) -> None:
    await street.reset()
    await street.document("seller", "routes", "set", "8000", "/named", "--sats", "1")
    await street.document("stranger", "deposit", "--sats", "20", "--wait")
    pair = Keystore(street.home).load("seller").mainnet  # given a name: those made from a key are shared by many
    given = {"btcAddress": pair.btc, "stxAddress": pair.stx, "displayName": "Seller Of One Street"}
    await street.service.devnet("agents", given)
    name = "seller-of-one-street"
    called = await street.document("stranger", "call", f"{name}/8000/named?x=%2F..")
    assert (called["sats"], json.loads(called["body"])["path"]) == (1, "/named?x=%2F..")
    shown = await street.document("stranger", "routes", "list", name)
    assert shown["address"] == street.address("seller")

    async with aiohttp.ClientSession() as session:
        base = f"{street.service.gate_url}/sandbox/proxy"
        async with session.get(f"{base}/{name}/8000/named", allow_redirects=False) as answer:
            assert (answer.status, answer.headers["Location"]) == (307, street.url("/named").removeprefix(base[:-14]))
        page = f"{street.service.gate_url}/agent/{name}"
        async with session.get(page, headers={"Accept": "text/html"}) as answer:
            assert (answer.status, street.address("seller") in await answer.text()) == (200, True)
        async with session.get(f"{base}/nobody-has-this/8000/named") as answer:
            assert (answer.status, (await answer.json())["error"]["code"]) == (404, "not_found")


async def test_a_page_is_made_public_and_private_again(street: Street) -> None:
    assert (await street.document("seller", "visibility", "--public"))["public"]
    assert (await street.document("seller", "visibility"))["public"]
    assert not (await street.document("seller", "visibility", "--no-public"))["public"]
    assert not (await street.document("seller", "visibility"))["public"]
