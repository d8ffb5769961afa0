"""`satbox demo`: the whole story on the embedded devnet, with real processes, signatures, payments and sandboxes."""

import asyncio
import contextlib
import json
import os
import shutil
import socket
import sys
import tempfile
from pathlib import Path

from actors.placement import Placement
from operations import logs
from satbox.ground import check
from satbox.keys import load_keys
from satbox.ray_cluster import prepare
from satbox.settings import ActorsSection, DevnetSection, GateSection, LifecycleSection, Settings


async def run_demo(*, as_json: bool = False, placement: Placement = "shared") -> int:
    """Run the story; prints it, or one JSON object. Returns the exit code."""
    home = Path(tempfile.mkdtemp(prefix="satbox-demo-"))
    stdout = sys.stdout
    try:
        logs.configure()
        settings = demo_settings(home, placement)
        check(settings)
        prepare(load_keys(home).ray_token_path)
        from satbox.demo.story import tell  # imports Ray

        # Ray prints notices of its own on stdout, from a thread: stdout belongs to the story alone.
        with contextlib.redirect_stdout(sys.stderr):
            report = await tell(settings, None if as_json else stdout)
    finally:
        await asyncio.to_thread(shutil.rmtree, home, ignore_errors=True)
    if as_json:
        print(json.dumps(report), file=stdout)
    elif not report["ok"]:
        print("the story broke off; see the step marked with a cross", file=sys.stderr)
    return 0 if report["ok"] else 1


def demo_settings(home: Path, placement: Placement) -> Settings:
    """A service of its own: fresh folder, free ports, and grace short enough to watch."""
    gate_port, devnet_port = free_ports(2)
    return Settings(
        home=home,
        deployment="satbox-demo",
        gate=GateSection(port=gate_port),
        devnet=DevnetSection(port=devnet_port),
        actors=ActorsSection(placement=placement),
        lifecycle=LifecycleSection(grace_seconds=3, grace_cap_seconds=30, wake_minimum_seconds=2),
        node={"slots": {"nano": 2, "small": 4, "medium": 1}, "slot_uid_base": own_uid_base()},
    )


def own_uid_base() -> int:
    """Host uids for this process's sandboxes alone, so that it runs beside a service on the same machine."""
    # A step is more than all of its slots take: processes with numbers close together share none.
    return 0x6000_0000 + os.getpid() % 32 * 0x80_0000


def free_ports(count: int) -> list[int]:
    """Loopback ports nobody listens on now."""
    held = [socket.socket() for _ in range(count)]
    try:
        for one in held:
            one.bind(("127.0.0.1", 0))
        return [int(one.getsockname()[1]) for one in held]
    finally:
        for one in held:
            one.close()
