"""Options of single verbs beside the fields of their operations, and fields that a verb does not show."""

import argparse
from collections.abc import Callable

from satbox.cli.durations import seconds_of

EITHER_WAY = frozenset({("sandbox.visibility", "public")})
"""Flags that can be said, denied (--no-...) and left out: three things."""

HIDDEN = frozenset(
    {
        ("sandbox.exec", "argv"), ("sandbox.exec", "shell"), ("sandbox.exec", "stdin"), ("sandbox.exec", "stream"),
        ("processes.start", "argv"), ("processes.start", "shell"), ("processes.write", "data"),
        ("contexts.run", "stream"), ("routes.set", "routes"),
        ("sandbox.wake", "handle"), ("wake_links.create", "scopes"), ("wake_links.create", "expires_seconds"),
        ("api_keys.create", "scopes"), ("api_keys.create", "payees"), ("api_keys.create", "expires_seconds"),
        ("gate.prove", "challenge"), ("gate.prove", "btc_signature"), ("gate.prove", "stx_signature"),
        ("gate.challenge", "btc_address"), ("gate.challenge", "stx_address"),
        ("stacks.verify_sip018", "network"), ("stacks.verify_message", "network"),  # a common option has that name
    }
)  # fmt: skip
"""Fields that a verb fills in, or asks for, in its own way."""


def paying(parser: argparse.ArgumentParser) -> None:
    """Of every verb that pays."""
    parser.add_argument("--max-sats", type=int, help="the most to pay (default: what --sats says, else 1000)")
    parser.add_argument("--asset", choices=("sBTC", "STX", "USDCx"), help="what to pay with (default: first offer)")
    parser.add_argument("--sponsored", action="store_true", help="let the relay pay the fee")
    parser.add_argument("--wait", action="store_true", help="wait until the payment is confirmed (up to 10 min)")


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
    paying(parser)


def _new_link(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--scope", default="wake", metavar="WHAT", help="wake (with the credit left), topup (pay), or both: wake,topup"
    )
    parser.add_argument("--expires", type=seconds_of, metavar="TIME", help="how long it is good for (default: 30d)")
    parser.add_argument("--svg", metavar="FILE", help="also write its QR code as a picture")


def _new_key(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--scope", metavar="NAMES", help="what it is for, with commas (default: all that is paid from a bucket)"
    )
    parser.add_argument(
        "--payee", action="append", metavar="ADDRESS", help="an agent it may pay; may be given several times"
    )
    parser.add_argument(
        "--expires", type=seconds_of, metavar="DURATION", help="how long it is good for: 30d (default: for ever)"
    )


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
    "api_keys.create": _new_key,
    "sandbox.reclaim": _reclaim,
    "sandbox.meter": _meter,
    "routes.set": _route,
    "files.read": _read,
    "files.write": _write,
    "files.unpack": _write,
}
