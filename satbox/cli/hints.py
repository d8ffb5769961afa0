"""What to do about an error, in words of the command line: the gate's own hints speak HTTP."""

import re

from operations.errors import ERRORS

ON_DEVNET = {
    "pair_not_registered": "Run satbox register, wait (a refusal is remembered for ten seconds), run it again.",
    "level_too_low": "Run satbox register --level 2 (Genesis).",
    "payment_insufficient_funds": "Run satbox faucet for coins.",
}
"""On a devnet, where agents register and get coins from the command line."""

_SPEAKS_HTTP = re.compile(r"\b(?:GET|POST|PUT|DELETE)\b|/sandbox/|/gate/|/openapi|`|checkStatusUrl|Client")


def hint_for(code: str, hint: str, *, is_devnet: bool) -> str:
    """The hint to print. One made for the very case is kept, unless it speaks HTTP or Python."""
    if is_devnet and code in ON_DEVNET:
        return ON_DEVNET[code]
    kind = ERRORS.get(code)
    is_general = kind is None or hint == kind.hint
    if is_general or _SPEAKS_HTTP.search(hint):
        return hint if kind is None else kind.on_cli or hint
    return hint
