"""Run one command: parse, dispatch, tell errors, exit. Everything heavy is imported by the verb that needs it."""

import importlib
import os
import sys
from argparse import Namespace
from collections.abc import Coroutine
from typing import Any

from satbox.cli.context import Context
from satbox.cli.errors import (
    INTERRUPTED,
    NOT_RUN,
    OK,
    REFUSED,
    USAGE,
    UsageError,
    exit_code_of,
    tell,
    usage_body,
)
from satbox.cli.terminal_text import finish, guard
from satbox.extras import INSTALL_SERVER, SERVER_MODULES, lacks_server, missing_server_modules

LOCAL_RUN = {
    "up": "service.running:up",
    "demo": "service.running:demo",
    "mcp": "service.running:mcp",
    "doctor": "service.doctor:doctor",
    "audit": "books.auditing:audit",
    "keygen": "agents.keys:keygen",
    "register": "agents.keys:register",
    "faucet": "agents.keys:faucet",
    "resume": "money.buying:resume",
    "cp": "files.copying:copy",
    "verify.receipt": "books.checking:receipt",
    "verify.ledger": "books.checking:ledger",
    "images.ls": "service.images:ls",
    "images.build": "service.images:build",
    "images.inspect": "service.images:inspect",
    "images.rm": "service.images:rm",
    "shell": "sandbox.terminal:shell",
    "payoutkey": "money.refunding:payout_key",
    "call": "money.calling:call",
}
"""Handlers of verbs that are not operations. Those of operations are in the command table."""

SERVER = ("up", "demo", "images.ls", "images.build", "images.inspect", "images.rm")
"""Verbs of the service itself: a client install refuses them before anything is begun."""

VERIFYING = "books.verifying:read"
"""Reads and judges what it is given: no gate, no event loop."""


def run(argv: list[str] | None = None) -> None:
    """Run the command line and exit."""
    guard()
    try:
        code = outcome(sys.argv[1:] if argv is None else argv)
    finally:
        finish()
    sys.exit(code)


def outcome(argv: list[str]) -> int:
    """Run a command line; its exit code."""
    from satbox.cli.parser import build, spoken

    argv = spoken(argv)
    wants_json = "--json" in argv or ("--table" not in argv and not sys.stdout.isatty())
    try:
        parser = build()
        arguments = parser.parse_args(argv)
    except UsageError as error:
        tell(usage_body(error), as_json=wants_json)
        return USAGE
    if getattr(arguments, "version", False):
        from importlib.metadata import version

        print(version("satbox"))
        return OK
    if not hasattr(arguments, "verb"):
        parser.print_help()
        return OK if not argv else USAGE
    return _dispatch(arguments)


def _dispatch(arguments: Namespace) -> int:
    context = Context(arguments)
    command = getattr(arguments, "command", None)
    runs: str = LOCAL_RUN[arguments.verb] if command is None else command.run
    if runs == VERIFYING:
        return _read(context)
    if arguments.verb == "sandbox.status" and not arguments.watch and (code := _status(context)) is not None:
        return code
    import asyncio

    verb: str = arguments.verb
    if verb in SERVER and (missing := missing_server_modules()):
        return _told(context, _no_server(missing))
    module, _, function = runs.partition(":")
    work: Coroutine[Any, Any, int | None] = getattr(importlib.import_module(f"satbox.cli.{module}"), function)(context)
    try:
        return asyncio.run(work) or OK
    except UsageError as error:
        tell(usage_body(error), as_json=context.as_json)
        return USAGE
    except KeyboardInterrupt:
        return _interrupted(context)
    except BrokenPipeError:
        return _unread()
    except Exception as error:
        from operations.errors import SatboxError
        from satbox.agent.local_paths import local_error

        if isinstance(error, OSError) and error.errno is not None:
            told = local_error(error)
            if _has_open_payment(context):
                return _unfinished(context, f"{told.message.removesuffix('.')}, while a payment was on its way.")
        elif isinstance(error, SatboxError):
            told = error
        elif isinstance(error, ModuleNotFoundError) and error.name in SERVER_MODULES:
            told = _no_server([error.name])
        else:
            raise
        return _told(context, told)


def _no_server(missing: list[str]) -> Any:
    from operations.errors import SatboxError

    return SatboxError("cannot_start", lacks_server(missing), hint=INSTALL_SERVER)


def _status(context: Context) -> int | None:
    """The wallet's status by the light way; None when the client has to do it, which then says what is wrong."""
    from operations.errors import SatboxError
    from satbox.cli.generic import values_of
    from satbox.cli.light import status
    from satbox.cli.output import show
    from satbox.cli.people import for_people

    try:
        found = status(context, values_of(context))
        if found is None:
            return None
        show(context, found if context.as_json else for_people("sandbox.status", found))
        sys.stdout.flush()
    except KeyboardInterrupt:
        return _interrupted(context)
    except BrokenPipeError:
        return _unread()
    except SatboxError:  # settings that cannot be read
        return None
    return OK


def _read(context: Context) -> int:
    """A verb that only reads and judges what it is given: no gate, no event loop."""
    from satbox.cli.books.verifying import read

    try:
        code = read(context)
        sys.stdout.flush()
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        return _unread()
    return code


def _unread() -> int:
    """The reader of our output went away; without this the interpreter complains at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return REFUSED


def _told(context: Context, error: Any) -> int:
    from satbox.cli.hints import hint_for

    body = error.body(str(error.details.get("request_id", "")))
    body["error"]["hint"] = hint_for(error.code, error.hint, is_devnet=context.is_devnet)
    tell(body, as_json=context.as_json)
    code = exit_code_of(error.code, error.funds_moved)
    return NOT_RUN if context.arguments.verb == "sandbox.exec" and code != USAGE else code


def _has_open_payment(context: Context) -> bool:
    """Whether this verb may have left a signed payment behind."""
    folder = context.home / "agents" / context.agent_name / "payments"
    command = getattr(context.arguments, "command", None)
    return (context.arguments.verb == "resume" or (command is not None and command.is_paid)) and any(
        folder.glob("*.json")
    )


def _interrupted(context: Context) -> int:
    """Ctrl-C; a payment that was signed before it is not forgotten."""
    if not _has_open_payment(context):
        return INTERRUPTED
    return _unfinished(context, "Interrupted while a payment was on its way.")


def _unfinished(context: Context, message: str) -> int:
    from operations.errors import SatboxError

    error = SatboxError(
        "ambiguous", message, funds_moved="unknown",
        hint="Do not pay again: satbox resume sends the same payment again, unchanged.",
    )  # fmt: skip
    return _told(context, error)
