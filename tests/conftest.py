"""What must be so before any test module is imported: Ray reads its environment when it is first imported, whoever does it."""

import secrets
import shutil
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from xdist.scheduler import LoadScopeScheduling

from satbox.ray_cluster import prepare
from tests.cpu_times import CpuTimes

settings.register_profile("satbox", deadline=None)  # a busy machine is no finding
settings.load_profile("satbox")

_FOLDER = Path(tempfile.mkdtemp(prefix="sbray"))
RAY_TOKEN = _FOLDER / "token"
RAY_TOKEN.write_text(secrets.token_hex(32))
RAY_TOKEN.chmod(0o600)
prepare(RAY_TOKEN)


def pytest_unconfigure(config: pytest.Config) -> None:
    """Leave nothing behind."""
    shutil.rmtree(_FOLDER, ignore_errors=True)


TOGETHER = ("service", "clients", "pages")
"""Folders whose files share a running service: one worker takes the whole folder, and the service ends with it."""
FIRST = (
    *TOGETHER,
    "simulator/test_runs.py",
    "client/test_end_to_end.py",
    "actors/test_calls_hosted.py",
    "actors/test_contract.py",
)
"""What takes longest, so that no worker begins it when the others are done."""


SLOW_FOLDERS = (*TOGETHER, "simulator")
SLOW_FILES = frozenset(
    {
        "actors/test_contract.py", "actors/test_wallet_stateful.py", "audit/test_home.py", "client/test_mcp.py",
        "gate/test_edges.py", "gate/test_paid_answers.py", "gate/test_till_attacked.py", "gate/test_wake_links.py",
        "gate/test_calls_unknown.py", "relay_client/test_fault_table.py", "relay_client/test_free_riders.py",
        "relay_client/test_settlements.py", "relay_client/test_settlements_live.py", "stacks/test_hostile_bytes.py",
        "stacks/test_verify_commands.py", "stacks/test_verify_routes.py",
    }
)  # fmt: skip
"""What `--fast` leaves out beside whatever starts Ray or real sandboxes: the files that take longest."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """`--fast`, for while one works: a few minutes in place of the whole suite."""
    parser.addoption(
        "--fast", action="store_true", help="leave out what starts Ray, sandboxes, browsers or foreign clients"
    )
    parser.addoption("--cpu", action="store_true", help="say how many CPU seconds each file took")


def pytest_configure(config: pytest.Config) -> None:
    """Count CPU where it is asked for."""
    if config.getoption("--cpu"):
        config.pluginmanager.register(CpuTimes())


def _is_slow(item: pytest.Item) -> bool:
    path = item.nodeid.partition("::")[0].removeprefix("tests/")
    is_marked = item.get_closest_marker("ray") is not None or item.get_closest_marker("sandbox") is not None
    return is_marked or path in SLOW_FILES or path.partition("/")[0] in SLOW_FOLDERS


def _group(nodeid: str) -> str:
    """Which tests one worker takes one after another: those of a file, or of a folder of `TOGETHER`."""
    path = nodeid.partition("::")[0].removeprefix("tests/")
    folder = path.partition("/")[0]
    return folder if folder in TOGETHER else path


class OneWorkerForEachGroup(LoadScopeScheduling):
    """xdist 3.8's own `loadgroup` writes groups into node ids where pytest 9.2 does not look: each test goes its own way."""

    def _split_scope(self, nodeid: str) -> str:
        return _group(nodeid)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> OneWorkerForEachGroup:
    """How tests are given to workers."""
    return OneWorkerForEachGroup(config, log)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Say which groups come first, and leave out what `--fast` does without."""
    if config.getoption("--fast"):
        config.hook.pytest_deselected(items=[item for item in items if _is_slow(item)])
        items[:] = [item for item in items if not _is_slow(item)]
    place = {name: number for number, name in enumerate(FIRST)}
    items.sort(key=lambda item: place.get(_group(item.nodeid), len(FIRST)))
