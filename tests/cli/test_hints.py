"""Errors in words of the command line: no HTTP, every detail with its name, usage errors exit 2."""

import argparse
import re
import time
from pathlib import Path

import pytest
from aiohttp import web

from operations.errors import ERRORS
from satbox.agent.keystore import Keystore, agent_of
from satbox.cli._commands import COMMANDS
from satbox.cli.errors import detail_lines, exit_code_of
from satbox.cli.hints import ON_DEVNET, hint_for
from satbox.cli.local_verbs import LOCAL, LOCAL_GROUPS
from satbox.cli.parser import build
from tests.cli.running import satbox
from tests.client.fake_gate import BITCOIN_KEY, STACKS_KEY, FakeGate, entry, required

NOWHERE = "http://127.0.0.1:9"
VERB = re.compile(r"satbox ((?:files )?[a-z-]+)")


@pytest.fixture
def home(tmp_path: Path) -> Path:
    Keystore(tmp_path).save(agent_of("default", STACKS_KEY, BITCOIN_KEY))
    return tmp_path


@pytest.mark.parametrize("is_devnet", [True, False])
@pytest.mark.parametrize("code", list(ERRORS))
def test_no_hint_speaks_http(code: str, is_devnet: bool) -> None:
    hint = hint_for(code, ERRORS[code].hint, is_devnet=is_devnet)
    assert hint
    for word in ("POST", "GET /", "/sandbox/", "/gate/", "/openapi", "accepts", "payTo", "`", "header", "Client("):
        assert word not in hint


def test_hints_are_for_codes_and_name_verbs_that_there_are() -> None:
    assert set(ON_DEVNET) <= set(ERRORS)
    hints = [*(kind.on_cli for kind in ERRORS.values()), *ON_DEVNET.values()]
    named = {verb for text in hints for verb in VERB.findall(text)}
    assert named >= {"create", "extend", "wake", "faucet", "register", "resume"}
    for verb in named:
        with pytest.raises(SystemExit) as caught:
            build().parse_args([*verb.split(), "--help"])
        assert caught.value.code == 0


def test_a_hint_made_for_the_case_is_kept() -> None:
    assert hint_for("not_found", "Make one: satbox keygen.", is_devnet=True) == "Make one: satbox keygen."
    assert hint_for("ambiguous", "Do not pay again: poll checkStatusUrl.", is_devnet=True) == ERRORS["ambiguous"].on_cli


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("pair_not_registered", ("satbox register", "ten seconds")),
        ("level_too_low", ("satbox register --level 2",)),
        ("wallet_not_found", ("satbox create",)),
    ],
)
async def test_a_devnets_refusal_names_the_verb_that_helps(home: Path, code: str, words: tuple[str, ...]) -> None:
    async def refuse(request: web.Request) -> web.StreamResponse:
        return FakeGate.error(code)

    async with FakeGate(wall_seconds=time.time).running(("GET", "/sandbox/ledger", refuse)) as gate:
        ended = await satbox("ledger", home=home, gate=gate.url)
        table = await satbox("ledger", "--table", home=home, gate=gate.url)
    assert (ended.code, ended.error["code"]) == (1, code)
    for word in words:
        assert word in ended.error["hint"]
        assert word in table.stderr


def test_every_line_of_details_has_a_name() -> None:
    assert detail_lines("sandbox_reaped", {"reason": "requested", "owed_usat": 1_500_000}) == [
        "reason: its owner stopped it (satbox reap)", "owed: 1.500000 sats",
    ]  # fmt: skip
    assert detail_lines("invalid_request", {"fields": [{"field": "a.b", "problem": "no"}], "request_id": "r"}) == [
        "a.b: no"
    ]
    assert detail_lines("asset_not_offered", {"offered": ["STX", "sBTC"], "x": None, "reason": ""}) == [
        "offered: STX, sBTC"
    ]
    assert (
        len(detail_lines("internal", {str(n): "x" * 10_000 for n in range(100)})) <= 8 + 1
    )  # and a line that says how many more


async def test_an_asset_that_is_not_offered_is_told_with_those_that_are(home: Path) -> None:
    offers = required(entry(500)) | {"error": "Pay one. Not offered now: USDCx: no price is known"}
    async with FakeGate(wall_seconds=time.time, offers=offers).running() as gate:
        ended = await satbox("create", "--asset", "USDCx", "--table", home=home, gate=gate.url)
    assert ended.code == 1
    assert "USDCx is not offered now; offered: sBTC." in ended.stderr
    assert "reason: USDCx: no price is known" in ended.stderr


