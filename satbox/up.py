"""`satbox up`: run the service until Ctrl-C, and say what to try next."""

import asyncio
import contextlib
import os
import shlex
import signal
import sys
from collections.abc import Callable
from pathlib import Path

from operations import logs
from operations.errors import SatboxError
from satbox.ground import check
from satbox.keys import load_keys
from satbox.ray_cluster import prepare
from satbox.settings import DevnetSection, GateSection, Settings


async def run_up(settings: Settings, *, quiet: bool = False) -> None:
    """Run until SIGINT or SIGTERM. Progress goes to stderr; stdout stays free for machines."""
    os.umask(0o077)  # wallets and payments are nobody else's to read
    check(settings)
    prepare(load_keys(settings.home).ray_token_path)

    def say(line: str) -> None:
        if not quiet:
            with contextlib.suppress(OSError):  # a full disk behind it ends no service
                print(f"satbox: {line}", file=sys.stderr, flush=True)

    logs.configure()
    ending = asyncio.Event()
    _end_on_signals(ending)
    # Ray prints notices of its own on stdout, from a thread.
    with contextlib.redirect_stdout(sys.stderr):
        await _run(settings, say, ending)


async def _run(settings: Settings, say: Callable[[str], None], ending: asyncio.Event) -> None:
    from satbox.children import ChildFailedError
    from satbox.service import running  # imports Ray

    async with contextlib.AsyncExitStack() as stack:
        try:
            service = await stack.enter_async_context(running(settings, say))
        except ChildFailedError as error:
            raise SatboxError("cannot_start", str(error), hint="Its own lines above say more.") from error
        _end_on_signals(ending)  # again: Ray put its own handler there when it started
        say(f"ready: gate on {service.gate_url}, state in {settings.home}")
        if service.devnet_urls:
            say("try, in another terminal:")
            for line in (
                *to_export(settings, service.gate_url, service.devnet_urls["stacks"]),
                "satbox keygen && satbox register && satbox faucet",
                "satbox prove && satbox create --sats 500",
                "satbox exec 'echo hello from $(hostname)'",
                "satbox status --watch",
            ):
                say(f"    {line}")
        await ending.wait()


def to_export(settings: Settings, gate_url: str, stacks_url: str) -> list[str]:
    """The settings with which the command line finds this service, when its defaults do not."""
    usual = GateSection().port, DevnetSection().port
    lines = (
        [] if settings.home == Path.home() / ".satbox" else [f"export SATBOX_HOME={shlex.quote(str(settings.home))}"]
    )
    if (settings.gate.port, settings.devnet.port) != usual:
        lines.append(f"export SATBOX_GATE={gate_url} SATBOX_STACKS_API={stacks_url}")
    return lines


def _end_on_signals(ending: asyncio.Event) -> None:
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, ending.set)
