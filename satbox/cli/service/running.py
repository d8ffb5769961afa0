"""Verbs that run something: the service, the demo, the tools."""

import gc
import os

from satbox.cli.context import Context
from satbox.cli.errors import UsageError


def _long_running() -> None:
    """`SATBOX_GATE` is where a client goes; the service's settings have a section of that name."""
    from operations import light

    light.start()
    gc.enable()
    os.environ.pop("SATBOX_GATE", None)


async def up(context: Context) -> int:
    """The whole service until a signal."""
    _long_running()
    from pydantic import ValidationError

    from operations.errors import SatboxError
    from satbox.settings import Settings
    from satbox.up import run_up

    context.check_settings()
    try:
        await run_up(Settings(), quiet=context.arguments.quiet)
    except ValidationError as error:
        faults = "; ".join(f"{'.'.join(map(str, f['loc']))}: {f['msg']}" for f in error.errors()[:5])
        raise SatboxError("invalid_request", f"The settings do not fit: {faults}", hint="See satbox.toml.") from error
    except Exception as error:
        # Only now: importing the service imports Ray, which `run_up` must prepare first.
        from satbox.service import AlreadyRunningError

        if not isinstance(error, AlreadyRunningError):
            raise
        raise SatboxError("already_exists", str(error), hint="Stop it first, or use another SATBOX_HOME.") from error
    return 0


async def demo(context: Context) -> int:
    """The whole story."""
    _long_running()
    from satbox.demo import run_demo

    # Only an explicit --json: the story is for people even when it is kept in a file.
    as_json = bool(getattr(context.arguments, "json", False))
    return await run_demo(as_json=as_json, placement=context.arguments.placement)


async def mcp(context: Context) -> int:
    """The tools."""
    from satbox.mcp_server import serve_http, serve_stdio

    if context.arguments.max_sats < 0:
        raise UsageError("--max-sats cannot be negative", "See satbox mcp --help.")
    async with context.client() as client:
        if context.arguments.http is None:
            await serve_stdio(client, session_sats=context.arguments.max_sats)
        else:
            await serve_http(client, port=context.arguments.http, session_sats=context.arguments.max_sats)
    return 0
