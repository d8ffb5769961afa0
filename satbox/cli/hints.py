"""What to do about an error, in words of the command line: the gate's own hints speak HTTP."""

import re

from operations.errors import ERRORS

_ANEW = "Run the command again: it proves anew. (satbox prove shows what the gate says.)"
_SIGN = "Run satbox prove: it signs with the agent's keys. For keys elsewhere, sign what satbox challenge prints."
_FRESH = "Run the command again: it signs a new payment."
_REPORT = "Nothing was paid. Check that --gate is the gate that you mean, and of this version."

HINTS = {
    "invalid_request": "See the fields named above, and the verb's --help.",
    "not_found": "Check --gate; satbox --help lists what there is.",
    "method_not_allowed": "Check --gate, and that it is of this version.",
    "body_too_large": "Send less at once.",
    "headers_too_large": "Use shorter arguments.",
    "rate_limited": "Wait a moment and run it again.",
    "order_invalid": "Check the address in the URL: it is whom you pay.",
    "order_too_small": "The price has gone up meanwhile; run it again with a higher --max-sats.",
    "order_expired": "Check this machine's clock, then run it again.",
    "order_used": "Run it again: it signs a new order.",
    "order_settled": "Run it again.",
    "order_limit": "Wait for confirmations, or satbox deposit and call again.",
    "path_ambiguous": "Write the path without dots alone, doubled slashes, semicolons and encoded slashes.",
    "routes_limit": "Make patterns wider: one with * covers all that begin so.",
    "traffic_wakes_limit": "Try again in an hour; its owner can wake it, or set --wakes-per-hour.",
    "wake_link_not_found": "satbox wake-link list shows them.",
    "spending_cap": "Wait until the time named in the details, ask for less, or ask the key's owner for a higher cap.",
    "spending_key_not_found": "satbox api-key list shows them.",
    "spending_keys_full": "Revoke one first: satbox api-key revoke.",
    "wake_links_full": "Revoke one first: satbox wake-link revoke.",
    "sandbox_paused": "Run satbox unpause.",
    "budget_reached": "Raise it: satbox budget --max-sats-per-hour N (satbox budget alone shows it, --remove lifts it);"
    " the next hour lets it run on by itself.",
    "pause_unavailable": "Go on using it, or satbox reap to stop paying.",
    "process_not_found": "satbox processes list shows them.",
    "snapshot_not_found": "satbox snapshots list shows them.",
    "bad_gateway": "See what the server writes: satbox processes logs.",
    "gateway_timeout": "See what the server writes: satbox processes logs.",
    "secret_not_found": "satbox secrets list shows them.",
    "secret_limit": "Delete one, or keep less in it.",
    "clone_failed": "See what git said above; the operator may not allow this host.",
    "range_invalid": "satbox files stat shows its size.",
    "overloaded": "Wait a moment and run it again.",
    "timeout": "See satbox status before you run it again.",
    "internal": "Run it again; if it stays, give the operator the request_id.",
    "pass_missing": _ANEW,
    "pass_invalid": _ANEW,
    "pass_expired": _ANEW,
    "pass_revoked": _ANEW,
    "scope_missing": "satbox prove gets a pass for everything.",
    "not_owner": "Use the agent that owns the wallet: --agent NAME.",
    "operator_only": "Run it where the service runs, as its user and with its SATBOX_HOME.",
    "challenge_invalid": _SIGN,
    "challenge_expired": _SIGN,
    "challenge_replayed": _SIGN,
    "btc_signature_invalid": _SIGN,
    "stx_signature_invalid": _SIGN,
    "pair_not_registered": "Register both addresses (satbox keygen printed them) at https://aibtc.com. A refusal is remembered"
    " for ten seconds.",
    "payment_required": "Run satbox create or satbox extend: they pay by themselves.",
    "payment_malformed": _REPORT,
    "payment_version_unsupported": _REPORT,
    "payment_v1_unsupported": _REPORT,
    "payment_payload_unsupported": _REPORT,
    "payment_wrong_recipient": _REPORT,
    "payment_identifier_conflict": _FRESH,
    "payment_identifier_invalid": _REPORT,
    "payment_target_conflict": _FRESH,
    "payment_wrong_network": "Name the network the gate works on: --network.",
    "payment_wrong_asset": "Name another coin with --asset.",
    "payment_amount_insufficient": _FRESH,
    "payment_signature_invalid": _FRESH,
    "payment_sender_mismatch": _FRESH,
    "payment_to_self": "Use another agent: --agent NAME.",
    "payment_post_conditions_abort": _FRESH,
    "payment_fee_too_low": "Run it again, or let the relay pay the fee: --sponsored.",
    "payment_nonce_stale": "Run it again in a moment: it asks for the next nonce.",
    "payment_nonce_gap": "Run it again in a moment; check --stacks-api if it stays.",
    "payment_in_flight": "Do not pay again: satbox payment PAYMENT-ID shows where it stands. Without --sponsored it is faster.",
    "sponsored_unsupported": "Nothing was paid. Run it again without --sponsored.",
    "payment_insufficient_funds": "Send coins to the agent's Stacks address, or pay in another coin with --asset.",
    "quote_expired": _FRESH,
    "quote_invalid": _FRESH,
    "asset_not_offered": "Name one that is offered with --asset, or leave --asset out.",
    "payer_on_hold": "Pay from another agent and wait for the confirmation; any confirmed deposit makes the loss good.",
    "payment_refused": "Nothing was paid. Run it again for a new payment, or name another coin with --asset.",
    "payment_failed": "Nothing was credited. Run satbox create or satbox extend again for a new payment.",
    "payment_not_found": "Check the id: satbox create and satbox extend print it, and it begins with pay_.",
    "no_capacity": "Nothing was paid; try again later, or a smaller --size-class.",
    "wallet_not_found": "Run satbox create first.",
    "already_exists": "Run satbox extend to pay more time. For another image or size: satbox reap (the workspace is kept; with"
    " --destroy it is not), then satbox create --image NAME.",
    "sandbox_starting": "Run it again in a moment; satbox status shows where it is.",
    "sandbox_reaped": "Run satbox wake if there is credit left, else satbox extend.",
    "runtime_gone": "See satbox status; satbox wake starts it again.",
    "credit_insufficient": "Run satbox extend: it pays, and wakes the sandbox.",
    "start_failed": "Run satbox wake to try again.",
    "node_unavailable": "Run it again in a moment; satbox health shows the parts.",
    "path_not_found": "See satbox files list.",
    "path_exists": "Delete it first (satbox files delete), or choose another name.",
    "request_timeout": "Run it again.",
    "storage_full": "The service's own disk is full: wait a minute, then run it again.",
    "secret_name_reserved": "Choose another name, or set it for one command: satbox exec --env NAME=VALUE.",
    "disk_full": "Delete something (satbox files delete).",
    "statement_too_large": "Name a shorter time with --since and --until.",
    "checkpoint_not_found": "They are made every hour; try again later.",
    "dispute_target": "Name an entry of satbox ledger with --seq, or a receipt of this wallet.",
    "dispute_too_late": "Tell the operator by other ways.",
    "dispute_not_found": "satbox operator disputes ls shows them.",
    "dispute_state": "satbox disputes list shows how it stands.",
    "dispute_amount": "Name less with --usat, or leave it out.",
    "reclaim_running": "Run satbox reap first; the workspace is kept.",
    "reclaim_owing": "Run satbox extend: it pays what is owed.",
    "reclaim_deposit": "Run satbox reclaim again; it shows what can be reclaimed.",
    "reclaim_not_final": "Try again in a minute or two.",
    "reclaim_changed": "Run satbox reclaim again.",
    "reclaim_limit": "See satbox reclaims; try again when some have arrived.",
    "reclaim_nothing": "satbox status shows the balance, satbox reclaims what is on its way.",
    "payout_not_found": "satbox operator payouts ls shows them.",
    "payout_state": "satbox operator payouts ls shows how it stands.",
    "payout_limit": "Raise payouts.payout_max_sats in satbox.toml, or deny it.",
    "cursor_invalid": "Leave --after out.",
    "max_sats_exceeded": "Raise --max-sats, or ask for less with --sats.",
    "unreachable": "Is it up (satbox up)? Check --gate; satbox doctor looks at this machine.",
    "ambiguous": "Do not pay again: satbox resume sends the same payment again, unchanged.",
}
"""By error code. A code that is missing has a general hint that fits here too."""

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
        return HINTS.get(code, hint)
    return hint
