"""The command line's grammar, from the command table and the few verbs that are no operation.

argparse, since the richer parsers alone take longer to import (0.15 s and more) than a whole `satbox --help` may.
"""

import argparse
import difflib
from dataclasses import replace
from typing import Any, NoReturn

from satbox.cli._commands import COMMANDS
from satbox.cli.errors import UsageError
from satbox.cli.local_verbs import LOCAL, LOCAL_GROUPS
from satbox.cli.table import Argument, Command
from satbox.cli.verb_options import EITHER_WAY, EXTRA, HIDDEN, paying
from satbox.cli.wording import DEFAULTS, HELP, LOCAL_TEXTS, SUMMARIES

EPILOG = """exit codes: 0 done, 1 refused or failed, 2 usage or settings, 3 unreachable,
4 payment sent but outcome unknown (satbox resume), 123 done but what came is
not whole (stderr says what is missing). exec exits as the command did: its
code, 128 + signal, 123 its output was cut, 124 timed out, 125 never run.
JSON on stdout with --json or when piped; progress and errors on stderr.
environment: SATBOX_HOME (default ~/.satbox) holds keys, settings (satbox.toml)
and the service's state; SATBOX_GATE__PORT and SATBOX_DEVNET__PORT are where
satbox up listens (default 4020 and 4021; [gate] port, [devnet] port).
SATBOX_GATE and SATBOX_STACKS_API say where a service is that listens elsewhere."""

GROUPS = {
    "api-key": "keys that spend from your bucket, to give out",
    "checkpoints": "signed words on all journals' heads",
    "contexts": "run Python that keeps its variables",
    "disputes": "object to a charge",
    "files": "work with files in the sandbox",
    "meter": "check charges",
    "operator payouts": "let payouts pass, or not",
    "operator disputes": "answer and decide disputes",
    "operator": "for the operator",
    "ports": "reach servers in the sandbox",
    "git": "get code",
    "secrets": "keep secrets that can't be read back",
    "snapshots": "keep the workspace as it was",
    "processes": "run things in the background",
    "routes": "sell calls to what runs inside",
    "wake-link": "links that wake your sandbox, to give out",
    "stacks": "read transactions, check signatures (no gate needed)",
}


class _Parser(argparse.ArgumentParser):
    """Raises instead of exiting, and suggests the nearest verb."""

    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{self.prog}: {message}", f"See {self.prog} --help.")

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> tuple[Any, list[str]]:
        """As argparse has it, but what nobody knows is an error of the verb it was given to, with the nearest option."""
        found, unknown = super().parse_known_args(args, namespace)
        if unknown:
            self.error(self._unknown(unknown))
        return found, unknown

    def _unknown(self, words: list[str]) -> str:
        told = []
        options = [word for word in words if word.startswith("-")]
        for word in options or words:  # words behind an unknown option are its values
            name = word.partition("=")[0]
            near = difflib.get_close_matches(name, list(self._option_string_actions), 1) if options else []
            told.append(f"{word!r} is not known; did you mean {near[0]}?" if near else f"{word!r} is not known")
        return "; ".join(told[:3])

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        choices = list(action.choices or ())
        if choices and value not in choices:
            near = difflib.get_close_matches(str(value), [str(choice) for choice in choices], 1)
            hint = f"did you mean {near[0]!r}?" if near else f"one of {', '.join(map(str, choices))}"
            raise argparse.ArgumentError(action, f"{value!r} is not known; {hint}")


def _shared() -> _Parser:
    """Options that stand anywhere."""
    shared = _Parser(add_help=False, argument_default=argparse.SUPPRESS)
    group = shared.add_argument_group("common options")
    group.add_argument("--json", action="store_true", help="one JSON document on stdout (default when piped)")
    group.add_argument("--table", action="store_true", help="output for people, even when piped")
    group.add_argument("--gate", metavar="URL", help="the gate (SATBOX_GATE; default http://127.0.0.1:4020)")
    group.add_argument("--agent", metavar="NAME", help="whose keys (SATBOX_AGENT; default: default)")
    group.add_argument("--network", choices=("testnet", "mainnet"), help="where money moves (SATBOX_NETWORK)")
    group.add_argument("--stacks-api", metavar="URL", help="for nonces and fees (SATBOX_STACKS_API)")
    group.add_argument("--deployment", metavar="NAME", help="whom proofs are made out to (SATBOX_DEPLOYMENT)")
    return shared


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not name or not equals:
        raise argparse.ArgumentTypeError(f"{text[:40]!r} is not NAME=VALUE")
    return name, value


