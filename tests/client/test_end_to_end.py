"""Client and command line against the real thing: signatures, payments, sandboxes."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from operations.errors import SatboxError
from satbox import Client, SyncClient
from satbox.agent.keystore import Agent, Keystore
from satbox.client import ClientSettings
from tests.cli.running import Ended, satbox
from tests.client.conftest import RunningService

pytestmark = [pytest.mark.ray, pytest.mark.sandbox]


async def command(service: RunningService, agent: str, *words: str, stdin: bytes = b"") -> Ended:
    environment = {**service.environment, "SATBOX_AGENT": agent}
    return await satbox(*words, home=service.home, stdin=stdin, environment=environment)


async def registered(service: RunningService, name: str, level: int = 2) -> Agent:
    for words in (("keygen",), ("register", "--level", str(level)), ("faucet",)):
        ended = await command(service, name, *words)
        assert ended.code == 0, ended.stderr
    return Keystore(service.home).load(name)


def settings_for(service: RunningService) -> ClientSettings:
    return ClientSettings(service.gate, stacks_api=f"{service.devnet}/stacks")


async def test_the_story_from_the_command_line(service: RunningService, tmp_path: Path) -> None:
    await registered(service, "story")

    async def run(*words: str, stdin: bytes = b"", code: int = 0) -> Any:
        ended = await command(service, "story", *words, stdin=stdin)
        assert ended.code == code, (words, ended.stderr)
        return ended.document if ended.stdout else ended.error

    assert (await run("quote", "--sats", "500"))["offers"][0]["asset"] == "sBTC"
    assert (await run("prove"))["level"] == 2
    created = await run("create", "--sats", "500", "--wait")
    assert (created["status"], created["sandbox"]["state"]) == ("confirmed", "alive")
    assert (await run("payment", created["paymentId"]))["status"] == "confirmed"
    assert (await run("create", "--sats", "500", code=1))["code"] == "already_exists"
    assert (await run("exec", "echo $((6*7))"))["stdout"] == "42\n"
    assert (await run("exec", "-i", "cat", stdin=b"in\n"))["stdout"] == "in\n"
    await run("exec", "exit 5", code=5)
    await run("exec", "kill -9 $$", code=137)
    await run("exec", "--timeout-seconds", "0.3", "sleep 20", code=124)
    tree = tmp_path / "tree"
    (tree / "deep").mkdir(parents=True)
    (tree / "a.bin").write_bytes(bytes(range(256)) * 100)
    (tree / "deep" / "b.txt").write_text("b")
    assert (await run("cp", str(tree), "box:copy"))["files"] == 2
    assert (await run("cp", "box:copy", str(tmp_path / "back")))["files"] == 2
    assert (tmp_path / "back" / "a.bin").read_bytes() == (tree / "a.bin").read_bytes()
    assert (tmp_path / "back" / "deep" / "b.txt").read_text() == "b"
    assert (await run("cp", str(tree), "box:copy"))["files"] == 2  # into it, now that it is there
    assert (await run("cp", str(tree), "box:copy"))["files"] == 2  # and over it
    assert (await run("files", "read", "copy/tree/deep/b.txt"))["content"] == "b"
    await run("files", "mkdir", "new/er")
    assert (await run("files", "write", "new/c.txt", stdin=b"c" * 10))["size_bytes"] == 10
    assert (await run("files", "read", "new/c.txt"))["content"] == "c" * 10
    assert {entry["name"] for entry in (await run("files", "list", "."))["entries"]} >= {"copy", "new"}
    assert (await run("files", "stat", "copy"))["kind"] == "directory"
    await run("files", "move", "new/c.txt", "new/d.txt")
    await run("files", "delete", "copy")
    assert (await run("files", "read", "copy/a.bin", code=1))["code"] == "path_not_found"
    extended = await run("extend", "--sats", "100", "--asset", "STX", "--sponsored", "--wait")
    assert extended["payment"]["asset"] == "STX"
    await run("operator", "rate", created["sandbox"]["address"], "30000")
    assert (await run("status", "--fresh"))["rate_usat_per_second"] == 30_000
    ledger = await run("ledger")
    assert sum(sum(item["postings"].values()) for item in ledger["items"]) == 0
    assert (await run("meter", "explain"))["matches"]
    events = await command(service, "story", "events")
    assert {json.loads(line)["type"] for line in events.stdout.splitlines()} >= {"payment", "deposit"}
    assert (await run("reap"))["state"] == "reaped"
    assert (await run("exec", "true", code=125))["code"] == "sandbox_reaped"
    assert (await run("wake"))["state"] in ("alive", "grace")
    assert (await run("files", "read", "new/d.txt"))["content"] == "c" * 10
    assert (await run("health"))["status"] == "ok"
    assert "satbox_requests_total" in (await run("metrics"))["text"]
    assert (await run("revoke"))["pass_epoch"] >= 1
    assert (await run("status"))["address"] == created["sandbox"]["address"]  # proven anew
    assert (await run("reap", "--destroy", "--yes"))["state"] == "reaped"


async def test_a_level_below_genesis_is_refused(service: RunningService) -> None:
    await registered(service, "novice", level=1)
    ended = await command(service, "novice", "prove")
    assert (ended.code, ended.error["code"], ended.error["details"]["current_level"]) == (1, "level_too_low", 1)


async def test_doctor_checks_the_running_service(service: RunningService) -> None:
    ended = await command(service, "story", "doctor")
    checks = {check["name"]: check["status"] for check in ended.document["checks"]}
    for name in ("gate", "sandbox node", "clock", "key files", "home"):
        assert checks[name] == "ok", ended.document


async def test_a_lost_answer_is_answered_again_by_the_real_gate(service: RunningService) -> None:
    """The very same bytes, presented again after the payment went through, are credited once."""
    agent = await registered(service, "lost")
    async with Client(settings_for(service), agent=agent) as client:
        real = client._transport.send
        answers = 0

        async def losing(*arguments: Any, **options: Any) -> Any:
            nonlocal answers
            answer = await real(*arguments, **options)
            if "payment-signature" in options["headers"]:
                answers += 1
                if answers < 3:
                    from satbox.client.transport import Lost

                    raise Lost(client.settings.gate_url, "lost on purpose", was_sent=True)
            return answer

        client._transport.send = losing  # type: ignore[method-assign]
        paid = await client.create(sats=300, max_sats=300)
        assert answers == 3
        await client.wait_confirmed(paid.paymentId)
        status = await client.status(fresh=True)
        assert status.deposited_usat == 300_000_000
        assert client.open_payments() == []
        await client.reap()


async def test_streams_and_the_blocking_client(service: RunningService) -> None:
    agent = await registered(service, "streams")
    async with Client(settings_for(service), agent=agent) as client:
        await client.create(sats=300, max_sats=300)
        output = [e async for e in client.exec_stream(shell="echo out; echo err >&2; exit 3")]
        assert b"".join(e.data for e in output if e.kind == "stdout") == b"out\n"
        assert b"".join(e.data for e in output if e.kind == "stderr") == b"err\n"
        assert output[-1].result is not None
        assert output[-1].result.exit_code == 3
        seen: list[int] = []
        async for event in client.events():
            seen.append(event.seq)
            if event.type == "deposit":
                break
        assert seen == sorted(set(seen))

    def blocking() -> None:
        with SyncClient(settings_for(service), agent=agent) as same:
            assert same.exec(shell="echo sync").stdout == "sync\n"
            assert [e.kind for e in same.exec_stream(argv=["true"])] == ["started", "exit"]
            assert next(same.events()).seq == 1
            with pytest.raises(SatboxError) as caught:
                same.extend(sats=500, max_sats=499)
            assert caught.value.code == "max_sats_exceeded"
            same.reap()

    await asyncio.to_thread(blocking)
