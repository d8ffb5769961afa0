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
    _E("not_found", 404, "No such resource.", "See /openapi.json for the routes."),
    _E("method_not_allowed", 405, "This route does not take that method.", "See /openapi.json for the routes."),
    _E("body_too_large", 413, "The request body is over the limit.", "Send less; `details.limit_bytes` is the limit."),
    _E("headers_too_large", 431, "The request headers are over the limit.", "Send shorter headers."),
    _E("request_timeout", 408, "The request did not arrive in time.", "Send its line and headers at once.", retryable=True),
    _E("rate_limited", 429, "Too many requests.", "Wait `retry_after` seconds.", retryable=True),
    _E("overloaded", 503, "The service is overloaded.", "Wait `retry_after` seconds.", retryable=True),
    _E("timeout", 504, "The request timed out.", "Ask for the status before you repeat this.", retryable=True),
    _E("internal", 500, "Internal error.", "Retry; quote `request_id` if it stays.", retryable=True),
    _E("storage_full", 507, "The service's own disk is full.", "Wait `retry_after` seconds; the same request may be repeated.", retryable=True),
    _E("bytes_invalid", 422, "The bytes are not valid for the stated format.", "The details name the problem."),
    # identity
    _E("pass_missing", 401, "This operation needs a gate pass.", "POST /gate/challenge, sign, POST /gate/prove."),
    _E("pass_invalid", 401, "The gate pass was not issued by this gate.", "Get a new one: POST /gate/challenge."),
    _E("pass_expired", 401, "The gate pass has expired.", "Get a new one: POST /gate/challenge."),
    _E("pass_revoked", 401, "The gate pass was revoked by its owner.", "Get a new one: POST /gate/challenge."),
    _E("scope_missing", 403, "The gate pass does not cover this operation.", "Use a pass with the scope in `details`."),
    _E("not_owner", 403, "Only the wallet's owner may do this.", "Use the owner's gate pass."),
    _E("operator_only", 403, "Only the operator may do this.", "Use the operator's token."),
    _E("challenge_invalid", 401, "The challenge was not issued by this gate.", "POST /gate/challenge and sign what it returns."),
    _E("challenge_expired", 401, "The challenge has expired.", "POST /gate/challenge for a new one."),
    _E("challenge_replayed", 409, "The challenge was already used.", "POST /gate/challenge for a new one."),
    _E("btc_address_unsupported", 400, "This Bitcoin address type is not supported.",
       "Use p2pkh, p2sh-p2wpkh, p2wpkh or p2tr."),
    _E("btc_network_mismatch", 400, "The Bitcoin address belongs to another network.", "Use an address of this network."),
    _E("btc_signature_invalid", 401, "The Bitcoin signature does not match this address.",
       "Sign the challenge `text` exactly, by BIP-322 simple or BIP-137."),
    _E("stx_address_invalid", 400, "This is not a canonical Stacks address.", "Send the c32check text of the address."),
    _E("stx_network_mismatch", 400, "The Stacks address belongs to another network.", "Use an address of this network."),
    _E("stx_signature_invalid", 401, "The SIP-018 signature does not match this address.",
       "Sign the challenge's `domain` and `message` with the hints it prints."),
    _E("signature_high_s", 401, "The signature is not in low-S form.", "Sign again with a normalising library."),
    _E("pair_not_registered", 403, "This pair of addresses is not registered at aibtc.com.",
       "Register at https://aibtc.com first."),
    _E("pair_mismatch", 403, "These two addresses are registered, but not together.",
       "Prove the pair that is registered together."),
    _E("level_too_low", 403, "The agent's level is too low.", "Reach Genesis (level 2) at https://aibtc.com."),
    _E("handle_invalid", 400, "The handle is malformed.",
       "Use a display name, an agent id, a BNS name, or a bc1 or Stacks address."),
    _E("handle_not_found", 404, "No registered agent has this handle.", "Check the spelling at https://aibtc.com/agents."),
    _E("handle_ambiguous", 409, "Several agents have this display name.", "Use one of the addresses listed in the details."),
    _E("registry_unavailable", 503, "The agent registry did not answer.", "Retry shortly.", retryable=True),
    _E("wake_link_invalid", 401, "The wake link is unknown, revoked, expired or belongs to another wallet.",
       "Ask the agent for a new link."),
    _E("wake_link_scope_missing", 403, "The wake link's scopes do not allow this.", "Ask the agent for a link with the scope named in the details."),
    _E("wake_link_cap_reached", 429, "The wake link's daily limit is reached.",
       "The limit resets at midnight UTC.", retryable=True),
    _E("wake_link_not_found", 404, "The wallet has no such wake link.", "GET /sandbox/wake-links lists them."),
    _E("wake_links_full", 409, "The wallet has the maximum number of wake links.", "Revoke one first."),
    # spending keys
    _E("spending_key_invalid", 401, "The spending key is unknown, revoked or expired.", "Ask the wallet's owner for a new one."),
    _E("spending_key_scope", 403, "The spending key is not for this.", "Ask its owner for a key with the scope or payee named in the details."),
    _E("spending_cap", 403, "This would pass the spending key's cap. Nothing is held.",
       "Wait until `details.resets_at` (null: the cap never resets), ask for less, or ask the owner for a higher cap."),
    _E("spending_key_not_found", 404, "The wallet has no such spending key.", "GET /sandbox/api-keys lists them."),
    _E("spending_keys_full", 409, "The wallet has the maximum number of spending keys.", "Revoke one first."),
    # payment: refused before anything was broadcast
    _E("payment_required", 402, "This operation must be paid.", "Pay one entry of `accepts` and repeat the request."),
    _E("payment_malformed", 400, "The payment-signature header cannot be decoded.",
       "Send base64 of an x402 v2 PaymentPayload with payload.transaction in hex."),
    _E("payment_version_unsupported", 400, "Only x402 version 2 is supported.", "Use the v2 headers."),
    _E("payment_v1_unsupported", 400, "X-PAYMENT is x402 version 1, which is not supported.",
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
    _E("payment_wrong_recipient", 422, "The transaction pays another recipient.", "Pay `payTo` of the offer."),
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
    _E("payment_in_flight", 409, "The relay holds another sponsored payment with this nonce and may still send it.",
       "Do not sign again: poll /payment-status of `details.paymentId`. To be faster, pay the fee yourself with the same nonce.",
       retryable=True),
    _E("sponsored_unsupported", 422, "Network fees are not sponsored now.",
       "Nothing was sent: sign a payment that carries its own fee."),
    _E("payment_insufficient_funds", 422, "The payer's balance does not cover this payment.", "Fund the payer first."),
    _E("quote_expired", 409, "The quote for this payment has expired.", "Repeat without payment for a new offer."),
    _E("quote_invalid", 400, "The quote was not issued by this service.", "Use an offer of this service unchanged."),
    _E("asset_not_offered", 422, "This asset is not offered now.", "Pay in sBTC, or see `details` for why."),
    _E("payer_on_hold", 403, "An earlier start on credit was never paid.",
       "Pay with `settle=confirmed`, or make the earlier loss good by any confirmed deposit."),
    # calls to what runs inside, paid by outsiders
    _E("order_invalid", 422, "The order is not valid for this call.", "Sign the order that the 402 describes."),
    _E("order_too_small", 422, "The order allows less than the call costs.", "Sign one for `details.sats`."),
    _E("order_expired", 409, "The order has expired, or expires too far in the future.", "Sign a new order that expires within five minutes."),
    _E("order_used", 409, "The order was already used for a call.", "Sign a new order for a new call."),
    _E("order_settled", 409, "The payment is credited already.", "Repeat the request with the same payment."),
    _E("order_limit", 409, "The limit of unconfirmed payments is reached.", "Wait for confirmations, or pay from your bucket."),
    _E("path_ambiguous", 400, "The path could be read in two ways.", "Send it without dot segments, `//` or encoded slashes."),
    _E("routes_limit", 400, "Too many routes.", "Fewer, wider patterns; `details.routes_max` is the limit."),
    _E("traffic_wakes_limit", 429, "The owner's limit of wakes by callers is reached.", "Try again in an hour.",
       retryable=True),
    # payment: after it was presented
    _E("payment_refused", 422, "The relay refused this payment.", "`details.reason` says why; sign a new one."),
    _E("payment_failed", 422, "The payment failed on chain.", "Nothing was credited; sign a new one."),
    _E("payment_not_found", 404, "No such payment.", "Check the id; ids begin with `pay_`."),
    # sandbox
    _E("no_capacity", 503, "No capacity for another sandbox now.", "Nothing was paid; retry later.", retryable=True),
    _E("wallet_not_found", 404, "This wallet has nothing here.", "POST /sandbox/create first."),
    _E("already_exists", 409, "This wallet already has a sandbox.", "Use /sandbox/extend to pay more time. For another image or size class: /sandbox/reap, which keeps the workspace, then create."),
    _E("sandbox_starting", 409, "The sandbox is still starting.", "Retry in a moment.", retryable=True),
    _E("sandbox_reaped", 410, "The sandbox was reaped; its workspace is kept.",
       "POST /sandbox/extend with a payment, or /sandbox/wake with credit left."),
    _E("sandbox_paused", 409, "The sandbox is paused.", "POST /sandbox/resume."),
    _E("budget_reached", 409, "The budget is used up.", "Raise it with POST /sandbox/budget, or wait for the next hour."),
    _E("pause_unavailable", 409, "This sandbox cannot be paused now.", "Keep using it, or POST /sandbox/reap to stop paying."),
    _E("runtime_gone", 410, "That runtime has ended; a newer one may be running.", "GET /sandbox/status for the current runtime."),
    _E("credit_insufficient", 409, "The balance does not cover a wake.", "POST /sandbox/extend with a payment."),
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
    _E("context_busy", 409, "The context is busy.", "Wait for the running code, or interrupt it.", retryable=True),
    _E("snapshot_not_found", 404, "The wallet has no such snapshot.", "GET /sandbox/snapshots lists them."),
    _E("snapshot_in_use", 409, "The next start uses this snapshot.", "Restore another one first, or destroy the sandbox."),
    _E("snapshot_failed", 503, "The workspace could not be saved; it is unchanged.", "Try again.", retryable=True),
    _E("snapshots_full", 409, "The wallet's limit of snapshots, or of bytes in them, is reached.", "Delete one first."),
    _E("bad_gateway", 502, "The server inside the sandbox sent no valid answer.", "See its log: /sandbox/processes."),
    _E("gateway_timeout", 504, "The server inside the sandbox stopped answering.", "See its log: /sandbox/processes."),
    _E("secret_not_found", 404, "The wallet has no such secret.", "GET /sandbox/secrets lists them."),
    _E("secret_limit", 409, "The limit of secrets is reached.", "Delete a secret or store a shorter value; `details` has the limits."),
    _E("secret_name_reserved", 422, "This variable name is reserved.",
       "Choose another name, or set it for one command: `env` of /sandbox/exec."),
    _E("git_unavailable", 409, "This sandbox's image has no git.", "Create a sandbox with an image that has it: agent."),
    _E("clone_failed", 502, "git clone failed.", "`details.stderr` has git's output. Is the host on the allow-list?"),
    _E("archive_invalid", 400, "The archive cannot be read.", "Send a tar, tar.gz or zip, and name its format."),
    _E("path_invalid", 400, "This path cannot be used.", "Use a path below /workspace."),
    _E("path_not_found", 404, "No such file.", "List the directory first."),
    _E("path_exists", 409, "Something is already there.", "Delete it first, choose another name, or move with `overwrite`."),
    _E("path_forbidden", 403, "The sandbox has no permission for this path.", "Use a path below /workspace."),
    _E("disk_full", 507, "The workspace is full.", "Delete files, or move to a larger size class."),
    _E("statement_too_large", 413, "The statement would be too large.", "Ask for a shorter period with `since` and `until`."),
    _E("checkpoint_not_found", 404, "No checkpoint includes this wallet yet.", "Checkpoints are made every hour; ask again later."),
    _E("dispute_target", 422, "This cannot be disputed.", "Name an entry that moved money, or a receipt of this wallet."),
    _E("dispute_too_late", 409, "The dispute window has closed.", "`details.window_seconds` is the window's length."),
    _E("dispute_limit", 409, "Too many disputes are open.", "Wait for a verdict."),
    _E("dispute_not_found", 404, "No such dispute.", "GET /operator/disputes lists them."),
    _E("dispute_state", 409, "The dispute's state does not allow this.", "GET the dispute for its state; a verdict is given once."),
    _E("dispute_amount", 422, "The amount is more than is disputed.", "`details.usat_max` is the maximum."),
    _E("reclaim_running", 409, "Reclaiming is not possible while a sandbox runs.", "Reap it first; the workspace is kept."),
    _E("reclaim_owing", 409, "The wallet has debt or depends on an unconfirmed payment.", "Pay the debt, or wait for the payment to confirm."),
    _E("reclaim_deposit", 422, "This deposit has no reclaimable balance.", "Ask for a new quote."),
    _E("reclaim_not_final", 409, "This deposit could still leave the chain.", "Wait for a few more blocks."),
    _E("reclaim_changed", 409, "The reclaimable balance has changed since the quote.", "Ask for a new quote and sign it."),
    _E("reclaim_limit", 409, "Too many payouts of this wallet are in progress.", "Wait until some have arrived."),
    _E("reclaim_nothing", 409, "Nothing can be reclaimed.", "`details.left_out` says why."),
    _E("payout_not_found", 404, "No such payout.", "GET /operator/payouts lists them."),
    _E("payout_state", 409, "The payout's state does not allow this.", "GET the payout for its state; a signed payout cannot be stopped."),
    _E("payout_limit", 422, "The amount is over the limit for one payout.", "Raise `payouts.payout_max_sats`, or deny it."),
    _E("cursor_invalid", 400, "The cursor is not valid.", "Start again without a cursor."),
    # client side, never on the wire
    _E("max_sats_exceeded", 402, "The offer costs more than `max_sats`.", "Raise `max_sats` or ask for less."),
    _E("unreachable", 503, "The service cannot be reached.", "Is it up? Check the gate address.", retryable=True),
    _E("cannot_start", 500, "The service cannot start here.", "See the message for what is missing."),
    _E("ambiguous", 504, "The payment was sent, but no answer arrived.",
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
