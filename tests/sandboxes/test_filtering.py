"""The filter loaded from inside: it holds for the process and what it starts, and nothing goes on without it."""

import subprocess
import sys
from pathlib import Path

import pytest

from sandboxes.node.seccomp import SeccompUnavailable, compile_filter

LOAD = "import sys; from sandboxes.supervisor.filtering import load_filter; load_filter(sys.argv[1]); print('loaded', flush=1); "
# The parent speaks once its child has ended, so that their lines do not mix.
TRY = (
    "import os, ctypes; os.fork() and os.wait(); "
    "print(ctypes.CDLL(None, use_errno=True).unshare(0x10000000), ctypes.get_errno(), flush=True)"
)
ROOT = Path(__file__).resolve().parents[2]


def run(path: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", LOAD + TRY, str(path)], cwd=ROOT, capture_output=True, text=True, check=False, timeout=60
    )


def test_a_loaded_filter_holds_for_children_too(tmp_path: Path) -> None:
    try:
        (tmp_path / "filter").write_bytes(compile_filter())
    except SeccompUnavailable as error:
        pytest.skip(str(error))

    done = run(tmp_path / "filter")

    assert done.stdout.splitlines() == ["loaded", "-1 1", "-1 1"], done.stderr


@pytest.mark.parametrize("content", [None, b"", b"\xff" * 64])
def test_without_a_filter_nothing_goes_on(tmp_path: Path, content: bytes | None) -> None:
    if content is not None:
        (tmp_path / "filter").write_bytes(content)

    done = run(tmp_path / "filter")

    assert (done.stdout, done.returncode) == ("", 1)
    assert "Error" in done.stderr
