"""`python -m sandboxes.node --socket PATH --state FOLDER --settings-json JSON`: runs a node until SIGTERM.

Prints one JSON line when ready, or one with `error` and leaves with status 1.
"""

from __future__ import annotations

import argparse
import asyncio
import fcntl
import json
import logging
import os
import signal
import sys
from pathlib import Path

import structlog
from aiohttp import web

import images
from operations import logs
from sandboxes.clock import boot_id, boottime_ms
from sandboxes.node.bubblewrap import BubblewrapDriver
from sandboxes.node.cgroups import open_cgroups, sweep
from sandboxes.node.disk_room import DiskRoom
from sandboxes.node.doctor import Doctor, RequirementMissing
from sandboxes.node.driver import DriverError
from sandboxes.node.egress import Egress
from sandboxes.node.fork_storms import ForkStorms
from sandboxes.node.gvisor import GVisorDriver
from sandboxes.node.machine import Machine
from sandboxes.node.port_server import PortServer, ports_path
from sandboxes.node.seccomp import SeccompUnavailable, compile_filter
from sandboxes.node.server import build_app
from sandboxes.node.service import SandboxService
from sandboxes.node.settings import NodeSettings
from sandboxes.node.slots import SlotTable
from sandboxes.node.uid_choice import claim_uids
from sandboxes.node.volumes import VolumesUnavailable, make_template, wait_until_free
from sandboxes.spawner import kernel
from sandboxes.supervisor.tenant import TENANT_ID

DRIVERS: dict[str, type[BubblewrapDriver]] = {"bubblewrap": BubblewrapDriver, "gvisor": GVisorDriver}
_UNIX_PATH_BYTES_MAX = 107


class AlreadyRunning(Exception):  # noqa: N818 - reads as what happened
    """Another node process owns this state folder."""


def _lock(state: Path) -> int:
    """Own the state folder for as long as this process lives."""
    state.mkdir(parents=True, exist_ok=True, mode=0o700)
    fd = os.open(state / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        raise AlreadyRunning("another node process owns this state folder") from error
    return fd


def _prepare(settings: NodeSettings, state: Path) -> dict[str, images.PreparedImage]:
    for name in ("templates", "images", "volumes"):
        (state / name).mkdir(exist_ok=True, mode=0o700)
    for name, size_class in settings.size_classes.items():
        make_template(state / "templates" / f"{name}.ext4", size_class, settings.slot_uid_base + TENANT_ID)
    store = images.ImageStore(settings.image_store or state.parent / "images")
    return images.prepare_all(store, state / "images")


async def run(socket_path: Path, state: Path, settings: NodeSettings) -> None:
    """Serve until SIGTERM or SIGINT; then stop every sandbox with a snapshot, within the bounded time."""
    log = structlog.get_logger()
    lock = _lock(state)
    cgroups = open_cgroups(settings.cgroup_root, state)
    seccomp, seccomp_problem = _seccomp()
    uids, settings = claim_uids(settings, state)
    doctor = Doctor(settings, cgroups, seccomp_problem, uids.problem)
    doctor.require(settings.require)
    log.info("node.driver", driver=settings.driver, cgroup_kind=cgroups.kind)
    for name, problem in doctor.checks.items():
        if problem is not None:
            log.warning("node.restriction_missing", check=name, reason=problem)
    for feature, reason in doctor.unsupported.items():
        log.warning("node.feature_missing", driver=settings.driver, feature=feature, reason=reason)
    swept = sweep(cgroups, settings.sweep_seconds_max)
    wait_until_free(state / "volumes", settings.sweep_seconds_max)
    prepared = _prepare(settings, state)
    driver = DRIVERS[settings.driver](state, settings.private_root, prepared, seccomp, settings.start_seconds_max)
    egress = Egress(settings.egress, settings.size_classes)
    slots, storms = SlotTable(state / "slots.sqlite"), ForkStorms(cgroups, settings.fork_storm_seconds)
    room = DiskRoom(state, settings.free_disk_bytes_min)
    machine = Machine(settings, state, driver, cgroups, prepared, slots, egress, storms, room)
    service = SandboxService(machine, boottime_ms, boot_id())
    await driver.open()
    await service.open()
    runner = web.AppRunner(build_app(service, doctor), handle_signals=False, handler_cancellation=True, access_log=None)
    await runner.setup()
    port_server = PortServer(service, socket_path)
    ending = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, ending.set)
    _remove(socket_path)
    umask = os.umask(0o177)
    try:
        await web.UnixSite(runner, str(socket_path)).start()
    finally:
        os.umask(umask)
    port_server.open()
    ready = {"ready": True, "node_id": settings.node_id, "boot_id": service.boot_id, "socket": str(socket_path)}
    print(json.dumps({**ready, "swept_groups": len(swept), **doctor.report()}), flush=True)  # noqa: T201 - the contract
    waits = [asyncio.ensure_future(ending.wait()), asyncio.ensure_future(driver.broken())]
    await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    for wait in waits:
        wait.cancel()
    if not ending.is_set():
        log.error("node.driver_broken")
    await port_server.close()
    await service.close()
    await runner.cleanup()
    _remove(socket_path)
    uids.release()
    os.close(lock)


def _remove(path: Path) -> None:
    path.unlink(missing_ok=True)


def _seccomp() -> tuple[bytes | None, str | None]:
    try:
        return compile_filter(), None
    except SeccompUnavailable as error:
        return None, str(error)


def main() -> None:
    """Entry point. Ends with the process that started it: without that process nobody bills these sandboxes."""
    kernel.die_with_parent(os.getppid(), signal.SIGTERM)
    parser = argparse.ArgumentParser(prog="sandboxes.node")
    parser.add_argument("--socket", type=Path, required=True)
    parser.add_argument("--state", type=Path, required=True)
    parser.add_argument("--settings-json", default="{}")
    arguments = parser.parse_args()
    logs.configure(logging.INFO)
    os.umask(0o022)
    try:
        if len(os.fsencode(ports_path(arguments.socket))) > _UNIX_PATH_BYTES_MAX:
            raise RequirementMissing(f"the socket path is longer than {_UNIX_PATH_BYTES_MAX} bytes")
        settings = NodeSettings.model_validate_json(arguments.settings_json)
        asyncio.run(run(arguments.socket, arguments.state, settings))
    except (AlreadyRunning, RequirementMissing, VolumesUnavailable, DriverError, TimeoutError, ValueError) as error:
        print(json.dumps({"ready": False, "error": f"{type(error).__name__}: {error}"}), flush=True)  # noqa: T201
        sys.exit(1)


if __name__ == "__main__":
    main()
