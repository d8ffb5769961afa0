"""The command line's grammar, from the command table and the few verbs that are not operations.

argparse, since the richer parsers alone take longer to import (0.15 s and more) than a whole `satbox --help` may.
"""

import argparse
import difflib
from typing import Any, NoReturn

from operations.surfaces import Option
from satbox.cli._commands import COMMANDS, GROUPS
from satbox.cli.durations import seconds_of
from satbox.cli.errors import UsageError
from satbox.cli.local_verbs import LOCAL, LOCAL_GROUPS, LOCAL_TEXTS
from satbox.cli.table import Argument, Command

EPILOG = """exit codes: 0 done, 1 refused or failed, 2 usage or settings, 3 unreachable,
4 payment sent but outcome unknown (satbox resume), 123 done but what came is
not whole (stderr says what is missing). exec exits as the command did: its
code, 128 + signal, 123 its output was cut, 124 timed out, 125 never run.
JSON on stdout with --json or when piped; progress and errors on stderr.
environment: SATBOX_HOME (default ~/.satbox) holds keys, settings (satbox.toml)
and the service's state; SATBOX_GATE__PORT and SATBOX_DEVNET__PORT are where
satbox up listens (default 4020 and 4021; [gate] port, [devnet] port).
SATBOX_GATE and SATBOX_STACKS_API say where a service is that listens elsewhere."""


class _Parser(argparse.ArgumentParser):
    """Raises instead of exiting, and suggests the nearest verb."""

    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{self.prog}: {message}", f"See {self.prog} --help.")

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> tuple[Any, list[str]]:
        """Like argparse, but an unknown option is an error of its verb, with the nearest known option."""
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


def _add_option(parser: argparse.ArgumentParser, option: Option) -> None:
    told: dict[str, Any] = {"help": option.help}
    told |= {name: value for name in ("metavar", "default") if (value := getattr(option, name)) is not None}
    if option.choices:
        told["choices"] = option.choices
    match option.kind:
        case "flag":
            told["action"] = "store_true"
        case "list":
            told["action"] = "append"
        case "integer":
            told["type"] = int
        case "duration":
            told["type"] = seconds_of
        case "words":
            told["nargs"] = argparse.REMAINDER
    if option.flags == ():
        parser.add_argument(option.name, **told)
        return
    flags = option.flags or ("--" + option.name.replace("_", "-"),)
    parser.add_argument(*flags, dest=option.name, **told)


def _add_paying(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--max-sats", type=int, help="the most to pay (default: what --sats says, else 1000)")
    parser.add_argument("--asset", choices=("sBTC", "STX", "USDCx"), help="what to pay with (default: first offer)")
    parser.add_argument("--sponsored", action="store_true", help="let the relay pay the fee")
    parser.add_argument("--wait", action="store_true", help="wait until the payment is confirmed (up to 10 min)")


def _operation(parser: argparse.ArgumentParser, command: Command) -> None:
    for argument in command.arguments:
        if argument.is_hidden:
            continue
        if argument.is_either_way:
            action = argparse.BooleanOptionalAction
            parser.add_argument(argument.flag, dest=argument.name, action=action, help=argument.help)
            continue
        if argument.default is not None:
            parser.set_defaults(**{argument.name: argument.default})
        _add(parser, argument)
    for option in command.options:
        _add_option(parser, option)
    if command.is_paid or command.may_pay:
        _add_paying(parser)
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
        summary = command.summary
        parser = where.add_parser(
            command.words[-1], help=summary, description=f"{summary[0].upper()}{summary[1:]}.", parents=[shared]
        )
        _operation(parser, command)
    return root
