"""What must hold before a service is started: rights, tools, free ports. Each lack is one line that says what to do."""

import os
import shutil
import socket
from pathlib import Path

from operations.errors import SatboxError
from satbox.settings import Settings

SYSTEM_FOLDERS = ("/usr/local/sbin", "/usr/sbin", "/sbin")
"""Where Debian keeps mkfs and mount's helpers; an ordinary user's PATH lacks them."""


def check(settings: Settings) -> None:
    """Raises cannot_start for the first thing that is missing."""
    os.environ["PATH"] = os.pathsep.join([os.environ.get("PATH", ""), *SYSTEM_FOLDERS])
    if os.geteuid() != 0:
        raise _lack("Sandboxes are made by root, and this is an ordinary user.", "Run it as root: sudo ./dev up")
    for tool, package in (("bwrap", "bubblewrap"), ("mkfs.ext4", "e2fsprogs"), ("mount", "mount")):
        if shutil.which(tool) is None:
            raise _lack(f"{tool} is not installed.", f"apt-get install {package}")
    _check_home(settings.home)
    if settings.devnet.enabled:
        _check_port("127.0.0.1", settings.devnet.port, "SATBOX_DEVNET__PORT")
    _check_port(settings.gate.host, settings.gate.port, "SATBOX_GATE__PORT")


def _lack(message: str, hint: str) -> SatboxError:
    return SatboxError("cannot_start", message, hint=hint)


def _check_home(home: Path) -> None:
    try:
        home.mkdir(parents=True, exist_ok=True, mode=0o700)
        probe = home / f".probe-{os.getpid()}"
        probe.write_bytes(b"")
        probe.unlink()
    except OSError as error:
        hint = "Set SATBOX_HOME to a folder that can be written."
        raise _lack(f"The state folder {home} cannot be used: {error.strerror}.", hint) from error


def _check_port(host: str, port: int, setting: str) -> None:
    """Two services must never share a port: a caller would reach, and pay, either one."""
    if port == 0:
        return
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise _lack(
                f"{host}:{port} cannot be used: {error.strerror}.", f"Set {setting} to another port."
            ) from error
