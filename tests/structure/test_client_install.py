"""The wheel, installed with what it asks for and nothing else, is a whole client; and says so when asked for the service."""

import asyncio
import json
import os
import re
import subprocess
import sys
import time
import venv
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from mcp import Client as McpClient
from mcp import StdioServerParameters
from mcp.client.stdio import stdio_client
from packaging.requirements import Requirement

from gate.parts.receipts import ReceiptSigner
from operations.catalogue import REGISTRY
from operations.surfaces import Tool
from satbox.agent.keystore import Keystore, agent_of
from satbox.extras import INSTALL_SERVER, SERVER_MODULES
from tests.client.fake_gate import BITCOIN_KEY, STACKS_KEY, FakeGate
from tests.structure.imports import ROOT

SECONDS_MAX = 600
STATUS = """
from satbox import SyncClient
from satbox.agent.keystore import Keystore
from satbox.client.settings import ClientSettings
from satbox.home import default_home
import os
gate = ClientSettings(gate=os.environ["SATBOX_GATE"], stacks_api=os.environ["SATBOX_GATE"])
with SyncClient(gate, agent=Keystore(default_home()).load("default")) as client:
    print(client.sandbox_status().state)
"""


@dataclass(frozen=True)
class Install:
    """An environment with the wheel in it."""

    python: Path

    def run(self, *words: str, home: Path, gate: str = "") -> "subprocess.CompletedProcess[str]":
        """Python of that environment, away from this project's folder."""
        env = {name: os.environ[name] for name in ("PATH", "LANG", "TMPDIR") if name in os.environ}
        env |= {"SATBOX_HOME": str(home), "HOME": str(home)}
        if gate:
            env |= {"SATBOX_GATE": gate, "SATBOX_STACKS_API": gate}
        return subprocess.run(
            [self.python, *words], env=env, cwd=home, capture_output=True, text=True, timeout=SECONDS_MAX
        )

    def satbox(self, *words: str, home: Path, gate: str = "") -> "subprocess.CompletedProcess[str]":
        return self.run(str(self.python.parent / "satbox"), *words, home=home, gate=gate)

    def document(self, *words: str, home: Path, gate: str = "") -> Any:
        ended = self.satbox(*words, home=home, gate=gate)
        assert ended.returncode == 0, ended.stderr
        return json.loads(ended.stdout)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run([sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", folder], cwd=ROOT, check=True)
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module", params=["linked", pytest.param("pip", marks=pytest.mark.nightly)])
def install(request: pytest.FixtureRequest, wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Install:
    folder = tmp_path_factory.mktemp("client")
    if request.param == "pip":
        return installed_by_pip(folder, wheel)
    return linked(folder, wheel)


def installed_by_pip(folder: Path, wheel: Path) -> Install:
    """As users do it, from the registry."""
    venv.create(folder, with_pip=True)
    python = folder / "bin" / "python"
    for words in (("install", "-q", str(wheel)), ("check",)):
        subprocess.run([python, "-m", "pip", *words], check=True, timeout=SECONDS_MAX)
    return Install(python)


def linked(folder: Path, wheel: Path) -> Install:
    """The same without a network: the wheel unpacked, and links to those packages of this environment that it asks for."""
    venv.create(folder, with_pip=False)
    python = folder / "bin" / "python"
    (site,) = folder.glob("lib/python*/site-packages")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(site)
    (own,) = metadata.distributions(path=[str(site)])
    for distribution in required_by(own):
        for top in {file.parts[0] for file in distribution.files or () if file.parts[0] not in ("..", "__pycache__")}:
            if not (site / top).exists():
                (site / top).symlink_to(Path(str(distribution.locate_file(top))).resolve())
    (script,) = own.entry_points.select(group="console_scripts")
    module, _, function = script.value.partition(":")
    (folder / "bin" / script.name).write_text(f"from {module} import {function}\n{function}()\n")
    return Install(python)


def required_by(distribution: metadata.Distribution) -> Iterator[metadata.Distribution]:
    """All that an installer would add for it without extras."""
    seen: set[tuple[str, frozenset[str]]] = set()
    waiting = [(distribution, frozenset[str]())]
    while waiting:
        one, extras = waiting.pop()
        for text in one.requires or ():
            wanted = Requirement(text)
            if wanted.marker and not any(wanted.marker.evaluate({"extra": extra}) for extra in extras | {""}):
                continue
            key = (wanted.name.lower(), frozenset(wanted.extras))
            if key not in seen:
                seen.add(key)
                found = metadata.distribution(wanted.name)
                yield found
                waiting.append((found, key[1]))


@pytest.fixture
def home(tmp_path: Path) -> Path:
    Keystore(tmp_path).save(agent_of("default", STACKS_KEY, BITCOIN_KEY))
    return tmp_path


def test_it_has_nothing_of_the_service(install: Install, home: Path) -> None:
    script = "import sys, json; from importlib.util import find_spec as f; print(json.dumps([bool(f(n)) for n in sys.argv[1:]]))"
    found = json.loads(install.run("-c", script, *SERVER_MODULES, "satbox", "aiohttp", home=home).stdout)
    assert found == [False] * len(SERVER_MODULES) + [True, True]


def test_it_says_its_version_and_makes_keys(install: Install, tmp_path: Path) -> None:
    assert install.satbox("--version", home=tmp_path).stdout.strip() == "0.1.0"
    made = install.document("keygen", home=tmp_path)
    assert Path(made["path"]).stat().st_mode & 0o077 == 0
    assert Keystore(tmp_path).load("default").public()["mainnet"] == made["mainnet"]


@pytest.mark.parametrize("verb", ["up", "demo", "images ls", "images build python", "images inspect x", "images rm x"])
def test_verbs_of_the_service_say_what_is_missing(install: Install, home: Path, verb: str) -> None:
    before = sorted(home.rglob("*"))
    ended = install.satbox(*verb.split(), home=home)
    error = json.loads(ended.stderr)["error"]
    assert (ended.returncode, error["code"], error["hint"]) == (1, "cannot_start", INSTALL_SERVER)
    assert "ray" in error["message"]
    assert sorted(home.rglob("*")) == before


def test_doctor_looks_at_the_client_alone(install: Install, home: Path) -> None:
    ended = install.satbox("doctor", home=home, gate="http://127.0.0.1:9")
    checks = {check["name"]: check for check in json.loads(ended.stdout)["checks"]}
    assert set(checks) == {"python", "home", "settings", "key files", "agent", "service", "gate"}
    assert {name for name, check in checks.items() if check["status"] == "missing"} == {"gate"}
    assert INSTALL_SERVER in checks["service"]["hint"]


async def test_it_asks_and_pays(install: Install, home: Path) -> None:
    async with FakeGate(wall_seconds=time.time).running() as gate:

        async def run(*words: str) -> Any:
            return await asyncio.to_thread(install.document, *words, home=home, gate=gate.url)

        assert (await run("prove"))["level"] == 2
        assert (await run("status"))["state"] == "alive"
        assert (await run("create", "--sats", "500"))["status"] == "mempool"
        assert gate.signed == 1
        ended = await asyncio.to_thread(install.run, "-c", STATUS, home=home, gate=gate.url)
        assert (ended.stdout.strip(), ended.stderr) == ("alive", "")


async def test_it_serves_the_tools(install: Install, home: Path) -> None:
    async with FakeGate(wall_seconds=time.time).running() as gate:
        server = StdioServerParameters(
            command=str(install.python), args=[str(install.python.parent / "satbox"), "mcp"], cwd=str(home),
            env={"SATBOX_HOME": str(home), "SATBOX_GATE": gate.url, "SATBOX_STACKS_API": gate.url},
        )  # fmt: skip
        async with McpClient(stdio_client(server)) as client:
            listed = {tool.name for tool in (await client.list_tools()).tools}
            status = await client.call_tool("satbox_status", {})
    assert {operation.tool.name for operation in REGISTRY.values() if isinstance(operation.tool, Tool)} <= listed
    assert not status.is_error


def test_it_checks_what_an_operator_signed(install: Install, home: Path) -> None:
    signer = ReceiptSigner(Ed25519PrivateKey.from_private_bytes(bytes(32)))
    (home / "r.json").write_text(signer.sign({"kind": "other", "wallet": "ST1"}).model_dump_json())
    key = ("--key", signer.public_key)
    held = install.satbox("verify", "receipt", "r.json", *key, home=home)
    (home / "r.json").write_text((home / "r.json").read_text().replace("ST1", "ST2"))
    forged = install.satbox("verify", "receipt", "r.json", *key, home=home)
    assert "signature" not in held.stdout
    assert "signature" in forged.stdout
    assert forged.returncode == 1
    digest = install.document("hash", "sha256", "0x616263", home=home)
    assert "ba7816bf" in json.dumps(digest)


def test_the_genesis_gate_works_from_it(install: Install, home: Path) -> None:
    ended = install.run("-m", "gate.genesis.example", home=home)
    assert ended.returncode == 0, ended.stderr
    assert "challenge_replayed" in ended.stdout
    where = install.run("-c", "import gate.genesis as g; print(g.__path__[0])", home=home).stdout.strip()
    assert Path(where).is_relative_to(install.python.parents[1])
    page = (Path(where) / "README.md").read_text()
    assert re.search(r"python -m gate\.genesis\.example", page)
    assert "pip install satbox" in page
