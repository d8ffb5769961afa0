"""Payments: refused before anything was sent, or failed afterwards."""

from operations.errors.kind import CLI_OTHER_VERSION, CLI_SIGNS_AGAIN, TOOL_OTHER_VERSION, TOOL_SIGNS_AGAIN, ErrorKind

KINDS = (
    ErrorKind(
        "payment_required", 402, "This operation must be paid.", "Pay one entry of `accepts` and repeat the request.",
        on_cli="Run satbox create or satbox extend: they pay by themselves.",
        by_tool="satbox_create, satbox_extend and satbox_bucket pay by themselves.",
    ),
    ErrorKind(
        "payment_malformed", 400, "The payment-signature header cannot be decoded.",
        "Send base64 of an x402 v2 PaymentPayload with payload.transaction in hex.", on_cli=CLI_OTHER_VERSION,
        by_tool=TOOL_OTHER_VERSION,
    ),
    ErrorKind(
        "payment_version_unsupported", 400, "Only x402 version 2 is supported.", "Use the v2 headers.",
        on_cli=CLI_OTHER_VERSION, by_tool=TOOL_OTHER_VERSION,
    ),
    ErrorKind(
        "payment_v1_unsupported", 400, "X-PAYMENT is x402 version 1, which is not supported.",
        "Send `payment-signature`; read `payment-required` and `payment-response`.", on_cli=CLI_OTHER_VERSION,
        by_tool=TOOL_OTHER_VERSION,
    ),
    ErrorKind(
        "payment_identifier_invalid", 400, "The payment identifier is malformed.", "Use 16-128 of [A-Za-z0-9_-].",
        on_cli=CLI_OTHER_VERSION, by_tool=TOOL_OTHER_VERSION,
    ),
    ErrorKind(
        "payment_identifier_conflict", 409, "This payment identifier was used with another request.",
        "Use a new identifier for a new request.", on_cli=CLI_SIGNS_AGAIN, by_tool=TOOL_SIGNS_AGAIN,
    ),
    ErrorKind(
        "payment_target_conflict", 409, "This payment was already presented for another purpose.",
        "Sign a new payment for this request.", on_cli=CLI_SIGNS_AGAIN, by_tool=TOOL_SIGNS_AGAIN,
    ),
    ErrorKind(
        "payment_wrong_network", 422, "The transaction is for another network.", "Sign for the offered network.",
        on_cli="Name the network the gate works on: --network.",
    ),
    ErrorKind(
        "payment_multisig_unsupported", 422, "Multi-signature payments are not accepted.",
        "Pay from a single-key wallet.",
    ),
    ErrorKind(
        "payment_payload_unsupported", 422, "The transaction is not a token transfer.",
        "Send an STX transfer or a SIP-010 `transfer` call.", on_cli=CLI_OTHER_VERSION, by_tool=TOOL_OTHER_VERSION,
    ),
    ErrorKind(
        "payment_wrong_asset", 422, "The transaction moves another asset than offered.",
        "Pay the exact contract offered.", on_cli="Name another coin with --asset.",
    ),
    ErrorKind(
        "payment_wrong_recipient", 422, "The transaction pays another recipient.", "Pay `payTo` of the offer.",
        on_cli=CLI_OTHER_VERSION, by_tool=TOOL_OTHER_VERSION,
    ),
    ErrorKind(
        "payment_amount_insufficient", 422, "The transaction pays too little.",
        "Sign a new one for at least `details.required`.", on_cli=CLI_SIGNS_AGAIN, by_tool=TOOL_SIGNS_AGAIN,
    ),
    ErrorKind(
        "payment_signature_invalid", 422, "The transaction is not signed by its origin.", "Sign it again.",
        on_cli=CLI_SIGNS_AGAIN, by_tool=TOOL_SIGNS_AGAIN,
    ),
    ErrorKind(
        "payment_sender_mismatch", 422, "The transfer's sender argument is not the signer.",
        "Set the sender argument to the paying address.", on_cli=CLI_SIGNS_AGAIN,
    ),
    ErrorKind(
        "payment_to_self", 422, "Payer and recipient are the same address.", "Pay from another address.",
        on_cli="Use another agent: --agent NAME.",
    ),
    ErrorKind(
        "payment_post_conditions_abort", 422, "The post-conditions would abort this transfer on chain.",
        "In deny mode add a post-condition that covers the transfer, or ask for an offer in STX (?tokenType=STX). "
        "PyPI x402-stacks 2.0.1 can pay in STX only.",
        on_cli=CLI_SIGNS_AGAIN, by_tool=TOOL_SIGNS_AGAIN,
    ),
    ErrorKind(
        "payment_fee_too_low", 422, "The fee is below 1 uSTX per byte, so no node would take it.",
        "Sign with a higher fee.", on_cli="Run it again, or let the relay pay the fee: --sponsored.",
    ),
    ErrorKind(
        "payment_nonce_stale", 409, "The origin nonce is already used.", "Fetch the next nonce and sign again.",
        on_cli="Run it again in a moment: it asks for the next nonce.",
        by_tool="Call again in a moment: the next nonce is asked for.",
    ),
    ErrorKind(
        "payment_nonce_gap", 409, "The origin nonce is ahead of the account.", "Fetch the next nonce and sign again.",
        on_cli="Run it again in a moment; check --stacks-api if it stays.",
        by_tool="Call again in a moment; if it stays, tell your owner.",
    ),
    ErrorKind(
        "payment_in_flight", 409, "The relay holds another sponsored payment with this nonce and may still send it.",
        "Do not sign again: poll /payment-status of `details.paymentId`. To be faster, pay the fee yourself with the "
        "same nonce.",
        retryable=True,
        on_cli="Do not pay again: satbox payment PAYMENT-ID shows where it stands. Without --sponsored it is faster.",
        by_tool="Do not pay again: satbox_payment_status shows where the payment in the details stands.",
    ),
    ErrorKind(
        "sponsored_unsupported", 422, "Network fees are not sponsored now.",
        "Nothing was sent: sign a payment that carries its own fee.",
        on_cli="Nothing was paid. Run it again without --sponsored.",
        by_tool="Nothing was paid. Call again with sponsored=false.",
    ),
    ErrorKind(
        "payment_insufficient_funds", 422, "The payer's balance does not cover this payment.", "Fund the payer first.",
        on_cli="Send coins to the agent's Stacks address, or pay in another coin with --asset.",
        by_tool="Ask your owner for coins, or pay in another coin: asset.",
    ),
    ErrorKind(
        "quote_expired", 409, "The quote for this payment has expired.", "Repeat without payment for a new offer.",
        on_cli=CLI_SIGNS_AGAIN, by_tool=TOOL_SIGNS_AGAIN,
    ),
    ErrorKind(
        "quote_invalid", 400, "The quote was not issued by this service.", "Use an offer of this service unchanged.",
        on_cli=CLI_SIGNS_AGAIN, by_tool=TOOL_SIGNS_AGAIN,
    ),
    ErrorKind(
        "asset_not_offered", 422, "This asset is not offered now.", "Pay in sBTC, or see `details` for why.",
        on_cli="Name one that is offered with --asset, or leave --asset out.",
        by_tool="Name one that is offered, or leave asset out.",
    ),
    ErrorKind(
        "payer_on_hold", 403, "An earlier start on credit was never paid.",
        "Pay with `settle=confirmed`, or make the earlier loss good by any confirmed deposit.",
        on_cli="Pay from another agent and wait for the confirmation; any confirmed deposit makes the loss good.",
        by_tool="Put money in with satbox_bucket and wait for its confirmation: any confirmed deposit makes the loss "
        "good.",
    ),
    ErrorKind(
        "payment_refused", 422, "The relay refused this payment.", "`details.reason` says why; sign a new one.",
        on_cli="Nothing was paid. Run it again for a new payment, or name another coin with --asset.",
        by_tool="Nothing was paid. Call again for a new payment, or name another coin: asset.",
    ),
    ErrorKind(
        "payment_failed", 422, "The payment failed on chain.", "Nothing was credited; sign a new one.",
        on_cli="Nothing was credited. Run satbox create or satbox extend again for a new payment.",
        by_tool="Nothing was credited. Call again for a new payment.",
    ),
    ErrorKind(
        "payment_not_found", 404, "No such payment.", "Check the id; ids begin with `pay_`.",
        on_cli="Check the id: satbox create and satbox extend print it, and it begins with pay_.",
        by_tool="Check the id: paying tools return it, and it begins with pay_.",
    ),
)  # fmt: skip
