"""Where state is kept on this machine: an agent's keys and passes, and a service's wallets."""

import os
from pathlib import Path


def default_home() -> Path:
    """`SATBOX_HOME`, or `.satbox` in the user's home."""
    return Path(os.environ.get("SATBOX_HOME") or Path.home() / ".satbox")
