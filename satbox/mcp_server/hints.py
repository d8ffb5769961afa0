"""What to do about an error, in words of the tools: the gate's own hints speak HTTP, the client's speak of the command line."""

import re

from operations.errors import ERRORS, SatboxError
from satbox.mcp_server.trade_tools import CALL

OF_CALLS = {
    "not_found": "Nobody sells this there, or not to you: satbox_routes with the seller's address shows what is sold.",
    "credit_insufficient": "Fill your bucket: satbox_bucket with action=deposit and sats; it can be spent once"
    " satbox_payment_status says confirmed.",
    "sandbox_reaped": "The seller's sandbox sleeps: its owner wakes it, and a gift of time may (satbox_extend with its address).",
    "sandbox_paused": "The seller's sandbox is paused: only its owner can let it run on.",
    "port_closed": "The seller's server is not there. Try again later, or tell its owner.",
    "bad_gateway": "The seller's server does not answer as one. Try again later, or tell its owner.",
    "gateway_timeout": "The seller's server fell silent. Try again later, or tell its owner.",
    "ambiguous": "It may have been made, and paid, once. The order ends within two minutes: by then satbox_bucket shows whether"
    " it was paid. Calling again pays anew.",
    "max_sats_exceeded": "Give max_sats as high as the price, if it is worth that to you; what a session may pay is your owner's"
    " to raise.",
    "timeout": "Give a higher timeout_seconds, or try again later.",
    "payment_required": "This call can't be paid from a bucket now: the seller's sandbox may sleep.",
    "invalid_request": "See the message. A url is ADDRESS-OR-NAME/PORT/PATH, or one that satbox_routes shows.",
}
"""Of satbox_call, where the sandbox is another agent's."""

_SPEAKS_OTHERWISE = re.compile(
    r"\b(?:GET|POST|PUT|DELETE)\b|/sandbox/|/gate/|/operator/|/openapi|`|checkStatusUrl|Client|\bsatbox [a-z]"
)


def next_step(error: SatboxError, tool: str | None) -> str:
    """The hint to give. One made for the very case is kept, unless it speaks HTTP, Python or of the command line."""
    is_general = error.hint == ERRORS[error.code].hint
    if is_general or _SPEAKS_OTHERWISE.search(error.hint):
        known = OF_CALLS.get(error.code) if tool == CALL else None
        return known or ERRORS[error.code].by_tool or error.hint
    return error.hint
