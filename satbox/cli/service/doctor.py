"""`satbox doctor`: what this machine and the service lack, each with what to do about it."""

import asyncio
import http.client
import json
import os
import shutil
import socket
import ssl
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from satbox.cli.context import Context
from satbox.cli.errors import OK, REFUSED
from satbox.cli.output import show
from satbox.extras import INSTALL_SERVER, lacks_server, missing_server_modules

TOOLS = {"bwrap": "bubblewrap", "mkfs.ext4": "e2fsprogs", "mount": "mount", "newuidmap": "uidmap"}
CLOCK_SECONDS_MAX = 30.0
ANSWER_SECONDS_MAX = 5.0
ANSWER_BYTES_MAX = 1 << 20
PORTS = {"http": 80, "https": 443}
OK_STATUS = 200


@dataclass(frozen=True, slots=True)
class Check:
    """One finding: ok, missing (a failure) or note (worth knowing)."""

    name: str
    status: str
    reason: str = ""
    hint: str = ""


def _check(name: str, problem: str | None, hint: str, *, is_note: bool = False) -> Check:
    if problem is None:
        return Check(name, "ok")
    return Check(name, "note" if is_note else "missing", problem, hint)


async def doctor(context: Context) -> int:
    """Run every check; exit 1 when one fails."""
    checks = await asyncio.to_thread(lambda: list(_checks(context)))
    healthy = all(check.status != "missing" for check in checks)
    show(context, {"ok": healthy, "checks": [asdict(check) for check in checks]})
    return OK if healthy else REFUSED


def _checks(context: Context) -> Iterator[Check]:
    old = None if sys.version_info >= (3, 11) else f"this is {sys.version.split()[0]}"
    yield _check("python", old, "Install Python 3.11 or newer.")
    home_problem = _folder_problem(context.home)
    yield _check("home", home_problem, f"chmod 700 {context.home}; or set SATBOX_HOME to a folder of your own.")
    settings_problem = _settings_problem(context)
    yield _check("settings", settings_problem, "Correct satbox.toml.")
    if home_problem is None:
        yield from _keys(context)
    missing = missing_server_modules()
    if missing:
        yield Check("service", "note", lacks_server(missing), f"To run one here: {INSTALL_SERVER}.")
    else:
        yield from _service(context.home / "run")
    if settings_problem is None:
        yield from _gate(context.gate)
    if settings_problem is None and not missing:
        yield _port_origins(context.gate_setting("public_url") or context.gate, context.gate_setting("ports_host"))


def _service(run: Path) -> Iterator[Check]:
    """What a service on this machine needs, and how the one that runs does."""
    for tool, package in TOOLS.items():
        missing = None if _found(tool) else f"{tool} is not installed"
        yield _check(f"package {package}", missing, f"apt-get install {package}")
    seccomp = None if _library("libseccomp.so.2") else "libseccomp.so.2 is not installed"
    yield _check("package libseccomp2", seccomp, "apt-get install libseccomp2")
    yield from _node(run / "node.sock")
    yield from _ray(run / "ray.json")


def _folder_problem(home: Path) -> str | None:
    """Tries, instead of asking: what a folder's mode allows is not all there is (read-only mounts, /proc)."""
    try:
        if not home.exists():
            parent = next(folder for folder in home.parents if folder.exists())
            with tempfile.TemporaryDirectory(prefix=".satbox-doctor-", dir=parent):
                return None
        if not home.is_dir():
            return f"{home} is not a folder"
        with tempfile.TemporaryDirectory(prefix=".satbox-doctor-", dir=home):
            return f"{home} can be written by others" if home.stat().st_mode & 0o022 else None
    except OSError as error:
        return f"{home} cannot be used: {error.strerror}"


def _settings_problem(context: Context) -> str | None:
    from operations.errors import SatboxError

    try:
        context.check_settings()
        _ = context.gate, context.devnet
    except SatboxError as error:
        return error.message
    return None


def _keys(context: Context) -> Iterator[Check]:
    secrets = [*(context.home / "keys").glob("*"), *(context.home / "agents").glob("*.json")]
    exposed = [str(path) for path in secrets if path.is_file() and path.stat().st_mode & 0o077]
    problem = f"others can read {', '.join(exposed)}" if exposed else None
    yield _check("key files", problem, f"chmod 600 {' '.join(exposed)}")
    has_agent = (context.home / "agents" / f"{context.agent_name}.json").exists()
    problem = None if has_agent else f"there are no keys for the agent {context.agent_name!r}"
    yield _check("agent", problem, "satbox keygen", is_note=True)


def _found(tool: str) -> bool:
    return shutil.which(tool) is not None or any(Path(folder, tool).exists() for folder in ("/usr/sbin", "/sbin"))


def _library(name: str) -> bool:
    return any(path for folder in ("/lib", "/usr/lib") for path in Path(folder).glob(f"*-linux-*/{name}*")) or any(
        Path(folder, name).exists() for folder in ("/lib64", "/usr/lib64", "/lib", "/usr/lib")
    )


class _UnixConnection(http.client.HTTPConnection):
    """HTTP over a unix socket."""

    def __init__(self, path: Path) -> None:
        super().__init__("node", timeout=ANSWER_SECONDS_MAX)
        self._path = path

    def connect(self) -> None:
        """Connect to the socket's path instead of a host."""
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(ANSWER_SECONDS_MAX)
        self.sock.connect(str(self._path))


