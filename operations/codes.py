"""Error codes that many operations share, by what an operation does."""

IDENTITY = ("pass_missing", "pass_invalid", "pass_expired", "pass_revoked", "scope_missing")
LINKED = ("wake_link_invalid", "wake_link_scope_missing", "wake_link_cap_reached")
RUNNING = (
    *IDENTITY,
    "not_owner",
    "wallet_not_found",
    "sandbox_starting",
    "sandbox_reaped",
    "sandbox_paused",
    "budget_reached",
    "runtime_gone",
    "node_unavailable",
)
PATHS = (*RUNNING, "path_invalid", "path_not_found", "path_forbidden")
PAYMENT = (
    "payment_required", "payment_malformed", "payment_version_unsupported", "payment_v1_unsupported",
    "payment_identifier_invalid", "payment_identifier_conflict", "payment_target_conflict", "payment_wrong_network",
    "payment_multisig_unsupported", "payment_payload_unsupported", "payment_wrong_asset", "payment_wrong_recipient",
    "payment_amount_insufficient", "payment_signature_invalid", "payment_sender_mismatch", "payment_to_self",
    "payment_post_conditions_abort", "payment_fee_too_low", "payment_nonce_stale", "payment_nonce_gap",
    "payment_in_flight", "sponsored_unsupported", "payment_insufficient_funds", "payment_refused", "payment_failed",
    "quote_expired", "quote_invalid",
    "asset_not_offered", "payer_on_hold", "no_capacity", "node_unavailable",
)  # fmt: skip
