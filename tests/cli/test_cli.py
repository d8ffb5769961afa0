"""The command line against a gate that does as it is told: output, errors, exit codes."""

import asyncio
import json
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st

from satbox.agent.keystore import Keystore, agent_of
from satbox.cli.context import devnet_of
from satbox.cli.output import cell_text, sats_text, tables
from satbox.cli.sandbox.status import balance_now
from satbox.settings import DevnetSection, GateSection, Settings
from satbox.up import to_export
from stacks import PrivateKey
from tests.cli.running import satbox, satbox_on_terminal
from tests.client.fake_gate import BITCOIN_KEY, NETWORK, STACKS_KEY, FakeGate, entry, required


@pytest.fixture
def home(tmp_path: Path) -> Path:
    Keystore(tmp_path).save(agent_of("default", STACKS_KEY, BITCOIN_KEY))
    return tmp_path


@given(st.integers(-(10**18), 10**18))
def test_sats_are_exact_text(usat: int) -> None:
    whole, _, part = sats_text(usat).replace(",", "").partition(".")
    assert len(part) == 6
    sign = -1 if whole.startswith("-") else 1
    assert sign * (abs(int(whole)) * 1_000_000 + int(part)) == usat


@given(st.integers(0, 10**15), st.integers(0, 10**9), st.integers(0, 10**9), st.integers(0, 10**9))
def test_a_shown_balance_only_falls_and_stops_at_nothing(balance: int, rate: int, early: int, later: int) -> None:
    first, second = sorted((early, later))
    assert balance >= balance_now(balance, rate, first) >= balance_now(balance, rate, second) >= 0


@pytest.mark.parametrize(
    ("stacks_api", "devnet"),
    [
        ("http://127.0.0.1:5021/stacks", "http://127.0.0.1:5021"),
        ("http://localhost:5021/stacks/", "http://localhost:5021"),
        ("http://127.0.0.1:5021", None),
        ("https://stacks.example/stacks", None),
        ("http://[/stacks", None),
        (None, None),
    ],
)
def test_the_devnet_is_where_its_stacks_api_is(stacks_api: str | None, devnet: str | None) -> None:
    assert devnet_of(stacks_api) == devnet


def test_a_service_elsewhere_says_what_to_export(tmp_path: Path) -> None:
    moved = Settings(home=tmp_path / "a b", gate=GateSection(port=5020), devnet=DevnetSection(port=5021))
    usual = Settings(home=Path.home() / ".satbox")
    urls = "http://127.0.0.1:5020", "http://127.0.0.1:5021/stacks"

    assert to_export(moved, *urls) == [
        f"export SATBOX_HOME='{tmp_path / 'a b'}'", f"export SATBOX_GATE={urls[0]} SATBOX_STACKS_API={urls[1]}"
    ]  # fmt: skip
    assert to_export(usual, *urls) == []


def test_a_long_word_is_shown_whole(capsys: pytest.CaptureFixture[str]) -> None:
    word = "http://127.0.0.1:4020/" + "x" * 120
    tables({"state": "alive", "url": word})

    assert word in capsys.readouterr().out.splitlines()


def test_values_are_shown_by_their_name() -> None:
    assert cell_text("balance_usat", 12_500_000) == "12.500000 sats"
    assert cell_text("rate_usat_per_second", 20_000) == "0.020000 sats/s"
    assert cell_text("mode", 0o644) == "0644"
    assert cell_text("postings", {"bucket": -1, "burnt": 1, "owed": 0}) == "bucket -0.000001, burnt 0.000001"
    assert cell_text("seconds_left", 3_725.9) == "1 h 2 min"


async def test_help_imports_nothing_heavy(tmp_path: Path) -> None:
    heavy = ("ray", "bitcoinlib", "aiohttp", "pydantic", "mcp", "rich", "cryptography")
    code = (
        "import sys; from satbox.cli.main import outcome; outcome([]);"
        f"print([name for name in {heavy!r} if name in sys.modules], file=sys.stderr)"
    )
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", code, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    out, err = await process.communicate()
    assert b"VERB" in out
    assert err.decode().strip() == "[]"


async def test_keygen_shows_addresses_and_never_keys(tmp_path: Path) -> None:
    made = await satbox("keygen", "alice", home=tmp_path)
    assert made.code == 0
    kept = Keystore(tmp_path).load("alice")
    assert made.document["testnet"] == {"stx": kept.testnet.stx, "btc": kept.testnet.btc}
    assert kept.stacks_key.secret.hex() not in made.stdout.decode() + made.stderr
    again = await satbox("keygen", "alice", home=tmp_path)
    assert (again.code, again.error["code"], again.stdout) == (1, "already_exists", b"")


async def test_a_challenge_of_another_time_is_not_signed(home: Path) -> None:
    async with FakeGate().running() as gate:
        ended = await satbox("status", home=home, gate=gate.url)
    assert (ended.code, ended.error["code"], ended.stdout) == (1, "challenge_invalid", b"")


