"""`python -m devnet`: runs one devnet on loopback until a signal, printing one JSON line when it is ready."""

import argparse
import asyncio
import json
import logging
import signal
import sys
from pathlib import Path

from aiohttp import web

from devnet.app import create_app
from devnet.settings import DevnetSettings
from devnet.urls import HOST, devnet_urls
from operations import logs
from stacks.network import Network


def _arguments(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="devnet", description="A local twin of the chain, the relay and the registry."
    )
    parser.add_argument("--port", type=int, default=3999, help="0 picks a free one")
    parser.add_argument("--state", type=Path, default=None, help="file to keep the state in; in memory without it")
    parser.add_argument("--network", choices=[network.value for network in Network], default="testnet")
    parser.add_argument("--block-seconds", type=float, default=1.0, help="0 mines only on POST /devnet/mine")
    return parser.parse_args(argv)


async def serve(settings: DevnetSettings, port: int) -> None:
    """Serves until SIGINT or SIGTERM, then saves and closes."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    runner = web.AppRunner(create_app(settings), access_log=None)
    await runner.setup()
    try:
        site = web.TCPSite(runner, HOST, port, shutdown_timeout=1.0)
        await site.start()
        bound = runner.addresses[0][1]
        ready = {"ready": True, "port": bound, "network": settings.network.caip2, "urls": devnet_urls(bound)}
        sys.stdout.write(json.dumps(ready) + "\n")
        sys.stdout.flush()
        await stop.wait()
    finally:
        await runner.cleanup()


def main(argv: list[str] | None = None) -> None:
    """Entry point."""
    logs.configure(logging.INFO)
    given = _arguments(argv)
    settings = DevnetSettings(network=Network(given.network), block_seconds=given.block_seconds, state_path=given.state)
    asyncio.run(serve(settings, given.port))


if __name__ == "__main__":
    main()
