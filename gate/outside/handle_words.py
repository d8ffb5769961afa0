"""What kind of handle a text is. Pure; asks nobody.

Kinds as the registry has them (`GET /api/resolve/{identifier}` of aibtc.com). An X handle is shown there as an agent's owner,
but nothing can be looked up by it.
"""

import re
from dataclasses import dataclass

from operations.errors import SatboxError
from stacks import Address, AddressError, Network

HANDLE_CHARS_MAX = 100
_X = re.compile(r"(?:https?://)?(?:www\.)?(?:x|twitter)\.com/", re.IGNORECASE)
_BNS = re.compile(r"[a-z0-9_-]{1,48}(?:\.[a-z0-9_-]{1,48}){0,2}\.btc")
_SEGWIT = re.compile(r"(?:bc|tb|bcrt)1[02-9ac-hj-np-z]{8,87}")
_NAME = re.compile(r"[^\W\d_][\w']*(?: [^\W\d_][\w']*){0,3}")


@dataclass(frozen=True, slots=True)
class Handle:
    """A handle as it is asked for. `kind`: agent-id, bns, display-name, btc, taproot, stx."""

    kind: str
    text: str


def read_handle(text: str) -> Handle:
    """The handle a person wrote. `swift-raven` is the display name "Swift Raven". Raises SatboxError handle_invalid."""
    text = text.strip()
    if not text or len(text) > HANDLE_CHARS_MAX:
        raise _invalid("A handle has 1 to 100 characters.")
    if text.startswith("@") or _X.match(text):
        raise _invalid(
            "X handles cannot be looked up: the registry only shows them. Use the agent's display name, agent id or address."
        )
    lower = text.lower()
    if text.isascii() and text.isdigit():
        if len(text) > 18:
            raise _invalid("No agent id is that long.")
        return Handle("agent-id", str(int(text)))
    if lower.endswith(".btc"):
        if not _BNS.fullmatch(lower):
            raise _invalid("This is no BNS name.")
        return Handle("bns", lower)
    if _SEGWIT.fullmatch(lower):
        return Handle("taproot" if lower.partition("1")[2].startswith("p") else "btc", lower)
    if text[:1] in "Ss" and len(text) > 27 and text.isascii() and text.isalnum():
        try:
            return Handle("stx", str(Address.parse(text.upper()).to_network(Network.MAINNET)))
        except AddressError as error:
            raise _invalid("This is no Stacks address: a character is wrong.") from error
    name = " ".join(text.replace("-", " ").split())
    if not _NAME.fullmatch(name):
        raise _invalid("Use a display name, an agent id, a BNS name, or a bc1 or Stacks address.")
    return Handle("display-name", name)


def _invalid(message: str) -> SatboxError:
    return SatboxError("handle_invalid", message)
