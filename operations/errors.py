"""Every error satbox can answer with, by its stable code.

    SatboxError(code, ...)            what is raised anywhere, caught once at the edge
      .kind -> ErrorKind              HTTP status, whether a retry helps, what to do next
      .funds_moved -> True | False | "unknown"

Branch on `code`, never on text. A code never changes its meaning; the table below is the documentation, and
`/openapi.json` and `design/errors.md` are made from it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

FundsMoved = Literal[True, False, "unknown"]


@dataclass(frozen=True, slots=True)
class ErrorKind:
    """What one error code means to a caller."""

    code: str
    status: int
    message: str
    hint: str
    retryable: bool = False


def _kinds(*kinds: ErrorKind) -> dict[str, ErrorKind]:
    table = {kind.code: kind for kind in kinds}
    if len(table) != len(kinds):
        raise ValueError("an error code is defined twice")
    return table


_E = ErrorKind

ERRORS: Mapping[str, ErrorKind] = _kinds(
    # requests
    _E("invalid_request", 400, "The request does not fit this operation.", "See `details` for the fields at fault."),
    _E("not_found", 404, "There is nothing here.", "See /openapi.json for the routes."),
    _E("method_not_allowed", 405, "This route does not take that method.", "See /openapi.json for the routes."),
    _E("body_too_large", 413, "The request body is over the limit.", "Send less; `details.limit_bytes` is the limit."),
    _E("headers_too_large", 431, "The request headers are over the limit.", "Send shorter headers."),
    _E("rate_limited", 429, "Too many requests.", "Wait `retry_after` seconds.", retryable=True),
    _E("overloaded", 503, "The service is at its limit.", "Wait `retry_after` seconds.", retryable=True),
    _E("timeout", 504, "The answer did not come in time.", "Ask for the status before you repeat this.", retryable=True),
    _E("internal", 500, "Something broke on our side.", "Retry; quote `request_id` if it stays.", retryable=True),
    _E("bytes_invalid", 422, "These bytes are not what they are said to be.", "The problem is among the details."),
    # identity
    _E("pass_missing", 401, "This operation needs a gate pass.", "POST /gate/challenge, sign, POST /gate/prove."),
    _E("pass_invalid", 401, "The gate pass is not one of ours.", "Get a new one: POST /gate/challenge."),
    _E("pass_expired", 401, "The gate pass has expired.", "Get a new one: POST /gate/challenge."),
    _E("pass_revoked", 401, "The gate pass was revoked by its owner.", "Get a new one: POST /gate/challenge."),
    _E("scope_missing", 403, "The gate pass does not cover this operation.", "Use a pass with the scope in `details`."),
    _E("not_owner", 403, "Only the wallet's owner may do this.", "Use the owner's gate pass."),
    _E("operator_only", 403, "Only the operator may do this.", "Use the operator's token."),
    _E("challenge_invalid", 401, "The challenge is not one of ours.", "POST /gate/challenge and sign what it returns."),
    _E("challenge_expired", 401, "The challenge has expired.", "POST /gate/challenge for a new one."),
    _E("challenge_replayed", 409, "The challenge was already used.", "POST /gate/challenge for a new one."),
    _E("btc_address_unsupported", 400, "This kind of Bitcoin address cannot prove itself here.",
       "Use p2pkh, p2sh-p2wpkh, p2wpkh or p2tr."),
    _E("btc_network_mismatch", 400, "The Bitcoin address is of another network.", "Use an address of this network."),
    _E("btc_signature_invalid", 401, "The Bitcoin signature does not prove this address.",
       "Sign the challenge `text` exactly, by BIP-322 simple or BIP-137."),
    _E("stx_address_invalid", 400, "This is not a canonical Stacks address.", "Send the c32check text of the address."),
    _E("stx_network_mismatch", 400, "The Stacks address is of another network.", "Use an address of this network."),
    _E("stx_signature_invalid", 401, "The SIP-018 signature does not prove this address.",
       "Sign the challenge's `domain` and `message` with the hints it prints."),
    _E("signature_high_s", 401, "The signature is not in low-S form.", "Sign again with a normalising library."),
    _E("pair_not_registered", 403, "This pair of addresses is not registered at aibtc.com.",
       "Register at https://aibtc.com first."),
    _E("pair_mismatch", 403, "These two addresses are registered, but not together.",
       "Prove the pair that is registered together."),
    _E("level_too_low", 403, "The agent's level is too low.", "Reach Genesis (level 2) at https://aibtc.com."),
    _E("handle_invalid", 400, "This is no handle that can be looked up.",
       "Use a display name, an agent id, a BNS name, or a bc1 or Stacks address."),
    _E("handle_not_found", 404, "No registered agent has this handle.", "Check the spelling at https://aibtc.com/agents."),
    _E("handle_ambiguous", 409, "Several agents have this display name.", "Use one of the addresses listed in the details."),
    _E("registry_unavailable", 503, "The agent registry did not answer.", "Retry shortly.", retryable=True),
    _E("wake_link_invalid", 401, "This wake link opens nothing here: it is unknown, revoked, expired or another wallet's.",
       "Ask the agent for a new link."),
    _E("wake_link_scope_missing", 403, "The wake link does not cover this.", "Ask the agent for a link with the scope that the details name."),
    _E("wake_link_cap_reached", 429, "The wake link has done all it may today.",
       "It goes on at midnight UTC.", retryable=True),
    _E("wake_link_not_found", 404, "The wallet has no such wake link.", "GET /sandbox/wake-links lists them."),
    _E("wake_links_full", 409, "There are as many wake links as a wallet keeps.", "Revoke one first."),
    # payment: refused before anything was broadcast
    _E("payment_required", 402, "This operation must be paid.", "Pay one entry of `accepts` and repeat the request."),
    _E("payment_malformed", 400, "The payment-signature header cannot be decoded.",
       "Send base64 of an x402 v2 PaymentPayload with payload.transaction in hex."),
    _E("payment_version_unsupported", 400, "Only x402 version 2 is spoken here.", "Use the v2 headers."),
    _E("payment_v1_unsupported", 400, "X-PAYMENT is x402 version 1, which is not spoken here.",
       "Send `payment-signature`; read `payment-required` and `payment-response`."),
    _E("payment_identifier_invalid", 400, "The payment identifier is malformed.", "Use 16-128 of [A-Za-z0-9_-]."),
    _E("payment_identifier_conflict", 409, "This payment identifier was used with another request.",
       "Use a new identifier for a new request."),
    _E("payment_target_conflict", 409, "This payment was already presented for another purpose.",
       "Sign a new payment for this request."),
    _E("payment_wrong_network", 422, "The transaction is for another network.", "Sign for the offered network."),
    _E("payment_multisig_unsupported", 422, "Multi-signature payments are not accepted.", "Pay from a single-key wallet."),
    _E("payment_payload_unsupported", 422, "The transaction is not a token transfer.",
       "Send an STX transfer or a SIP-010 `transfer` call."),
    _E("payment_wrong_asset", 422, "The transaction moves another asset than offered.", "Pay the exact contract offered."),
    _E("payment_wrong_recipient", 422, "The transaction pays somebody else.", "Pay `payTo` of the offer."),
    _E("payment_amount_insufficient", 422, "The transaction pays too little.",
       "Sign a new one for at least `details.required`."),
    _E("payment_signature_invalid", 422, "The transaction is not signed by its origin.", "Sign it again."),
    _E("payment_sender_mismatch", 422, "The transfer's sender argument is not the signer.",
       "Set the sender argument to the paying address."),
    _E("payment_to_self", 422, "Payer and recipient are the same address.", "Pay from another address."),
    _E("payment_post_conditions_abort", 422, "The post-conditions would abort this transfer on chain.",
       "In deny mode add a post-condition that covers the transfer, or ask for an offer in STX (?tokenType=STX). "
       "PyPI x402-stacks 2.0.1 can pay in STX only."),
    _E("payment_fee_too_low", 422, "The fee is below 1 uSTX per byte, so no node would take it.", "Sign with a higher fee."),
    _E("payment_nonce_stale", 409, "The origin nonce is already used.", "Fetch the next nonce and sign again."),
    _E("payment_nonce_gap", 409, "The origin nonce is ahead of the account.", "Fetch the next nonce and sign again."),
    _E("payment_insufficient_funds", 422, "The payer's balance does not cover this payment.", "Fund the payer first."),
    _E("quote_expired", 409, "The quote for this payment has expired.", "Repeat without payment for a new offer."),
    _E("quote_invalid", 400, "The quote is not one of ours.", "Use an offer of this service unchanged."),
    _E("asset_not_offered", 422, "This asset is not offered now.", "Pay in sBTC, or see `details` for why."),
    _E("payer_on_hold", 403, "An earlier start on credit was never paid.",
       "Pay with `settle=confirmed`, or make the earlier loss good by any confirmed deposit."),
    # calls to what runs inside, paid by outsiders
    _E("order_invalid", 422, "This order is not for this call.", "Sign the order that the 402 describes."),
    _E("order_too_small", 422, "The order allows less than the call costs.", "Sign one for `details.sats`."),
    _E("order_expired", 409, "The order's time is over, or too far ahead.", "Sign a new one for at most five minutes."),
    _E("order_used", 409, "This order has paid for a call already.", "Sign a new order for a new call."),
    _E("order_settled", 409, "The payment is credited already.", "Repeat the request with the same payment."),
    _E("order_limit", 409, "Too much is owed on unconfirmed payments.", "Wait for confirmations, or pay from your bucket."),
    _E("path_ambiguous", 400, "The path could be read in two ways.", "Send it without dot segments, `//` or encoded slashes."),
    _E("routes_limit", 400, "Too many routes.", "Fewer, wider patterns; `details.routes_max` is the limit."),
    _E("traffic_wakes_limit", 429, "Callers have woken this sandbox as often as its owner allows.", "Try again in an hour.",
       retryable=True),
    # payment: after it was presented
    _E("payment_refused", 422, "The relay refused this payment.", "`details.reason` says why; sign a new one."),
    _E("payment_failed", 422, "The payment failed on chain.", "Nothing was credited; sign a new one."),
    _E("payment_not_found", 404, "No such payment is known here.", "Check the id; ids begin with `pay_`."),
    # sandbox
    _E("no_capacity", 503, "There is no room for another sandbox now.", "Nothing was paid; retry later.", retryable=True),
    _E("wallet_not_found", 404, "This wallet has nothing here.", "POST /sandbox/create first."),
    _E("already_exists", 409, "This wallet already has a sandbox.", "Use /sandbox/extend to pay more time. For another image or size class: /sandbox/reap, which keeps the workspace, then create."),
    _E("sandbox_starting", 409, "The sandbox is still starting.", "Retry in a moment.", retryable=True),
    _E("sandbox_reaped", 410, "The sandbox was reaped; its workspace is kept.",
       "POST /sandbox/extend with a payment, or /sandbox/wake with credit left."),
    _E("sandbox_paused", 409, "The sandbox is paused.", "POST /sandbox/resume."),
    _E("budget_reached", 409, "Your budget is used up.", "Raise it: POST /sandbox/budget; or wait for its next hour."),
    _E("pause_unavailable", 409, "This sandbox cannot be paused now.", "Go on using it, or POST /sandbox/reap to stop paying."),
    _E("runtime_gone", 410, "That sandbox process is gone; a later one may run.", "Ask /sandbox/status for the runtime."),
    _E("credit_insufficient", 409, "The bucket does not cover a wake.", "POST /sandbox/extend with a payment."),
    _E("start_failed", 503, "The sandbox did not start; your credit is untouched.", "POST /sandbox/wake.", retryable=True),
    _E("node_unavailable", 503, "The sandbox node does not answer.", "Retry shortly.", retryable=True),
    _E("process_not_found", 404, "No such process in this sandbox.", "GET /sandbox/processes lists them."),
    _E("process_ended", 409, "The process has ended.", "Read its log, or start another one."),
    _E("port_closed", 502, "Nobody listens on this port inside the sandbox.", "Start the server, then wait for its port.",
       retryable=True),
    _E("range_invalid", 416, "The file is shorter than that.", "Ask /sandbox/files/stat for its size."),
    _E("context_not_found", 404, "No such code context in this sandbox.", "Create one."),
    _E("context_unavailable", 409, "This sandbox's image has no IPython kernel.", "Create a sandbox with the image python."),
    _E("context_died", 410, "The context's kernel has ended; its variables are gone.", "Create another context."),
    _E("context_busy", 409, "Something runs in this context.", "Wait for it, or interrupt it.", retryable=True),
    _E("snapshot_not_found", 404, "The wallet has no such snapshot.", "GET /sandbox/snapshots lists them."),
    _E("snapshot_in_use", 409, "The next start goes on from this snapshot.", "Restore another one first, or destroy the sandbox."),
    _E("snapshot_failed", 503, "The workspace could not be saved; it is as it was.", "Try again.", retryable=True),
    _E("snapshots_full", 409, "There are as many named snapshots as a wallet keeps.", "Delete one first."),
    _E("bad_gateway", 502, "The server inside the sandbox did not answer as one.", "See its log: /sandbox/processes."),
    _E("gateway_timeout", 504, "The server inside the sandbox fell silent.", "See its log: /sandbox/processes."),
    _E("secret_not_found", 404, "The wallet has no such secret.", "GET /sandbox/secrets lists them."),
    _E("secret_limit", 409, "There is no room for this secret.", "Delete one, or keep less in it; `details` has the limits."),
    _E("git_unavailable", 409, "This sandbox's image has no git.", "Create a sandbox with an image that has it: agent."),
    _E("clone_failed", 502, "git could not clone this.", "`details.stderr` is what git said; is the host on the allow-list?"),
    _E("archive_invalid", 400, "The archive cannot be read.", "Send a tar, tar.gz or zip, and name its format."),
    _E("path_invalid", 400, "This path cannot be used.", "Use a path below /workspace."),
    _E("path_not_found", 404, "No such file.", "List the directory first."),
    _E("path_exists", 409, "Something is already there.", "Delete it first or choose another name."),
    _E("path_forbidden", 403, "The sandbox may not touch this path.", "Use a path below /workspace."),
    _E("disk_full", 507, "The workspace is full.", "Delete something, or move to a larger class."),
    _E("statement_too_large", 413, "The statement would hold too much.", "Name a shorter time: `since`, `until`."),
    _E("checkpoint_not_found", 404, "No checkpoint holds this wallet yet.", "They are made every hour; ask again later."),
    _E("dispute_target", 422, "This cannot be disputed.", "Name an entry that moved money, or a receipt of this wallet."),
    _E("dispute_too_late", 409, "It is too long ago to be disputed.", "`details.window_seconds` is how long there is."),
    _E("dispute_limit", 409, "Too many disputes are open.", "Wait for a verdict."),
    _E("dispute_not_found", 404, "There is no such dispute.", "GET /operator/disputes lists them."),
    _E("dispute_state", 409, "The dispute has gone on, or is over.", "See how it stands; a verdict is given once."),
    _E("dispute_amount", 422, "That is more than is disputed.", "`details.usat_max` is the most."),
    _E("reclaim_running", 409, "Nothing is reclaimed while a sandbox runs.", "Reap it first; the workspace is kept."),
    _E("reclaim_owing", 409, "Something is owed, or leans on a payment under way.", "Pay what is owed first."),
    _E("reclaim_deposit", 422, "This is no deposit of this wallet that anything is left of.", "Ask for a new quote."),
    _E("reclaim_not_final", 409, "This deposit could still leave the chain.", "Wait for a few more blocks."),
    _E("reclaim_changed", 409, "What is left has changed since the quote.", "Ask for a new quote and sign that."),
    _E("reclaim_limit", 409, "Too many payouts of this wallet are under way.", "Wait until some have arrived."),
    _E("reclaim_nothing", 409, "Nothing can be reclaimed.", "`details.left_out` says why."),
    _E("payout_not_found", 404, "There is no such payout.", "GET /operator/payouts lists them."),
    _E("payout_state", 409, "The payout has gone on, or is over.", "See how it stands; once signed it can't be stopped."),
    _E("payout_limit", 422, "This is more than one payout may be.", "Raise `payouts.payout_max_sats`, or deny it."),
    _E("cursor_invalid", 400, "This cursor is not one of ours.", "Start again without a cursor."),
    # client side, never on the wire
    _E("max_sats_exceeded", 402, "The offer costs more than `max_sats`.", "Raise `max_sats` or ask for less."),
    _E("unreachable", 503, "The service cannot be reached.", "Is it up? Check the gate address.", retryable=True),
    _E("cannot_start", 500, "The service cannot start here.", "See the message for what is missing."),
    _E("ambiguous", 504, "The payment was sent and no answer came back.",
       "Do not pay again: repeat the same request with the same payment, or poll its status.", retryable=True),
)  # fmt: skip


class SatboxError(Exception):
    """An outcome a caller must be told about, with a stable code.

    `funds_moved` is the truth at the time of raising: False when nothing was or can be broadcast, True when it was,
    "unknown" when that cannot be told yet.
    """

    def __init__(
        self,
        code: str,
        message: str | None = None,
        *,
        details: Mapping[str, Any] | None = None,
        funds_moved: FundsMoved = False,
        retry_after: int | None = None,
        hint: str | None = None,
    ) -> None:
        self.kind = ERRORS[code]
        self.code = code
        self.message = message or self.kind.message
        self.hint = hint or self.kind.hint
        self.details = dict(details or {})
        self.funds_moved: FundsMoved = funds_moved
        self.retry_after = retry_after
        super().__init__(self.message)

    def __str__(self) -> str:
        return f"{self.code}: {self.message}"

    def __reduce__(self) -> tuple[Any, ...]:
        # Errors cross process boundaries (Ray pickles them), so keyword arguments have to survive.
        return (
            _rebuild,
            (self.code, self.message, self.details, self.funds_moved, self.retry_after, self.hint),
        )

    def body(self, request_id: str) -> dict[str, Any]:
        """The uniform error body every surface prints."""
        error: dict[str, Any] = {
            "code": self.code,
            "message": self.message,
            "retryable": self.kind.retryable,
            "funds_moved": self.funds_moved,
            "hint": self.hint,
            "details": self.details,
        }
        if self.retry_after is not None:
            error["retry_after"] = self.retry_after
        return {"error": error, "request_id": request_id}


def _rebuild(
    code: str,
    message: str,
    details: dict[str, Any],
    funds_moved: FundsMoved,
    retry_after: int | None,
    hint: str,
) -> SatboxError:
    return SatboxError(code, message, details=details, funds_moved=funds_moved, retry_after=retry_after, hint=hint)
