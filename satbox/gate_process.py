"""`python -m satbox.gate_process`: one gate, on the cluster named under SATBOX_HOME/run. Prints one JSON line when ready."""

import asyncio
import json
import os
import signal
import threading

import uvloop
from aiohttp import web

from actors.garbage import spare_startup
from gate.genesis import bitcoin
from operations import logs
from satbox.keys import load_keys
from satbox.ray_cluster import join_cluster
from satbox.settings import Settings


async def serve(settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT; requests under way get a moment to finish."""
    from gate.front.app import create_app  # imports Ray, which the cluster had to be joined for
    from gate.front.connections import ConnectionLimits
    from gate.front.server import GateRunner
    from satbox.compose import Deployment, gate_services

    deployment = Deployment.load(settings)
    gate = settings.gate
    ending = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, ending.set)
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


def main() -> None:
    """Entry point. Settings come from SATBOX_GATE_SETTINGS (one JSON document), so that all processes agree."""
    logs.configure()
    settings = Settings.model_validate_json(os.environ["SATBOX_GATE_SETTINGS"])
    join_cluster(settings.home, load_keys(settings.home).ray_token_path)
    uvloop.run(serve(settings))


if __name__ == "__main__":
    main()
