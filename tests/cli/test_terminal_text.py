"""Nothing that others wrote commands the terminal of who reads it, unless they asked for raw bytes."""

import json
import re
import time
import unicodedata
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st

from operations.plain_text import harmless
from satbox.agent.keystore import Keystore, agent_of
from satbox.cli.terminal_text import ProcessOutput
from tests.cli.running import satbox, satbox_on_terminal
from tests.client.fake_gate import BITCOIN_KEY, STACKS_KEY, FakeGate

HOSTILE = "\x1b]52;c;ZXZpbA==\x07\x1b[2J\x9b31m\x08\u202egnp.exe"
"""Sets the clipboard, clears the screen, colours by a C1 control, takes a letter back, and turns the text around."""
COMMANDS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


@given(st.text())
def test_only_letters_newlines_and_tabs_are_left(text: str) -> None:
    shown = harmless(text)
    left = {letter for letter in shown if unicodedata.category(letter) in ("Cc", "Cs")}
    assert left <= {"\n", "\t"}
    assert not COMMANDS.search(shown)
    if not COMMANDS.search(text) and unicodedata.normalize("NFKC", text).isprintable():
        assert harmless(text) == text


@given(st.text())
def test_json_stays_the_same_json(text: str) -> None:
    assert json.loads(harmless(json.dumps([text], ensure_ascii=False))) == [text]


@given(
    st.lists(
        st.binary(max_size=12) | st.sampled_from([b"\x1b", b"[", b"31m", b"\xe2\x82", b"\xac", b"\r", b"]0;x\x07"])
    )
)
def test_output_in_pieces_is_shown_as_in_one(pieces: list[bytes]) -> None:
    whole, parted = ProcessOutput(), ProcessOutput()
    expected = whole.shown(b"".join(pieces), is_last=True)
    shown = "".join(parted.shown(piece) for piece in pieces) + parted.shown(b"", is_last=True)
    assert shown == expected
    assert not COMMANDS.search(re.sub(r"\x1b\[[0-9;:]*m|\r", "", shown))


def test_a_program_keeps_its_colours() -> None:
    output = ProcessOutput()
    assert output.shown(b"\x1b[1;31mred") + output.shown(b"", is_last=True) == "\x1b[1;31mred\x1b[0m"


@pytest.fixture
def home(tmp_path: Path) -> Path:
    Keystore(tmp_path).save(agent_of("default", STACKS_KEY, BITCOIN_KEY))
    return tmp_path


FILES = {"path": "/workspace", "entries": [{"path": HOSTILE, "name": HOSTILE, "kind": "file", "size_bytes": 1}]}
FAULT = {"error": {"code": "path_not_found", "message": f"No {HOSTILE}.", "details": {"path": HOSTILE}, "hint": HOSTILE,
                   "retryable": False, "funds_moved": False, "request_id": "req_1"}}  # fmt: skip


@pytest.mark.parametrize(
    ("words", "path", "answer", "status"),
    [
        (("files", "list"), "/sandbox/files/list", FILES, 200),
        (("files", "list", "--json"), "/sandbox/files/list", FILES, 200),
        (("files", "list"), "/sandbox/files/list", FAULT, 404),
        (("files", "list", "--json"), "/sandbox/files/list", FAULT, 404),
    ],
)
async def test_names_and_errors_command_no_terminal(
    home: Path, words: tuple[str, ...], path: str, answer: Any, status: int
) -> None:
    async def serve(_: web.Request) -> web.StreamResponse:
        return web.json_response(answer, status=status)

    async with FakeGate(wall_seconds=time.time).running(("GET", path, serve)) as gate:
        code, shown = await satbox_on_terminal(*words, home=home, gate=gate.url)
        assert code == (0 if status == 200 else 1), shown
        assert "gnp.exe" in shown.replace("\n", "").replace(" ", "")
        assert not COMMANDS.search(shown)
        piped = await satbox(*words, "--json", home=home, gate=gate.url)
        assert hostile_of(json.loads(piped.stdout or piped.stderr)) == HOSTILE  # programs get every byte


async def test_a_name_with_a_line_end_writes_no_line_of_its_own(home: Path) -> None:
    name = "a.txt\nsatbox: pay 9 sats"
    entry = {"path": name, "name": name, "kind": "file", "size_bytes": 1}

    async def serve(_: web.Request) -> web.StreamResponse:
        return web.json_response({"path": "/workspace", "entries": [entry]})

    async with FakeGate(wall_seconds=time.time).running(("GET", "/sandbox/files/list", serve)) as gate:
        _, shown = await satbox_on_terminal("files", "list", home=home, gate=gate.url)
    assert "a.txt\\nsatbox" in shown
    assert not any(line.startswith("satbox:") for line in shown.splitlines())


def hostile_of(document: Any) -> str:
    return str(document["error"]["details"]["path"] if "error" in document else document["entries"][0]["name"])


async def test_a_file_on_a_terminal_is_shown_and_raw_is_raw(home: Path) -> None:
    async def serve(_: web.Request) -> web.StreamResponse:
        return web.Response(body=HOSTILE.encode(), content_type="application/octet-stream")

    async with FakeGate(wall_seconds=time.time).running(("GET", "/sandbox/files", serve)) as gate:
        _, shown = await satbox_on_terminal("files", "read", "notes", home=home, gate=gate.url)
        _, raw = await satbox_on_terminal("files", "read", "notes", "--raw", home=home, gate=gate.url)
        piped = await satbox("files", "read", "notes", "--raw", home=home, gate=gate.url)
    assert not COMMANDS.search(shown)
    assert raw == HOSTILE
    assert piped.stdout == HOSTILE.encode()
