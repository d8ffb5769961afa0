"""`python -m satbox.gate_process`: one gate, on the cluster named under SATBOX_HOME/run. Prints one JSON line when ready.

It is started beside the cluster: it loads its modules, then waits for the cluster and for the cluster's actors.
"""

import asyncio
import json
import os
import signal
import threading
from pathlib import Path

import uvloop
from aiohttp import web

from actors.on_ray.garbage import spare_startup
from gate.genesis import bitcoin
from operations import logs
from satbox.keys import load_keys
from satbox.ray_cluster import await_open, join_cluster, prepare
from satbox.settings import Settings


async def serve(settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT; current requests get a moment to finish."""
    from gate.front.app import create_app
    from gate.front.connections import ConnectionLimits
    from gate.front.server import GateRunner
    from satbox.compose import Deployment
    from satbox.gate_services import gate_services

    deployment = Deployment.load(settings)
    join_cluster(settings.home, deployment.keys.ray_token_path)
    gate = settings.gate
    ending = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):  # only now: joining puts Ray's own handler there
        asyncio.get_running_loop().add_signal_handler(number, ending.set)
    if not await _is_open(settings.home, ending):
        return
    async with gate_services(deployment) as services:
        limits = services.settings
        runner = GateRunner(
            create_app(services), ConnectionLimits(limits.connections_max, limits.connections_per_peer_max)
        )
        await runner.setup()
        site = web.TCPSite(runner, gate.host, gate.port, shutdown_timeout=3.0)
        await site.start()
        port = runner.addresses[0][1]
        # The proof library takes a second to load: meanwhile everything else is served.
        spare_startup()
        threading.Thread(target=bitcoin.warm, name="warm", daemon=True).start()
        print(json.dumps({"ready": True, "url": f"http://{gate.host}:{port}", "pid": os.getpid()}), flush=True)
        await ending.wait()
        await runner.cleanup()


async def _is_open(home: Path, ending: asyncio.Event) -> bool:
    """Wait until every actor has taken up its work, or until this process is to end."""
    waits = [asyncio.ensure_future(await_open(home)), asyncio.ensure_future(ending.wait())]
    try:
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for wait in waits:
            wait.cancel()
    if not ending.is_set():
        waits[0].result()
    return not ending.is_set()


def main() -> None:
    """Entry point. Settings come from SATBOX_GATE_SETTINGS (one JSON document), so that all processes agree."""
    logs.configure()
    settings = Settings.model_validate_json(os.environ["SATBOX_GATE_SETTINGS"])
    prepare(load_keys(settings.home).ray_token_path)  # before anything imports Ray
    uvloop.run(serve(settings))


if __name__ == "__main__":
    main()
