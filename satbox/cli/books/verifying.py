"""`satbox stacks ...` and `satbox hash ...`: read and check on this machine, without a gate.

Always one JSON object on stdout. Exit 0: valid; 1: the bytes or the signature are not (`error` says why); 2: nothing to judge (no
input, not hex, over a limit; stderr says which). One value may be `-`: it is read from standard input, a message to the byte.
Starts in a fraction of the other verbs' time: imports neither asyncio nor models.
"""

import json
import sys
from argparse import Namespace
from collections.abc import Callable
from typing import Any

from satbox.cli.context import Context
from satbox.cli.errors import OK, REFUSED, USAGE, UsageError, tell, usage_body
from stacks.errors import StacksError
from stacks.network import Network
from stacks.verification import (
    HASH_BYTES_MAX,
    UnusableInput,
    address_report,
    bitcoin_report,
    clarity_report,
    describe_error,
    hash_input,
    hash_report,
    message_report,
    sip018_report,
    transaction_report,
)

STDIN_BYTES_MAX = 2 * HASH_BYTES_MAX
_EXACT = frozenset({"message", "data"})
"""Fields whose every byte counts; white space around the others does not."""


class _Given:
    """The verb's values, one of them perhaps from standard input."""

    def __init__(self, arguments: Namespace) -> None:
        self._arguments = arguments
        self._is_read = False

    def raw(self, name: str) -> bytes | None:
        """Standard input when the field is `-`, otherwise None."""
        if getattr(self._arguments, name, None) != "-":
            return None
        if self._is_read:
            raise UnusableInput(name, "only one value can come from standard input")
        self._is_read = True
        read = sys.stdin.buffer.read(STDIN_BYTES_MAX + 1)
        if len(read) > STDIN_BYTES_MAX:
            raise UnusableInput(name, f"at most {STDIN_BYTES_MAX} bytes")
        return read

    def optional(self, name: str) -> str | None:
        """A field as text; None when it was not given."""
        read = self.raw(name)
        if read is None:
            given: str | None = getattr(self._arguments, name, None)
            return given
        try:
            text = read.decode()
        except UnicodeDecodeError as error:
            raise UnusableInput(name, "not text in UTF-8") from error
        return text if name in _EXACT else text.strip()

    def text(self, name: str) -> str:
        """A field that the parser requires."""
        return self.optional(name) or ""

    @property
    def network(self) -> Network | None:
        """What `--network` names."""
        named = getattr(self._arguments, "network", None)
        return None if named is None else Network(named)


def _hash(given: _Given) -> dict[str, Any]:
    algorithm, encoding = given.text("algorithm"), given.optional("encoding") or "hex"
    raw = given.raw("data")
    return {"valid": True, **hash_report(algorithm, hash_input(given.text("data")) if raw is None else raw, encoding)}


def _sip018(given: _Given) -> dict[str, Any]:
    return sip018_report(
        given.text("domain_hex"),
        given.text("message_hex"),
        given.text("signature"),
        given.optional("address"),
        given.network,
    )


def _message(given: _Given) -> dict[str, Any]:
    return message_report(given.text("message"), given.text("signature"), given.optional("address"), given.network)


READERS: dict[str, Callable[[_Given], dict[str, Any]]] = {
    "stacks.decode_transaction": lambda given: transaction_report(given.text("hex")),
    "stacks.decode_clarity": lambda given: clarity_report(given.text("hex")),
    "stacks.address": lambda given: address_report(given.text("address")),
    "stacks.verify_sip018": _sip018,
    "stacks.verify_message": _message,
    "stacks.verify_btc_message": lambda given: bitcoin_report(
        given.text("address"), given.text("message"), given.text("signature")
    ),
    "hashing.digest": _hash,
}


def read(context: Context) -> int:
    """Run one verb; its exit code."""
    try:
        document = READERS[context.arguments.verb](_Given(context.arguments))
    except UnusableInput as error:
        told = UsageError(str(error), "Give it as an argument, or `-` to read it from standard input.")
        tell(usage_body(told), as_json=context.as_json)
        return USAGE
    except StacksError as error:
        document = {"valid": False, "error": describe_error(error)}
    print(json.dumps(document, ensure_ascii=False))
    return OK if document["valid"] else REFUSED
