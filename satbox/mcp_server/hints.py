"""What to do about an error, in words of the tools: the gate's own hints speak HTTP, the client's speak of the command line."""

import re

from operations.errors import ERRORS, SatboxError
from satbox.mcp_server.trade_tools import CALL

_ANEW = "Call the tool again: this server proves its keys anew."
_SIGN = "Call satbox_prove: it shows what is wrong with this server's keys."
_FRESH = "Call the tool again: a new payment is signed."
_REPORT = "Nothing was paid. Tell the owner: this server and the gate do not speak the same version or network."
_MONEY = "See satbox_status; satbox_extend pays, and wakes the sandbox."
_OWNER = "Only your owner can do this, on the command line."

HINTS = {
    "invalid_request": "See the message and the details, and the tool's arguments.",
    "not_found": "Check the arguments; satbox_health shows whether this is the gate that you mean.",
    "method_not_allowed": _REPORT,
    "body_too_large": "Send less at once.",
    "rate_limited": "Wait retry_after seconds, then call again.",
    "overloaded": "Wait retry_after seconds, then call again.",
    "timeout": "See satbox_status before you repeat this.",
    "internal": "Call again; if it stays, tell your owner the request_id.",
    "pass_missing": _ANEW,
    "pass_invalid": _ANEW,
    "pass_expired": _ANEW,
    "pass_revoked": _ANEW,
    "scope_missing": _OWNER,
    "not_owner": "This wallet is another agent's; leave address out for your own.",
    "operator_only": _OWNER,
    "challenge_invalid": _SIGN,
    "challenge_expired": _SIGN,
    "challenge_replayed": _SIGN,
    "btc_signature_invalid": _SIGN,
    "stx_signature_invalid": _SIGN,
    "spending_cap": "Wait until the time named in the details, ask for less, or ask the key's owner for a higher cap.",
    "spending_key_not_found": "satbox_api_key with action=list shows them.",
    "wake_link_not_found": "satbox_wake_link with action=list shows them.",
    "payment_required": "satbox_create, satbox_extend and satbox_bucket pay by themselves.",
    "payment_malformed": _REPORT,
    "payment_version_unsupported": _REPORT,
    "payment_v1_unsupported": _REPORT,
    "payment_payload_unsupported": _REPORT,
    "payment_wrong_recipient": _REPORT,
    "payment_identifier_invalid": _REPORT,
    "payment_identifier_conflict": _FRESH,
    "payment_target_conflict": _FRESH,
    "payment_amount_insufficient": _FRESH,
    "payment_signature_invalid": _FRESH,
    "payment_post_conditions_abort": _FRESH,
    "payment_nonce_stale": "Call again in a moment: the next nonce is asked for.",
    "payment_nonce_gap": "Call again in a moment; if it stays, tell your owner.",
    "payment_in_flight": "Do not pay again: satbox_payment_status shows where the payment in the details stands.",
    "sponsored_unsupported": "Nothing was paid. Call again with sponsored=false.",
    "payment_insufficient_funds": "Ask your owner for coins, or pay in another coin: asset.",
    "payment_refused": "Nothing was paid. Call again for a new payment, or name another coin: asset.",
    "payment_failed": "Nothing was credited. Call again for a new payment.",
    "payment_not_found": "Check the id: paying tools return it, and it begins with pay_.",
    "quote_expired": _FRESH,
    "quote_invalid": _FRESH,
    "asset_not_offered": "Name one that is offered, or leave asset out.",
    "payer_on_hold": "Put money in with satbox_bucket and wait for its confirmation: any confirmed deposit makes the loss good.",
    "order_invalid": "Check the address in the url: it is whom you pay.",
    "order_too_small": "The price has gone up meanwhile; call again with a higher max_sats.",
    "order_expired": "Ask your owner to check this machine's clock, then call again.",
    "order_used": "Call again: a new order is signed.",
    "order_settled": "Call again.",
    "order_limit": "Wait for confirmations (satbox_payment_status), or fill the bucket (satbox_bucket) and call again.",
    "path_ambiguous": "Write the path without dots alone, doubled slashes, semicolons and encoded slashes.",
    "routes_limit": "Remove some, or make patterns wider: one with * covers all that begin so.",
    "wallet_not_found": "Call satbox_create first; satbox_bucket alone fills a bucket.",
    "already_exists": "satbox_extend pays more time. For another image or size: satbox_reap (the workspace is kept), then"
    " satbox_create.",
    "sandbox_starting": "Call again in a moment; satbox_status shows where it is.",
    "sandbox_reaped": "satbox_wake if there is credit left, else satbox_extend.",
    "sandbox_paused": "satbox_pause with action=resume lets it run on.",
    "budget_reached": "Your owner can raise the budget; its next hour lets the sandbox run on by itself.",
    "pause_unavailable": "Go on using it, or satbox_reap to stop paying.",
    "runtime_gone": "See satbox_status; satbox_wake starts it again.",
    "credit_insufficient": _MONEY,
    "start_failed": "satbox_wake tries again.",
    "node_unavailable": "Call again in a moment; satbox_health shows the parts.",
    "process_not_found": "satbox_list_processes shows them.",
    "port_closed": "Start the server (satbox_start_process), then wait for its port (satbox_wait_process).",
    "range_invalid": "satbox_stat_file shows its size.",
    "snapshot_not_found": "satbox_list_snapshots shows them.",
    "bad_gateway": "See what the server writes: satbox_process_logs.",
    "gateway_timeout": "See what the server writes: satbox_process_logs.",
    "secret_not_found": "satbox_list_secrets shows them.",
    "secret_limit": "Delete one (satbox_delete_secret); your owner sets them.",
    "clone_failed": "See what git said in the details; the operator may not allow this host.",
    "path_not_found": "See satbox_list_files.",
    "path_exists": "Delete it first (satbox_delete_file), or choose another name.",
    "request_timeout": "Call again.",
    "storage_full": "The service's own disk is full: wait retry_after seconds, then call again.",
    "secret_name_reserved": "Choose another name, or set it for one command: env of satbox_exec.",
    "disk_full": "Delete something (satbox_delete_file), or move to a larger size.",
    "statement_too_large": _OWNER,
    "dispute_too_late": _OWNER,
    "dispute_not_found": _OWNER,
    "dispute_amount": _OWNER,
    "reclaim_nothing": _OWNER,
    "payout_not_found": _OWNER,
    "payout_limit": _OWNER,
    "max_sats_exceeded": "Give a higher max_sats, or ask for less. What a session may pay is your owner's to raise.",
    "unreachable": "Call again in a moment; if it stays, tell your owner that the gate does not answer.",
    "ambiguous": "Do not pay anew: repeat the same call with the same arguments, and the same payment is repeated.",
}
"""By error code. A code that is missing has a general hint that fits here too."""

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
        return known or HINTS.get(error.code, error.hint)
    return error.hint
