"""What must be so before any test module is imported: Ray reads its environment when it is first imported, whoever does it."""

import secrets
import shutil
import tempfile
from pathlib import Path

import pytest

from satbox.ray_cluster import prepare

_FOLDER = Path(tempfile.mkdtemp(prefix="sbray"))
RAY_TOKEN = _FOLDER / "token"
RAY_TOKEN.write_text(secrets.token_hex(32))
RAY_TOKEN.chmod(0o600)
prepare(RAY_TOKEN)


def pytest_unconfigure(config: pytest.Config) -> None:
    """Leave nothing behind."""
    shutil.rmtree(_FOLDER, ignore_errors=True)
