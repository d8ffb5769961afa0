"""A client install has none of the packages that only a service needs: nothing of the client may import one."""

import subprocess
import sys
import tomllib
from importlib.metadata import packages_distributions

import pytest

from satbox.extras import SERVER_MODULES, missing_server_modules
from tests.structure.imports import ROOT, closure, modules

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
OF_THE_SERVICE = ("satbox.cli.service.running", "satbox.cli.service.images")
"""Modules of verbs that a client install refuses; `service` holds `mcp` as well, which imports the tools alone."""
LIBRARIES = ("gate.genesis", "satbox.agent", "satbox.client", "satbox.mcp_server")
CLIENT = [name for name in sorted(modules()) if name.startswith((*LIBRARIES, "satbox.audit", "satbox.cli"))]
REFUSING = """
import importlib, sys
class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in refused:
            raise ModuleNotFoundError(f"{name} is of the service", name=name)
refused = set(sys.argv[1].split(","))
sys.meta_path.insert(0, Refuse())
for name in sys.argv[2:]:
    importlib.import_module(name)
print(*sorted(sys.modules))
"""
CORE = {"operations", "satbox", "stacks"}
CORE_OF_OTHERS = {"gate", "relay_client", "relay_client.http", "relay_client.models", "relay_client.orders"}


def imported(refused: tuple[str, ...], *names: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-c", REFUSING, ",".join(refused), *names], cwd=ROOT, capture_output=True, text=True
    )


def test_every_module_of_the_client_imports_without_the_service() -> None:
    ended = imported(SERVER_MODULES, *CLIENT)
    assert ended.returncode == 0, ended.stderr
    loaded = set(ended.stdout.split())
    assert set(CLIENT) <= loaded
    assert {name.partition(".")[0] for name in loaded} & set(SERVER_MODULES) == set()


@pytest.mark.parametrize(
    "module", ["satbox.settings", "actors.on_ray.call", "actors.on_ray.steady_scheduler", "oracle.book"]
)
def test_the_refusal_refuses(module: str) -> None:
    ended = imported(SERVER_MODULES, module)
    assert ended.returncode != 0
    assert "is of the service" in ended.stderr


def test_nothing_that_the_client_imports_later_is_of_the_service() -> None:
    _, foreign = closure(name for name in CLIENT if name not in OF_THE_SERVICE)
    assert {name: by for name, by in foreign.items() if name in SERVER_MODULES} == {}


def test_client_tools_and_genesis_gate_take_no_part_of_the_service() -> None:
    ours, _ = closure(name for name in modules() if name.startswith(LIBRARIES) and name != "satbox.generate")
    others = {name for name in ours if name.partition(".")[0] not in CORE and not name.startswith("gate.genesis")}
    assert others <= CORE_OF_OTHERS | {"relay_client"}


def test_the_extra_is_what_the_verbs_look_for() -> None:
    distributions = packages_distributions()
    wanted = {requirement.split(">")[0] for requirement in PROJECT["optional-dependencies"]["server"]}
    assert {distributions[name][0].lower().replace("_", "-") for name in SERVER_MODULES} == wanted
    assert missing_server_modules() == []
