"""Paths of this machine that cannot be used: one line with a code, exit 1, never a traceback."""

import time
from pathlib import Path

import pytest
from aiohttp import web

from satbox.agent.keystore import Keystore, agent_of
from tests.cli.running import satbox
from tests.client.fake_gate import BITCOIN_KEY, STACKS_KEY, FakeGate

NOWHERE = "http://127.0.0.1:9"


@pytest.fixture
def home(tmp_path: Path) -> Path:
    folder = tmp_path / "home"
    Keystore(folder).save(agent_of("default", STACKS_KEY, BITCOIN_KEY))
    return folder


async def _stat(request: web.Request) -> web.StreamResponse:
    if request.query["path"] == "gone":
        return FakeGate.error("path_not_found")
    return web.json_response({"path": "x", "name": "x", "kind": "file", "size_bytes": 1})


async def _read(request: web.Request) -> web.StreamResponse:
    return web.Response(body=b"x")


async def _put(request: web.Request) -> web.StreamResponse:
    return web.json_response({"ok": True, "size_bytes": len(await request.read())})


async def _mkdir(request: web.Request) -> web.StreamResponse:
    return web.json_response({"ok": True})


ROUTES = (
    ("GET", "/sandbox/files/stat", _stat), ("GET", "/sandbox/files", _read), ("PUT", "/sandbox/files", _put),
    ("POST", "/sandbox/files/mkdir", _mkdir),
)  # fmt: skip


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("cp", "box:x", "/nonexistent/y"), "path_not_found"),
        (("cp", "box:x", "/proc/y"), "path_not_found"),
        (("cp", "box:x", "/etc/hostname/y"), "path_invalid"),
        (("cp", "/nonexistent/y", "box:x"), "path_not_found"),
        (("cp", "/dev/null", "box:x"), "path_invalid"),
        (("cp", "box:gone", "/tmp"), "path_not_found"),
        (("files", "write", "x", "--from", "/nonexistent/y"), "path_not_found"),
        (("files", "write", "x", "--from", "/proc"), "path_invalid"),
        (("files", "read", "x", "--output", "/nonexistent/y"), "path_not_found"),
    ],
)
async def test_a_path_that_cannot_be_used_is_one_line(home: Path, words: tuple[str, ...], code: str) -> None:
    async with FakeGate(wall_seconds=time.time).running(*ROUTES) as gate:
        ended = await satbox(*words, home=home, gate=gate.url)
    assert (ended.code, ended.error["code"], ended.stdout) == (1, code, b"")
    assert len(ended.stderr.splitlines()) == 1
    assert ended.error["hint"]


@pytest.mark.parametrize("unusable", ["/proc/satbox", "/etc/hostname", "/etc/hostname/x"])
async def test_a_home_that_cannot_be_used_is_named(unusable: str) -> None:
    made = await satbox("keygen", home=Path(unusable))
    assert (made.code, made.stdout) == (1, b"")
    assert made.error["code"] in ("path_not_found", "path_invalid")
    assert unusable in made.error["message"]
    assert "SATBOX_HOME" in made.error["hint"]
    seen = await satbox("doctor", home=Path(unusable), gate=NOWHERE)
    checks = {check["name"]: check for check in seen.document["checks"]}
    assert checks["home"]["status"] == "missing"
    assert unusable in checks["home"]["reason"]


@pytest.mark.parametrize(
    ("text", "line"),
    [(b'network = "testnet"\n[gate\nport = 1\n', 2), (b"[gate]\nport = 1\nport = 2\n", 3), (b"a = 1\n\xff = 2\n", 2)],
)
async def test_broken_settings_name_file_and_line(tmp_path: Path, text: bytes, line: int) -> None:
    (tmp_path / "satbox.toml").write_bytes(text)
    for verb in ("health", "up"):
        ended = await satbox(verb, home=tmp_path)
        assert (ended.code, ended.error["code"]) == (2, "invalid_request")
        assert ended.error["message"].startswith(f"{tmp_path}/satbox.toml, line {line}: ")
        assert len(ended.stderr.splitlines()) == 1
    seen = await satbox("doctor", home=tmp_path)
    checks = {check["name"]: check for check in seen.document["checks"]}
    assert (seen.code, checks["settings"]["status"]) == (1, "missing")


@pytest.mark.parametrize("port", ["x", "99999999", "-1"])
async def test_a_port_that_is_none_is_told(tmp_path: Path, port: str) -> None:
    (tmp_path / "satbox.toml").write_text(f'[gate]\nport = "{port}"\n')
    ended = await satbox("health", home=tmp_path)
    assert (ended.code, ended.error["code"]) == (2, "invalid_request")
    assert "gate.port" in ended.error["message"]
