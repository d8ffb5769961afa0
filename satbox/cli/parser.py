"""The command line's grammar, from the command table and the few verbs that are no operation.

argparse, since the richer parsers alone take longer to import (0.15 s and more) than a whole `satbox --help` may.
"""

import argparse
import difflib
from collections.abc import Callable
from dataclasses import replace
from typing import Any, NoReturn

from satbox.cli._commands import COMMANDS
from satbox.cli.durations import seconds_of
from satbox.cli.errors import UsageError
from satbox.cli.table import Argument, Command
from satbox.cli.wording import DEFAULTS, HELP, LOCAL_TEXTS, SUMMARIES

EPILOG = """exit codes: 0 done, 1 refused or failed, 2 usage or settings, 3 unreachable,
4 payment sent but outcome unknown (satbox resume). exec exits as the command
did: its code, 128 + signal, 124 timed out, 125 never run.
JSON on stdout with --json or when piped; progress and errors on stderr.
environment: SATBOX_HOME (default ~/.satbox) holds keys, settings (satbox.toml)
and the service's state; SATBOX_GATE__PORT and SATBOX_DEVNET__PORT are where
satbox up listens (default 4020 and 4021; [gate] port, [devnet] port)."""

GROUPS = {
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
        if key in DEFAULTS:
            spoken = replace(spoken, is_required=False)
            parser.set_defaults(**{argument.name: DEFAULTS[key]})
        _add(parser, spoken)
    if command.is_paid:
        _paying(parser)
    extra = EXTRA.get(command.operation)
    if extra is not None:
        extra(parser)
    parser.set_defaults(command=command, verb=command.operation)


def _paying(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--max-sats", type=int, help="the most to pay (default: what --sats says, else 1000)")
    parser.add_argument("--asset", choices=("sBTC", "STX", "USDCx"), help="what to pay with (default: first offer)")
    parser.add_argument("--sponsored", action="store_true", help="let the relay pay the fee")
    parser.add_argument("--wait", action="store_true", help="wait until the payment is confirmed (up to 10 min)")


HIDDEN = frozenset(
    {
        ("sandbox.exec", "argv"), ("sandbox.exec", "shell"), ("sandbox.exec", "stdin"), ("sandbox.exec", "stream"),
        ("processes.start", "argv"), ("processes.start", "shell"), ("processes.write", "data"),
        ("contexts.run", "stream"), ("routes.set", "routes"),
        ("sandbox.wake", "handle"), ("wake_links.create", "scopes"), ("wake_links.create", "expires_seconds"),
        ("gate.prove", "challenge"), ("gate.prove", "btc_signature"), ("gate.prove", "stx_signature"),
        ("gate.challenge", "btc_address"), ("gate.challenge", "stx_address"),
        ("stacks.verify_sip018", "network"), ("stacks.verify_message", "network"),  # a common option has that name
    }
)  # fmt: skip
"""Fields that a verb fills in, or asks for, in its own way."""


def _exec(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("-i", "--stdin", action="store_true", help="pass our standard input on (up to 1 MB)")
    parser.add_argument("--shell", action="store_true", help="the words are one line for the shell")
    parser.add_argument("--raw", action="store_true", help="the command's own output on stdout, not JSON")
    parser.add_argument("words", nargs=argparse.REMAINDER, metavar="COMMAND", help="one word: a shell line; more: argv")


def _start(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--shell", action="store_true", help="the words are one line for the shell")
    parser.add_argument("words", nargs=argparse.REMAINDER, metavar="COMMAND", help="one word: a shell line; more: argv")


def _archive(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--output", metavar="FILE", help="into a file (default: stdout)")


def _shell(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--address", help="the wallet's Stacks address; default: your own")
    parser.add_argument("words", nargs=argparse.REMAINDER, metavar="COMMAND", help="default: the image's shell")


def _prove(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--scope", default="owner", choices=("owner", "exec", "files", "extend"), help="what the pass covers"
    )
    parser.add_argument("--challenge", help="a challenge signed elsewhere (with both signatures)")
    parser.add_argument("--btc-signature", help="base64: BIP-322 simple or BIP-137")
    parser.add_argument("--stx-signature", help="hex, RSV, SIP-018")


def _challenge(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--btc-address", help="default: the agent's")
    parser.add_argument("--stx-address", help="default: the agent's")


def _status(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--watch", action="store_true", help="keep showing it, by the second")


def _read(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--raw", action="store_true", help="the bytes themselves on stdout")
    parser.add_argument("--output", metavar="FILE", help="into a file")


def _write(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--from", dest="source", metavar="FILE", default="-", help="what to write (default: stdin)")


def _meter(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--verbose", action="store_true", help="also the arithmetic of every charge, a line each")


def _reap(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--yes", action="store_true", help="confirms --destroy")


def _wake(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--link", metavar="LINK", help="a wake link, as URL or token; - reads it from standard input")
    parser.add_argument(
        "--pay", type=seconds_of, metavar="TIME", help="pay for so much time (1h, 2d), also as a gift; that wakes it"
    )
    _paying(parser)


def _new_link(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--scope", default="wake", metavar="WHAT", help="wake (with the credit left), topup (pay), or both: wake,topup"
    )
    parser.add_argument("--expires", type=seconds_of, metavar="TIME", help="how long it is good for (default: 30d)")
    parser.add_argument("--svg", metavar="FILE", help="also write its QR code as a picture")


def _link_info(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("link", metavar="LINK", help="a wake link, as URL or token; - reads it from standard input")


def _reclaim(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--yes", action="store_true", help="sign what is shown with both keys, and do it")


def _route(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("port", type=int, help="the port that a server inside listens on")
    parser.add_argument("path", help="the path, exactly; or with * at its end, all that begin so (quote it)")
    parser.add_argument("--sats", type=int, default=0, help="what one call costs (default: 0, free)")
    parser.add_argument(
        "--method", action="append", metavar="METHOD", help="GET, POST, ...; may be given several times"
    )
    parser.add_argument(
        "--callers",
        choices=("anyone", "genesis", "list", "holders"),
        help="who may: anyone (default), genesis agents, a list, or only holders of your passes and port tokens",
    )
    parser.add_argument(
        "--caller", action="append", metavar="ADDRESS", help="one who may, and nobody else; may be given several times"
    )
    parser.add_argument("--rate-per-minute", type=int, default=600, help="calls a minute by one caller (default: 600)")
    parser.add_argument(
        "--deliver-on", choices=("mempool", "confirmed"), default="confirmed", help="for payments on chain"
    )
    parser.add_argument("--wakes", action="store_true", help="a call starts the sandbox when it sleeps and has credit")
    parser.add_argument("--wakes-per-hour", type=int, default=6, help="how often calls may do so (default: 6)")
    parser.add_argument("--remove", action="store_true", help="take this route away")


def _call(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("url", help="what is called: ADDRESS-OR-NAME/PORT/PATH, or a whole URL")
    parser.add_argument("--method", default=None, help="default: GET, or POST with data")
    parser.add_argument("--data", metavar="TEXT", help="a body; @FILE reads one, - reads standard input")
    parser.add_argument(
        "--header", action="append", type=_header, metavar="NAME: VALUE", help="may be given several times"
    )
    parser.add_argument("--max-sats", type=int, default=100, help="the most to pay for it (default: 100)")
    parser.add_argument("--raw", action="store_true", help="the answer's body on stdout, nothing else")


def _header(text: str) -> tuple[str, str]:
    name, colon, value = text.partition(":")
    if not name.strip() or not colon:
        raise argparse.ArgumentTypeError(f"{text[:40]!r} is not NAME: VALUE")
    return name.strip(), value.strip()


EXTRA: dict[str, Callable[[argparse.ArgumentParser], None]] = {
    "sandbox.exec": _exec,
    "processes.start": _start,
    "files.pack": _archive,
    "sandbox.statement": _archive,
    "gate.prove": _prove,
    "gate.challenge": _challenge,
    "sandbox.status": _status,
    "sandbox.reap": _reap,
    "sandbox.wake": _wake,
    "wake_links.create": _new_link,
    "wake_links.info": _link_info,
    "sandbox.reclaim": _reclaim,
    "sandbox.meter": _meter,
    "routes.set": _route,
    "files.read": _read,
    "files.write": _write,
    "files.unpack": _write,
}


def _up(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--quiet", action="store_true", help="say nothing but errors")


def _demo(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--placement", choices=("shared", "dedicated"), default="shared", help="how wallets are placed")


def _keygen(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", nargs="?", help="default: --agent")


def _register(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--level", type=int, default=2, choices=(0, 1, 2), help="2 is Genesis")


def _faucet(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--sbtc", type=int, default=100_000, help="sats of sBTC (default: 100000)")
    parser.add_argument("--stx", type=int, default=100_000_000, help="micro-STX (default: 100000000)")


def _cp(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("source", help="a path here, or box:PATH")
    parser.add_argument("target", help="a path here, or box:PATH")


def _mcp(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--http", type=int, metavar="PORT", help="streamable HTTP on 127.0.0.1 instead of stdio")
    parser.add_argument("--max-sats", type=int, default=1_000, help="most that this session may pay (default: 1000)")


def _image_name(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", help="an image, see satbox images ls")


def _image_build(parser: argparse.ArgumentParser) -> None:
    _image_name(parser)
    parser.add_argument("--renew", action="store_true", help="build again with today's packages")


def _audit(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--home", metavar="FOLDER", help="the service's home (default: SATBOX_HOME)")
    told = "a checkpoint kept elsewhere: it must be in the log; may be given again"
    parser.add_argument("--checkpoint", metavar="FILE", action="append", help=told)


def _check(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", metavar="FILE", help="what to check; - reads it from standard input")
    parser.add_argument("--key", metavar="KEY", help="the operator's public key: base64, or a file that holds it")
    parser.add_argument("--fetch-key", action="store_true", help="ask the service for its key (then it is trusted)")


def _check_ledger(parser: argparse.ArgumentParser) -> None:
    _check(parser)
    parser.add_argument("--receipt", metavar="FILE", action="append", help="a receipt of this wallet, to compare with")
    parser.add_argument("--live", action="store_true", help="also compare with what the service shows now")


def _payout_key(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--passphrase-file",
        metavar="FILE",
        help="its passphrase (default: SATBOX_PAYOUT_PASSPHRASE in the environment)",
    )


def _nothing(parser: argparse.ArgumentParser) -> None:
    pass


LOCAL: dict[str, tuple[str, Callable[[argparse.ArgumentParser], None]]] = {
    "up": ("run the whole service until Ctrl-C, with its devnet", _up),
    "demo": ("run the whole story on a devnet of its own", _demo),
    "keygen": ("make an agent's keys", _keygen),
    "register": ("register the agent at the devnet", _register),
    "faucet": ("get coins from the devnet", _faucet),
    "resume": ("send open payments again, unchanged", _nothing),
    "shell": ("open a terminal in the sandbox", _shell),
    "call": ("call what another agent sells, paid from your bucket", _call),
    "cp": ("copy files and directories; box:PATH is in the sandbox", _cp),
    "doctor": ("check this machine and the service", _nothing),
    "payoutkey": ("make the key that pays money back", _payout_key),
    "audit": ("prove the books of the service on this machine", _audit),
    "mcp": ("serve the tools over the Model Context Protocol", _mcp),
}

IMAGES: dict[str, tuple[str, Callable[[argparse.ArgumentParser], None]]] = {
    "ls": ("list images and whether they are built", _nothing),
    "build": ("build an image from Debian packages (root)", _image_build),
    "inspect": ("show what an image holds", _image_name),
    "rm": ("remove a built image", _image_name),
}
"""Verbs of `satbox images`: this machine's boot images, no gate needed."""

VERIFY: dict[str, tuple[str, Callable[[argparse.ArgumentParser], None]]] = {
    "ledger": ("check a statement: chain, sums, spans, checkpoint", _check_ledger),
    "receipt": ("check a receipt, or the answer that carries one", _check),
}
"""Verbs of `satbox verify`: no gate needed."""

LOCAL_GROUPS = {"images": ("boot images on this machine", IMAGES), "verify": ("check what the operator signed", VERIFY)}


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
