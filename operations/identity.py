"""Proof of two keys, and the passes that come of it."""

from typing import Any

from pydantic import Field

from operations.codes import IDENTITY
from operations.models import Input, Nothing, Output, Scope, StacksAddress
from operations.registry import Auth, Feature, Operation
from operations.surfaces import NoTool, Option, Tool, Verb


class ChallengeInput(Input):
    """The pair of addresses to prove, and what for."""

    btc_address: str = Field(
        min_length=14, max_length=90, description="Bitcoin address: p2pkh, p2sh-p2wpkh, p2wpkh or p2tr"
    )
    stx_address: StacksAddress
    scope: Scope = Field("owner", description="what the pass will cover")


class Challenge(Output):
    """What to sign: `text` with the Bitcoin key, (`domain`, `message`) by SIP-018 with the Stacks key.

    `domain_hints` and `message_hints` are the same values in the typed form that wallet tools need to sign the
    right bytes.
    """

    challenge: str
    text: str
    domain: dict[str, Any]
    message: dict[str, Any]
    domain_hints: dict[str, Any]
    message_hints: dict[str, Any]
    domain_hex: str
    message_hex: str
    expires_at: str


class ProofInput(Input):
    """Both signatures over one challenge."""

    challenge: str = Field(min_length=16, max_length=4096, description="the challenge that was signed, as it came")
    btc_signature: str = Field(min_length=16, max_length=1024, description="base64: BIP-322 simple or BIP-137")
    stx_signature: str = Field(min_length=130, max_length=132, description="hex, RSV, SIP-018")


class GatePass(Output):
    """A short-lived token for a proven pair; send it as `Authorization: Bearer ...`."""

    token: str
    address: str
    btc_address: str
    level: int
    level_name: str
    scope: str
    expires_at: str


class Revoked(Output):
    """All earlier passes of this wallet are void."""

    address: str
    pass_epoch: int


FEATURE = Feature(
    10,
    (
        Operation(
            "gate.challenge", "POST", "/gate/challenge",
            "Get a challenge to prove a pair of Bitcoin and Stacks addresses.",
            ChallengeInput, Challenge, Auth.NONE,
            errors=("btc_address_unsupported", "btc_network_mismatch", "stx_address_invalid", "stx_network_mismatch"),
            verb=Verb(
                ("challenge",), "get a challenge, to sign with keys kept elsewhere",
                hidden=("btc_address", "stx_address"),
                options=(
                    Option("btc_address", "default: the agent's"),
                    Option("stx_address", "default: the agent's"),
                ),
                run="agents.keys:challenge",
            ),
            tool=NoTool("satbox_prove gets one and signs it; of other keys the server would have no use for a pass"),
        ),
        Operation(
            "gate.prove", "POST", "/gate/prove",
            "Trade both signatures over a challenge for a gate pass.",
            ProofInput, GatePass, Auth.NONE,
            errors=("challenge_invalid", "challenge_expired", "challenge_replayed", "btc_signature_invalid",
                    "stx_signature_invalid", "signature_high_s", "pair_not_registered", "pair_mismatch",
                    "level_too_low", "registry_unavailable"),
            verb=Verb(
                ("prove",), "prove the agent's keys; other verbs do so themselves",
                hidden=("challenge", "btc_signature", "stx_signature"),
                options=(
                    Option(
                        "scope", "what the pass covers", choices=("owner", "exec", "files", "extend"), default="owner",
                    ),
                    Option("challenge", "a challenge signed elsewhere (with both signatures)"),
                    Option("btc_signature", "base64: BIP-322 simple or BIP-137"),
                    Option("stx_signature", "hex, RSV, SIP-018"),
                ),
                run="agents.keys:prove",
            ),
            tool=Tool(
                "satbox_prove",
                text="Prove this server's own keys at the gate (other tools do it by themselves when needed).",
                hidden=("challenge", "btc_signature", "stx_signature"),
            ),
        ),
        Operation(
            "gate.revoke", "POST", "/gate/revoke",
            "Void every gate pass issued for your wallet so far.",
            Nothing, Revoked, Auth.OWNER, scope="owner", errors=IDENTITY,
            verb=Verb(("revoke",), "void every pass issued for your wallet so far"),
            tool=Tool("satbox_revoke_passes", is_destructive=True, is_idempotent=True),
        ),
    ),
)  # fmt: skip