def _asked(make: Callable[[], http.client.HTTPConnection], path: str) -> tuple[Any, str | None]:
    """A JSON answer and its Date header. Raises OSError or ValueError."""
    connection = make()
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        return json.loads(response.read(ANSWER_BYTES_MAX)), response.headers.get("Date")
    except http.client.HTTPException as error:
        raise ValueError(str(error)) from error
    finally:
        connection.close()


def _node(path: Path) -> Iterator[Check]:
    if not path.exists():
        yield Check("sandbox node", "note", "no node runs here", "satbox up")
        return
    try:
        report, _ = _asked(lambda: _UnixConnection(path), "/v1/doctor")
        checks, driver, unsupported = report["checks"], str(report["driver"]), report["unsupported"]
        running = f"driver {driver}, cgroups {report['cgroup_kind']}"
    except (OSError, ValueError, KeyError, TypeError) as error:
        yield Check("sandbox node", "missing", f"it does not answer: {error}", "Restart satbox up; see its log.")
        return
    yield Check("sandbox node", "ok", running)
    for item in unsupported:
        reason = f"driver {driver} does not offer it: {item['reason']}"
        yield Check(f"node {item['feature']}", "note", reason, "Another driver may: see design/sandbox.md.")
    for check in checks:
        # The node refuses to start without what it requires: the rest is worth knowing, not a failure.
        problem = None if check["status"] == "ok" else str(check["reason"])
        yield _check(f"node {check['name']}", problem, "See design/threat-model.md.", is_note=True)


def _ray(path: Path) -> Iterator[Check]:
    if not path.exists():
        yield Check("ray", "note", "no cluster runs here", "satbox up")
        return
    exposed = sorted(set(_exposed_ray_ports()))
    problem = f"it listens beyond this machine on {', '.join(exposed[:8])}" if exposed else None
    yield _check("ray on loopback", problem, "Bind it to 127.0.0.1, or keep its ports behind a firewall.")


def _exposed_ray_ports() -> Iterator[str]:
    """Listening sockets of Ray's processes that are not on loopback."""
    inodes: set[str] = set()
    for process in Path("/proc").glob("[0-9]*"):
        try:
            command = (process / "cmdline").read_bytes()
            if not any(word in command for word in (b"raylet", b"gcs_server", b"ray::")):
                continue
            for link in (process / "fd").iterdir():
                target = os.readlink(link)
                if target.startswith("socket:["):
                    inodes.add(target[8:-1])
        except OSError:
            continue  # it ended, or is somebody else's
    for name, loopback in (("tcp", "0100007F"), ("tcp6", "00000000000000000000000001000000")):
        mapped = "0000000000000000FFFF00000100007F"
        for line in Path(f"/proc/net/{name}").read_text().splitlines()[1:]:
            fields = line.split()
            address, _, port = fields[1].partition(":")
            if fields[3] == "0A" and fields[9] in inodes and address not in (loopback, mapped):
                yield str(int(port, 16))


def _gate(url: str) -> Iterator[Check]:
    parts = urlsplit(url)

    def connect() -> http.client.HTTPConnection:
        kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        return kind(parts.hostname or "", parts.port, timeout=ANSWER_SECONDS_MAX)

    try:
        health, date = _asked(connect, f"{parts.path.rstrip('/')}/health")
        states = dict(health["parts"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        yield Check("gate", "missing", f"{url} does not answer: {error}", "satbox up, or name another with --gate.")
        return
    broken = "; ".join(f"{part}: {state}" for part, state in states.items() if state != "ok")
    yield _check("gate", broken or None, "See the log of satbox up.")
    if date is not None:
        yield _clock(date)


def _port_origins(public_url: str, ports_host: str | None) -> Check:
    """Whether browsers reach the origins of ports: a wildcard name, and by https a certificate for it."""
    from gate.wire.port_origins import LAPTOP, default_host

    name, parts = "ports' own origins", urlsplit(public_url)
    host = default_host(public_url) if ports_host is None else ports_host
    if not host:
        hint = "Give the gate a name (gate.public_url) or set gate.ports_host; see design/ports.md."
        return Check(name, "note", "pages behind ports expose share the gate's origin, and most do not work", hint)
    if host == LAPTOP:
        return Check(name, "ok")
    probe, port = f"1-doctor.{host}", parts.port or PORTS.get(parts.scheme, 80)
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    connection = kind(probe, port, timeout=ANSWER_SECONDS_MAX)
    try:
        connection.request("GET", "/health")
        if connection.getresponse().status == OK_STATUS:  # the gate's own answer; at a port's host it has none
            hint = "Have it pass Host on unchanged; see design/ports.md."
            return Check(name, "note", f"the reverse proxy does not pass the host {probe} on", hint)
    except ssl.SSLCertVerificationError as error:
        return Check(name, "note", f"no certificate for *.{host}: {error.verify_message}", f"Get one for *.{host}.")
    except socket.gaierror:
        return Check(name, "note", f"*.{host} has no address", f"Add a DNS record for *.{host} beside the gate's.")
    except (OSError, http.client.HTTPException) as error:
        return Check(name, "note", f"{probe}:{port} cannot be reached: {error}", "See design/ports.md.")
    finally:
        connection.close()
    return Check(name, "ok")


def _clock(date: str) -> Check:
    try:
        off_seconds = abs(parsedate_to_datetime(date).timestamp() - time.time())
    except ValueError:
        return Check("clock", "note", "the gate tells no time")
    problem = f"{off_seconds:.0f} s away from the gate's" if off_seconds > CLOCK_SECONDS_MAX else None
    return _check("clock", problem, "Switch time synchronisation on: challenges and quotes expire by the clock.")