async def test_create_pays_and_prints_one_document(home: Path) -> None:
    async with FakeGate(wall_seconds=time.time).running() as gate:
        ended = await satbox("create", "--sats", "500", home=home, gate=gate.url)
        assert (ended.code, ended.document["status"], gate.signed) == (0, "mempool", 1)
        table = await satbox("status", "--table", home=home, gate=gate.url)
        assert table.code == 0
        assert b"500.000000 sats" in table.stdout
        assert gate.proofs == 1  # the pass outlives the process


async def test_max_sats_is_what_was_named(home: Path) -> None:
    async with FakeGate(wall_seconds=time.time, offers=required(entry(501))).running() as gate:
        ended = await satbox("create", "--sats", "500", home=home, gate=gate.url)
    assert (ended.code, ended.error["code"], gate.signed) == (1, "max_sats_exceeded", 0)


async def test_an_ambiguous_payment_has_its_own_code_and_is_resumed(home: Path) -> None:
    async with FakeGate(wall_seconds=time.time, script=["again"]).running() as gate:
        ended = await satbox("create", "--sats", "500", home=home, gate=gate.url)
        assert (ended.code, ended.error["code"], ended.error["funds_moved"]) == (4, "ambiguous", "unknown")
        gate.script = ["paid"]
        resumed = await satbox("resume", home=home, gate=gate.url)
        assert (resumed.code, resumed.document["resumed"], gate.signed) == (0, 1, 1)


async def test_an_interrupted_payment_is_not_forgotten(home: Path) -> None:
    async with FakeGate(script=["hang", "paid"], wall_seconds=time.time).running() as gate:
        env = {**os.environ, "SATBOX_HOME": str(home), "SATBOX_GATE": gate.url, "SATBOX_STACKS_API": gate.url}
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", "from satbox.cli import main; main()", "create", "--sats", "500",
            env=env, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        await asyncio.wait_for(gate.hanging.wait(), 30)
        process.send_signal(signal.SIGINT)
        _, err = await process.communicate()
        assert process.returncode == 4
        assert json.loads(err)["error"]["code"] == "ambiguous"
        resumed = await satbox("resume", home=home, gate=gate.url)
        assert (resumed.code, resumed.document["resumed"], gate.signed) == (0, 1, 1)


async def test_unreachable_has_its_own_code(home: Path) -> None:
    ended = await satbox("health", home=home, gate="http://127.0.0.1:9")
    assert (ended.code, ended.error["code"]) == (3, "unreachable")
    human = await satbox("health", "--table", home=home, gate="http://127.0.0.1:9")
    assert human.code == 3
    assert human.stderr.startswith("satbox: unreachable: ")
    _, gate, reason, hint = human.stderr.splitlines()
    assert gate.strip() == "gate: http://127.0.0.1:9"
    assert reason.strip().startswith("reason: ")
    assert "satbox doctor" in hint


@pytest.mark.parametrize(
    "words",
    [
        ("statsu",), ("create", "--sats", "x"), ("create", "--nope"), ("files",), ("files", "move", "a"), ("exec",),
        ("cp", "a", "b"), ("cp", "box:a", "box:b"), ("reap", "--destroy"), ("create", "--environment", "novalue"),
        ("create", "--size-class", "huge"), ("prove", "--challenge", "x"),
    ],
)  # fmt: skip
async def test_what_does_not_fit_is_told_before_anything_is_sent(home: Path, words: tuple[str, ...]) -> None:
    ended = await satbox(*words, home=home, gate="http://127.0.0.1:9")
    assert (ended.code, ended.error["code"], ended.stdout) == (2, "invalid_request", b"")


EXITS: list[tuple[dict[str, Any], int]] = [
    ({"exit_code": 0}, 0),
    ({"exit_code": 3}, 3),
    ({"signal": 9}, 137),
    ({"signal": 9, "timed_out": True}, 124),
]


@pytest.mark.parametrize(("end", "code"), EXITS)
async def test_exec_exits_as_the_command_did(home: Path, end: dict[str, Any], code: int) -> None:
    asked: list[dict[str, Any]] = []

    async def serve(request: web.Request) -> web.StreamResponse:
        body = await request.json()
        asked.append(body)
        result = {"stdout": "hi\n", **end}
        if not body["stream"]:
            return web.json_response(result)
        events = [
            {"event": "started"},
            {"event": "stdout", "data": "hi\n"},
            {"event": "stderr", "data": "", "data_base64": "/w=="},
            {"event": "exit", **end},
        ]
        text = "".join(f"event: {e['event']}\ndata: {json.dumps(e)}\n\n" for e in events)
        return web.Response(text=text, content_type="text/event-stream")

    async with FakeGate(wall_seconds=time.time).running(("POST", "/sandbox/exec", serve)) as gate:
        one = await satbox("exec", "echo hi | cat", home=home, gate=gate.url)
        assert (one.code, one.document["stdout"]) == (code, "hi\n")
        raw = await satbox("exec", "--raw", "-i", "ls", "-la", "--json", home=home, gate=gate.url, stdin=b"in")
        assert (raw.code, raw.stdout) == (code, b"hi\n")
    assert asked[0]["shell"] == "echo hi | cat"
    assert asked[1]["argv"] == ["ls", "-la", "--json"]
    assert asked[1]["stdin"] == "aW4="


