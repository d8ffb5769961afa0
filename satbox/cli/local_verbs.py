"""The verbs that are not operations of the service, and their options."""

import argparse
from collections.abc import Callable

from satbox.cli.durations import seconds_of

ANSWER_SECONDS = 300
"""As long as a gate waits for the head of a paid answer."""


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


def _shell(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--address", help="the wallet's Stacks address; default: your own")
    parser.add_argument("words", nargs=argparse.REMAINDER, metavar="COMMAND", help="default: the image's shell")


def _call(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("url", help="what is called: ADDRESS-OR-NAME/PORT/PATH, or a whole URL")
    parser.add_argument("--method", default=None, help="default: GET, or POST with data")
    parser.add_argument("--data", metavar="TEXT", help="a body; @FILE reads one, - reads standard input")
    parser.add_argument(
        "--header", action="append", type=_header, metavar="NAME: VALUE", help="may be given several times"
    )
    parser.add_argument("--max-sats", type=int, default=100, help="the most to pay for it (default: 100)")
    parser.add_argument("--raw", action="store_true", help="the answer's body on stdout, nothing else")
    parser.add_argument(
        "--output", metavar="FILE", help="the answer's body into a file; nothing is paid if it can't be"
    )
    parser.add_argument(
        "--timeout",
        type=_answer_seconds,
        default=ANSWER_SECONDS,
        metavar="TIME",
        help="wait so long (default: 5m, the most)",
    )


def _answer_seconds(text: str) -> int:
    seconds = seconds_of(text)
    if seconds > ANSWER_SECONDS:
        raise argparse.ArgumentTypeError(f"{text[:20]!r} is more than {ANSWER_SECONDS} seconds")
    return seconds


def _header(text: str) -> tuple[str, str]:
    name, colon, value = text.partition(":")
    if not name.strip() or not colon:
        raise argparse.ArgumentTypeError(f"{text[:40]!r} is not NAME: VALUE")
    return name.strip(), value.strip()


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

LOCAL_TEXTS = {
    "mcp": "Serve the tools over the Model Context Protocol. An MCP client (an agent's host) starts this by itself and talks to"
    " it on standard input and output: name the command satbox with the argument mcp in its configuration. It pays with the"
    " agent's keys, at most --max-sats in all.",
    "audit": "Prove the books of the service on this machine, running or at rest: every deposit has one confirmed settlement"
    " and the reverse, all money that came in is accounted for to the micro-sat, every charge lies in proven uptime, every"
    " chain is whole. Exits 1 and lists what is off.",
    "cp": "Copy files and directories. One side is box:PATH, a path in the sandbox (relative ones are below /workspace), the"
    " other a path here. Links go along unless they lead out of the"
    " folder; what does not travel is named, and makes the exit code 123.",
}
"""Longer help texts for verbs that are not operations."""
