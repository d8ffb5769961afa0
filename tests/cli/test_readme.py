"""What the README says of size classes, settings and ports is what the code has."""

import re
import tomllib
from pathlib import Path

import pytest

from gate.settings import RATES_USAT
from sandboxes.node.settings import NodeSettings
from sandboxes.size_classes import GIB, MIB, SIZE_CLASSES
from satbox.cli.parser import EPILOG
from satbox.settings import Settings

README = (Path(__file__).resolve().parents[2] / "README.md").read_text()


def test_the_table_of_size_classes_is_what_is_sold() -> None:
    rows = re.findall(
        r"^\| `(\w+)`[^|]*\|([^|]*)\|([^|]*)\|([^|]*)\|([^|]*)\|([^|]*)\|([^|]*)\|([^|]*)\|$", README, re.M
    )
    told = {name: [cell.strip() for cell in cells] for name, *cells in rows}

    assert told.keys() == SIZE_CLASSES.keys()
    for name, limits in SIZE_CLASSES.items():
        rate = RATES_USAT[name]
        assert told[name] == [
            f"{limits.cpu_percent / 100:g}", _bytes(limits.memory_bytes), _bytes(limits.disk_bytes), str(limits.processes),
            f"{limits.egress_bytes_per_second / MIB:g} MiB/s", f"{rate / 1e6:g}", f"{rate * 3600 / 1e6:g}",
        ]  # fmt: skip


def _bytes(count: int) -> str:
    return f"{count // GIB} GiB" if count % GIB == 0 else f"{count // MIB} MiB"


def test_the_allow_list_is_one_that_a_node_takes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (found,) = re.findall(r"```toml\n(\[node\.egress\].*?)```", README, re.S)
    (tmp_path / "satbox.toml").write_text(found)
    monkeypatch.setenv("SATBOX_HOME", str(tmp_path))
    egress = NodeSettings.model_validate(Settings().node).egress

    assert "*" in egress.allowed("SP", "medium")
    assert egress.allowed("SP", "nano") == tuple(tomllib.loads(found)["node"]["egress"]["allow"])


def test_the_names_of_home_and_ports_work_and_are_in_the_help(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("HOME", str(tmp_path)), ("GATE__PORT", "5020"), ("DEVNET__PORT", "5021")):
        monkeypatch.setenv(f"SATBOX_{name}", value)
        assert f"SATBOX_{name}" in README
        assert f"SATBOX_{name}" in EPILOG
    settings = Settings()

    assert (settings.home, settings.gate.port, settings.devnet.port) == (tmp_path, 5020, 5021)