async def test_raw_output_is_whole_or_its_exit_code_says_that_it_is_not(home: Path) -> None:
    asked: list[dict[str, Any]] = []

    async def serve(request: web.Request) -> web.StreamResponse:
        asked.append(await request.json())
        dropped = 0 if asked[-1].get("output_limit_bytes") is None else 5
        end = {"event": "exit", "exit_code": 0, "truncated": {"stdout_bytes_dropped": dropped}}
        text = "".join(
            f"event: {e['event']}\ndata: {json.dumps(e)}\n\n" for e in ({"event": "stdout", "data": "x"}, end)
        )
        return web.Response(text=text, content_type="text/event-stream")

    async with FakeGate(wall_seconds=time.time).running(("POST", "/sandbox/exec", serve)) as gate:
        whole = await satbox("exec", "--raw", "cat big", home=home, gate=gate.url)
        cut = await satbox("exec", "--raw", "--output-limit-bytes", "1", "cat big", home=home, gate=gate.url)
    assert "output_limit_bytes" not in asked[0], "without a limit of its own a stream has none"
    assert (whole.code, whole.stdout) == (0, b"x")
    assert (cut.code, cut.stdout) == (123, b"x")
    assert "stdout was cut by 5 bytes" in cut.stderr


async def test_exec_that_never_ran_is_told_apart(home: Path) -> None:
    async def serve(request: web.Request) -> web.StreamResponse:
        return FakeGate.error("sandbox_reaped")

    async with FakeGate(wall_seconds=time.time).running(("POST", "/sandbox/exec", serve)) as gate:
        ended = await satbox("exec", "true", home=home, gate=gate.url)
    assert (ended.code, ended.error["code"]) == (125, "sandbox_reaped")


async def test_a_command_that_is_silent_for_a_while_shows_nothing_odd(home: Path) -> None:
    async def serve(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        for event in ({"event": "started"}, {"event": "stdout", "data": "late\n"}, {"event": "exit", "exit_code": 0}):
            await response.write(b": still here\n\n")
            await response.write(f"event: {event['event']}\ndata: {json.dumps(event)}\n\n".encode())
        return response

    async with FakeGate(wall_seconds=time.time).running(("POST", "/sandbox/exec", serve)) as gate:
        code, shown = await satbox_on_terminal("exec", "sleep 1; echo late", home=home, gate=gate.url)
    assert (code, shown) == (0, "late\n")


async def test_tools_say_what_they_are_for_when_nobody_talks_to_them(home: Path) -> None:
    ended = await satbox("mcp", home=home, gate="http://127.0.0.1:9")
    assert (ended.code, ended.stdout) == (0, b"")
    assert "Model Context Protocol" in ended.stderr
    assert "satbox mcp --help" in ended.stderr


async def test_operators_verbs_use_the_operators_token(home: Path) -> None:
    seen: list[str] = []

    async def serve(request: web.Request) -> web.StreamResponse:
        seen.append(request.headers["Authorization"])
        return FakeGate.error("wallet_not_found")

    address = str(PrivateKey(bytes(31) + b"\x01").address(NETWORK))
    async with FakeGate(wall_seconds=time.time).running(("POST", "/operator/rate", serve)) as gate:
        without = await satbox("operator", "rate", address, "5", home=home, gate=gate.url)
        assert (without.code, without.error["code"]) == (1, "operator_only")
        (home / "keys").mkdir()
        (home / "keys" / "operator.token").write_text("secret\n")
        await satbox("operator", "rate", address, "5", home=home, gate=gate.url)
    assert seen == ["Bearer secret"]


async def test_doctor_fails_when_there_is_no_gate(home: Path) -> None:
    ended = await satbox("doctor", home=home, gate="http://127.0.0.1:9")
    checks = {check["name"]: check for check in ended.document["checks"]}
    assert (ended.code, ended.document["ok"], checks["gate"]["status"]) == (1, False, "missing")
    assert checks["gate"]["hint"]
    assert checks["python"]["status"] == "ok"
    assert checks["agent"]["status"] == "ok"


async def test_doctor_sees_exposed_keys(home: Path) -> None:
    (home / "agents" / "default.json").chmod(0o644)
    ended = await satbox("doctor", home=home, gate="http://127.0.0.1:9")
    checks = {check["name"]: check for check in ended.document["checks"]}
    assert checks["key files"]["status"] == "missing"
