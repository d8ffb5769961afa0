"""Who may: passes, challenges, signatures, handles, wake links."""

from operations.errors.kind import (
    CLI_CHECK_KEYS,
    CLI_PROVES_AGAIN,
    TOOL_CHECK_KEYS,
    TOOL_OWNER,
    TOOL_PROVES_AGAIN,
    ErrorKind,
)

KINDS = (
    ErrorKind(
        "pass_missing", 401, "This operation needs a gate pass.", "POST /gate/challenge, sign, POST /gate/prove.",
        on_cli=CLI_PROVES_AGAIN, by_tool=TOOL_PROVES_AGAIN,
    ),
    ErrorKind(
        "pass_invalid", 401, "The gate pass was not issued by this gate.", "Get a new one: POST /gate/challenge.",
        on_cli=CLI_PROVES_AGAIN, by_tool=TOOL_PROVES_AGAIN,
    ),
    ErrorKind(
        "pass_expired", 401, "The gate pass has expired.", "Get a new one: POST /gate/challenge.", on_cli=CLI_PROVES_AGAIN,
        by_tool=TOOL_PROVES_AGAIN,
    ),
    ErrorKind(
        "pass_revoked", 401, "The gate pass was revoked by its owner.", "Get a new one: POST /gate/challenge.",
        on_cli=CLI_PROVES_AGAIN, by_tool=TOOL_PROVES_AGAIN,
    ),
    ErrorKind(
        "scope_missing", 403, "The gate pass does not cover this operation.", "Use a pass with the scope in `details`.",
        on_cli="satbox prove gets a pass for everything.", by_tool=TOOL_OWNER,
    ),
    ErrorKind(
        "not_owner", 403, "Only the wallet's owner may do this.", "Use the owner's gate pass.",
        on_cli="Use the agent that owns the wallet: --agent NAME.",
        by_tool="This wallet is another agent's; leave address out for your own.",
    ),
    ErrorKind(
        "operator_only", 403, "Only the operator may do this.", "Use the operator's token.",
        on_cli="Run it where the service runs, as its user and with its SATBOX_HOME.", by_tool=TOOL_OWNER,
    ),
    ErrorKind(
        "challenge_invalid", 401, "The challenge was not issued by this gate.",
        "POST /gate/challenge and sign what it returns.", on_cli=CLI_CHECK_KEYS, by_tool=TOOL_CHECK_KEYS,
    ),
    ErrorKind(
        "challenge_expired", 401, "The challenge has expired.", "POST /gate/challenge for a new one.", on_cli=CLI_CHECK_KEYS,
        by_tool=TOOL_CHECK_KEYS,
    ),
    ErrorKind(
        "challenge_replayed", 409, "The challenge was already used.", "POST /gate/challenge for a new one.",
        on_cli=CLI_CHECK_KEYS, by_tool=TOOL_CHECK_KEYS,
    ),
    ErrorKind(
        "btc_address_unsupported", 400, "This Bitcoin address type is not supported.",
        "Use p2pkh, p2sh-p2wpkh, p2wpkh or p2tr.",
    ),
    ErrorKind(
        "btc_network_mismatch", 400, "The Bitcoin address belongs to another network.",
        "Use an address of this network.",
    ),
    ErrorKind(
        "btc_signature_invalid", 401, "The Bitcoin signature does not match this address.",
        "Sign the challenge `text` exactly, by BIP-322 simple or BIP-137.", on_cli=CLI_CHECK_KEYS, by_tool=TOOL_CHECK_KEYS,
    ),
    ErrorKind(
        "stx_address_invalid", 400, "This is not a canonical Stacks address.", "Send the c32check text of the address.",
    ),
    ErrorKind(
        "stx_network_mismatch", 400, "The Stacks address belongs to another network.",
        "Use an address of this network.",
    ),
    ErrorKind(
        "stx_signature_invalid", 401, "The SIP-018 signature does not match this address.",
        "Sign the challenge's `domain` and `message` with the hints it prints.", on_cli=CLI_CHECK_KEYS, by_tool=TOOL_CHECK_KEYS,
    ),
    ErrorKind("signature_high_s", 401, "The signature is not in low-S form.", "Sign again with a normalising library."),
    ErrorKind(
        "pair_not_registered", 403, "This pair of addresses is not registered at aibtc.com.",
        "Register at https://aibtc.com first.",
        on_cli="Register both addresses (satbox keygen printed them) at https://aibtc.com. A refusal is remembered "
        "for ten seconds.",
    ),
    ErrorKind(
        "pair_mismatch", 403, "These two addresses are registered, but not together.",
        "Prove the pair that is registered together.",
    ),
    ErrorKind("level_too_low", 403, "The agent's level is too low.", "Reach Genesis (level 2) at https://aibtc.com."),
    ErrorKind(
        "handle_invalid", 400, "The handle is malformed.",
        "Use a display name, an agent id, a BNS name, or a bc1 or Stacks address.",
    ),
    ErrorKind(
        "handle_not_found", 404, "No registered agent has this handle.",
        "Check the spelling at https://aibtc.com/agents.",
    ),
    ErrorKind(
        "handle_ambiguous", 409, "Several agents have this display name.",
        "Use one of the addresses listed in the details.",
    ),
    ErrorKind("registry_unavailable", 503, "The agent registry did not answer.", "Retry shortly.", retryable=True),
    ErrorKind(
        "wake_link_invalid", 401, "The wake link is unknown, revoked, expired or belongs to another wallet.",
        "Ask the agent for a new link.",
    ),
    ErrorKind(
        "wake_link_scope_missing", 403, "The wake link's scopes do not allow this.",
        "Ask the agent for a link with the scope named in the details.",
    ),
    ErrorKind(
        "wake_link_cap_reached", 429, "The wake link's daily limit is reached.", "The limit resets at midnight UTC.",
        retryable=True,
    ),
    ErrorKind(
        "wake_link_not_found", 404, "The wallet has no such wake link.", "GET /sandbox/wake-links lists them.",
        on_cli="satbox wake-link list shows them.", by_tool="satbox_wake_link with action=list shows them.",
    ),
    ErrorKind(
        "wake_links_full", 409, "The wallet has the maximum number of wake links.", "Revoke one first.",
        on_cli="Revoke one first: satbox wake-link revoke.",
    ),
    ErrorKind(
        "spending_key_invalid", 401, "The spending key is unknown, revoked or expired.",
        "Ask the wallet's owner for a new one.",
    ),
    ErrorKind(
        "spending_key_scope", 403, "The spending key is not for this.",
        "Ask its owner for a key with the scope or payee named in the details.",
    ),
    ErrorKind(
        "spending_cap", 403, "This would pass the spending key's cap. Nothing is held.",
        "Wait until `details.resets_at` (null: the cap never resets), ask for less, or ask the owner for a higher cap.",
        on_cli="Wait until the time named in the details, ask for less, or ask the key's owner for a higher cap.",
        by_tool="Wait until the time named in the details, ask for less, or ask the key's owner for a higher cap.",
    ),
    ErrorKind(
        "spending_key_not_found", 404, "The wallet has no such spending key.", "GET /sandbox/api-keys lists them.",
        on_cli="satbox api-key list shows them.", by_tool="satbox_api_key with action=list shows them.",
    ),
    ErrorKind(
        "spending_keys_full", 409, "The wallet has the maximum number of spending keys.", "Revoke one first.",
        on_cli="Revoke one first: satbox api-key revoke.",
    ),
)  # fmt: skip
