"""Proof of two keys, and the passes that come of it."""

from operations import models as m
from operations.codes import IDENTITY
from operations.registry import Auth, Feature, Operation
from operations.surfaces import NoTool, Option, Tool, Verb

FEATURE = Feature(
    10,
    (
        Operation(
            "gate.challenge", "POST", "/gate/challenge",
            "Get a challenge to prove a pair of Bitcoin and Stacks addresses.",
            m.ChallengeInput, m.Challenge, Auth.NONE,
            errors=("btc_address_unsupported", "btc_network_mismatch", "stx_address_invalid", "stx_network_mismatch"),
            verb=Verb(
                ("challenge",), "get a challenge, to sign with keys kept elsewhere",
                hidden=("btc_address", "stx_address"),
                options=(
                    Option("btc_address", "default: the agent's"),
                    Option("stx_address", "default: the agent's"),
                ),
                run="agents:challenge",
            ),
            tool=NoTool("satbox_prove gets one and signs it; of other keys the server would have no use for a pass"),
        ),
        Operation(
            "gate.prove", "POST", "/gate/prove",
            "Trade both signatures over a challenge for a gate pass.",
            m.ProofInput, m.GatePass, Auth.NONE,
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
                run="agents:prove",
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
            m.Nothing, m.Revoked, Auth.OWNER, scope="owner", errors=IDENTITY,
            verb=Verb(("revoke",), "void every pass issued for your wallet so far"),
            tool=Tool("satbox_revoke_passes", is_destructive=True, is_idempotent=True),
        ),
    ),
)  # fmt: skip
