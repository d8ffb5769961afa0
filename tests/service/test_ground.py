"""What is missing is said in one line before anything is started."""

import socket
from pathlib import Path

import pytest

from operations.errors import SatboxError
from satbox.ground import check
from satbox.settings import DevnetSection, GateSection, Settings


def settings(home: Path, gate: int = 0, devnet: int = 0) -> Settings:
    return Settings(home=home, gate=GateSection(port=gate), devnet=DevnetSection(port=devnet))


def test_a_usable_machine_passes(tmp_path: Path) -> None:
    check(settings(tmp_path / "home"))

    assert (tmp_path / "home").stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("part", ["gate", "devnet"])
def test_a_taken_port_is_refused_by_name_even_when_its_owner_would_share(tmp_path: Path, part: str) -> None:
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = int(other.getsockname()[1])
        with pytest.raises(SatboxError) as refused:
            check(settings(tmp_path, **{part: port}))

    assert refused.value.code == "cannot_start"
    assert str(port) in refused.value.message
    assert f"SATBOX_{part.upper()}__PORT" in refused.value.hint


def test_a_home_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for home in (Path("/proc/nope"), tmp_path / "file" / "home"):
        with pytest.raises(SatboxError, match="state folder"):
            check(settings(home))


def test_a_missing_tool_is_named_with_its_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("satbox.ground.SYSTEM_FOLDERS", (str(tmp_path),))
    with pytest.raises(SatboxError) as refused:
        check(settings(tmp_path))

    assert "bwrap" in refused.value.message
    assert "apt-get install bubblewrap" in refused.value.hint