def _add(parser: argparse.ArgumentParser, argument: Argument) -> None:
    options: dict[str, Any] = {"help": argument.help.strip() or None}
    if argument.choices:
        options["choices"] = argument.choices
    match argument.kind:
        case "flag":
            parser.add_argument(argument.flag, dest=argument.name, action="store_true", default=None, **options)
            return
        case "integer":
            options["type"] = int
        case "number":
            options["type"] = float
        case "pairs":
            options |= {"type": _pair, "action": "append", "metavar": "NAME=VALUE"}
        case "list":
            options |= {"nargs": "+"}
    if argument.is_positional:
        parser.add_argument(argument.name, nargs=None if argument.is_required else "?", **options)
    else:
        parser.add_argument(argument.flag, dest=argument.name, required=argument.is_required, **options)


def _operation(parser: argparse.ArgumentParser, command: Command) -> None:
    for argument in command.arguments:
        key = (command.operation, argument.name)
        if key in HIDDEN:
            continue
        spoken = replace(argument, help=HELP.get(key, argument.help))
        if key in EITHER_WAY:
            parser.add_argument(
                argument.flag, dest=argument.name, action=argparse.BooleanOptionalAction, help=spoken.help
            )
            continue
        if key in DEFAULTS:
            spoken = replace(spoken, is_required=False)
            parser.set_defaults(**{argument.name: DEFAULTS[key]})
        _add(parser, spoken)
    if command.is_paid:
        paying(parser)
    extra = EXTRA.get(command.operation)
    if extra is not None:
        extra(parser)
    parser.set_defaults(command=command, verb=command.operation)


_VALUED = frozenset({"--gate", "--agent", "--network", "--stacks-api", "--deployment"})


def spoken(argv: list[str]) -> list[str]:
    """`ledger verify` is said for `verify ledger`: no wallet is called that."""
    at = 0
    while at < len(argv) and argv[at].startswith("-"):
        at += 2 if argv[at] in _VALUED else 1
    if argv[at : at + 2] == ["ledger", "verify"]:
        return [*argv[:at], "verify", "ledger", *argv[at + 2 :]]
    return argv


def build() -> argparse.ArgumentParser:
    """The whole grammar."""
    shared = _shared()
    plain = argparse.RawDescriptionHelpFormatter
    root = _Parser(
        prog="satbox", description="Pay sats, get a sandbox.", epilog=EPILOG, parents=[shared], formatter_class=plain
    )
    root.add_argument("--version", action="store_true", help="print the version")
    verbs = root.add_subparsers(metavar="VERB", parser_class=_Parser)
    for name, (summary, add) in LOCAL.items():
        text = LOCAL_TEXTS.get(name, f"{summary[0].upper()}{summary[1:]}.")
        parser = verbs.add_parser(name, help=summary, description=text, parents=[shared])
        add(parser)
        parser.set_defaults(verb=name)
    for group_name, (group_summary, group_verbs) in LOCAL_GROUPS.items():
        inner = verbs.add_parser(group_name, help=group_summary, parents=[shared]).add_subparsers(
            metavar="VERB", parser_class=_Parser, required=True
        )
        for name, (summary, add) in group_verbs.items():
            text = f"{summary[0].upper()}{summary[1:]}."
            parser = inner.add_parser(name, help=summary, description=text, parents=[shared])
            add(parser)
            parser.set_defaults(verb=f"{group_name}.{name}")
    groups: dict[str, Any] = {}
    for command in COMMANDS:
        where: Any = verbs
        for depth, word in enumerate(command.words[:-1], start=1):
            name = " ".join(command.words[:depth])
            if name not in groups:
                group = where.add_parser(word, help=GROUPS[name], parents=[shared])
                groups[name] = group.add_subparsers(metavar="VERB", parser_class=_Parser, required=True)
            where = groups[name]
        summary = SUMMARIES[command.operation]
        parser = where.add_parser(
            command.words[-1], help=summary, description=f"{summary[0].upper()}{summary[1:]}.", parents=[shared]
        )
        _operation(parser, command)
    return root
