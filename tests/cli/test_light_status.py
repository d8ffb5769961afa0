"""`satbox status` by a kept pass: what the client would say, without it; and by the client where something is not usual."""

import asyncio
import json
import os
import sys
import time
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import pytest
from aiohttp import web

from satbox.agent.keystore import Keystore, agent_of
from tests.cli.running import ITSELF, Ended, satbox
from tests.client.fake_gate import BITCOIN_KEY, STACKS_KEY, FakeGate, status_of

HEAVY = ("aiohttp", "asyncio", "pydantic", "stacks")
COMMAND = (
    "import sys; from satbox.cli.main import outcome; code = outcome(sys.argv[1:]); "
    f"print([name for name in {HEAVY} if name in sys.modules]); sys.exit(code)"
)
PASSED = ["fresh", "address"]


@pytest.fixture
def home(tmp_path: Path) -> Path:
    Keystore(tmp_path).save(agent_of("default", STACKS_KEY, BITCOIN_KEY))
    return tmp_path


class Gate:
    """Answers a status as told, and keeps what it was asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str | None]] = []
        self.answers: list[web.Response] = []

    async def serve(self, request: web.Request) -> web.StreamResponse:
        self.asked.append((request.path_qs, request.headers.get("Authorization")))
        if self.answers:
            return self.answers.pop(0)
        return web.json_response(status_of("ST" + "T" * 39).model_dump(mode="json"))

    def running(self, fake: FakeGate) -> AbstractAsyncContextManager[FakeGate]:
        return fake.running(("GET", "/sandbox/status", self.serve))


async def loaded(*words: str, home: Path, gate: str) -> list[str]:
    """Which heavy modules a command's process had at its end."""
    environment = {**os.environ, "SATBOX_HOME": str(home), "SATBOX_GATE": gate}
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", COMMAND, *words, env=environment, stdout=asyncio.subprocess.PIPE
    )
    out, _ = await process.communicate()
    assert process.returncode == 0
    found: list[str] = json.loads(out.decode().splitlines()[-1].replace("'", '"'))
    return found


async def test_a_kept_pass_needs_no_client_and_says_the_same(home: Path) -> None:
    gate, fake = Gate(), FakeGate(wall_seconds=time.time)
    async with gate.running(fake):
        by_client = await satbox("status", "--fresh", "--json", home=home, gate=fake.url)
        light = await satbox("status", "--fresh", "--json", home=home, gate=fake.url)
        table = await satbox("status", "--table", home=home, gate=fake.url)
        heavy = await loaded("status", home=home, gate=fake.url)

    assert fake.proofs == 1
    assert (light.code, light.document) == (0, by_client.document)
    assert gate.asked[0] == gate.asked[1], "the same request"
    assert "500.000000" in table.stdout.decode()
    assert heavy == []


async def test_a_watch_for_people_in_a_pipe_is_a_line_each_second(home: Path) -> None:
    """A line that is rewritten is a terminal's; in a pipe it showed nothing until the end, and then never came."""
    gate, fake = Gate(), FakeGate(wall_seconds=time.time)
    async with gate.running(fake), asyncio.timeout(60):
        environment = {**os.environ, "SATBOX_HOME": str(home), "SATBOX_GATE": fake.url}
        words = (*ITSELF, "status", "--watch", "--table")
        process = await asyncio.create_subprocess_exec(*words, env=environment, stdout=asyncio.subprocess.PIPE)
        assert process.stdout is not None
        lines = [await process.stdout.readline() for _ in range(2)]
        process.terminate()
        await process.wait()

    for line in lines:
        assert b"alive  500.000000 sats" in line, line


@pytest.mark.parametrize(
    "answer",
    [
        web.json_response({"error": {"code": "pass_revoked", "message": "x", "retryable": False}}, status=401),
        web.Response(status=502, text="<html>"),
        web.Response(status=302, headers={"Location": "http://127.0.0.1:1/"}),
        web.Response(text="no json"),
        web.json_response(["a list"]),
        web.Response(body=b" " * (1 << 21), content_type="application/json"),
    ],
    ids=["revoked", "bad gateway", "redirect", "text", "list", "huge"],
)
async def test_what_is_not_usual_is_the_client_s(home: Path, answer: web.Response) -> None:
    gate, fake = Gate(), FakeGate(wall_seconds=time.time)
    async with gate.running(fake):
        assert (await satbox("status", home=home, gate=fake.url)).code == 0
        gate.answers.append(answer)
        ended: Ended = await satbox("status", home=home, gate=fake.url)
    assert (ended.code, ended.document["state"]) == (0, "alive")
    assert len(gate.asked) == 3


async def test_a_pass_of_another_gate_network_or_agent_is_not_shown(home: Path) -> None:
    Keystore(home).save(agent_of("other", STACKS_KEY, BITCOIN_KEY))
    gate, fake = Gate(), FakeGate(wall_seconds=time.time)
    other, other_fake = Gate(), FakeGate(wall_seconds=time.time)
    async with gate.running(fake), other.running(other_fake):
        assert (await satbox("status", home=home, gate=fake.url)).code == 0
        assert (await satbox("status", home=home, gate=other_fake.url)).code == 0
        assert (await satbox("status", "--agent", "other", home=home, gate=fake.url)).code == 0
    assert (fake.proofs, other_fake.proofs) == (2, 1)


async def test_settings_that_cannot_be_read_are_named(home: Path) -> None:
    (home / "satbox.toml").write_text("gate = [")
    ended = await satbox("status", home=home)
    assert (ended.code, ended.error["code"]) == (2, "invalid_request")