async def test_the_stacks_api_that_does_not_answer_is_named(home: Path) -> None:
    async with FakeGate(wall_seconds=time.time).running() as gate:
        ended = await satbox("create", "--stacks-api", NOWHERE, home=home, gate=gate.url)
    assert (ended.code, ended.error["code"]) == (3, "unreachable")
    assert NOWHERE in ended.error["message"]
    assert "--stacks-api" in ended.error["hint"]
    assert "SATBOX_STACKS_API" in ended.error["hint"]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("create", "--satz", "5"), "did you mean --sats?"),
        (("create", "--satz=5"), "did you mean --sats?"),
        (("files", "list", ".", "--jsno"), "did you mean --json?"),
        (("status", "--zzzzz"), "'--zzzzz' is not known"),
        (("health", "more"), "'more' is not known"),
        (("create", "--sats", "0"), "sats"),
        (("create", "--asset", "DOGE"), "sBTC"),
        (("quote", "--seconds", "0"), "seconds"),
        (("exec", "--timeout-seconds", "0", "ls"), "timeout_seconds"),
        (("health", "--gate", "notaurl"), "'notaurl' is not the address of a gate"),
        (("status", "--gate", "ftp://x"), "'ftp://x' is not the address of a gate"),
        (("health", "--gate", "http://x:99999999"), "is not the address of a gate"),
        (("mcp", "--max-sats", "-1"), "--max-sats"),
    ],
)
async def test_what_does_not_fit_is_named_and_exits_2(home: Path, words: tuple[str, ...], told: str) -> None:
    ended = await satbox(*words, home=home, gate=NOWHERE)
    assert (ended.code, ended.error["code"], ended.stdout) == (2, "invalid_request", b"")
    assert told in ended.error["message"]
    if "did you mean" in told:
        assert ended.error["hint"] == f"See satbox {' '.join(words[:2] if words[0] == 'files' else words[:1])} --help."


def test_exit_codes_follow_the_error() -> None:
    assert exit_code_of("invalid_request", False) == 2
    assert exit_code_of("path_not_found", False) == 1
    assert exit_code_of("unreachable", False) == 3
    assert exit_code_of("invalid_request", "unknown") == 4


def _parsers() -> list[argparse.ArgumentParser]:
    found = [build()]
    for parser in found:
        for action in parser._actions:
            if isinstance(action, argparse._SubParsersAction):
                found.extend(action.choices.values())
    return found


def test_no_help_text_speaks_http_and_every_option_has_one() -> None:
    for parser in _parsers():
        text = parser.format_help().replace("streamable HTTP", "")  # a transport of the tools, by its name
        if parser.prog == "satbox secrets set":
            text = text.replace("header", "")  # what such a secret is
        if parser.prog in ("satbox call", "satbox routes set"):
            continue  # calls are requests, and their options are the words for one
        assert not re.search(r"\b(402|HTTP|GET|POST|header|server-sent)\b", text), parser.prog
        for action in parser._actions:
            if not isinstance(action, argparse._SubParsersAction):
                assert action.help, (parser.prog, action.dest)


def test_help_fits_80_columns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    for parser in _parsers():
        assert max(len(line) for line in parser.format_help().splitlines()) <= 80, parser.prog
    verbs = [line for line in build().format_help().splitlines() if re.match(r" {4}[a-z-]+ {2,}", line)]
    assert len(verbs) == len(LOCAL) + len({*LOCAL_GROUPS, *(command.words[0] for command in COMMANDS)})
    assert all(command.summary for command in COMMANDS)


async def test_listing_without_a_path_lists_the_workspace(home: Path) -> None:
    asked: list[str] = []

    async def listing(request: web.Request) -> web.StreamResponse:
        asked.append(request.query["path"])
        return web.json_response({"path": request.query["path"], "entries": []})

    async with FakeGate(wall_seconds=time.time).running(("GET", "/sandbox/files/list", listing)) as gate:
        for words in (("files", "list"), ("files", "list", "d")):
            assert (await satbox(*words, home=home, gate=gate.url)).code == 0
    assert asked == ["/workspace", "d"]
