"""Reclaiming what is left of deposits, and the payouts that brings."""

from typing import Annotated, Literal

from pydantic import Field

from operations.codes import IDENTITY
from operations.identity import Challenge
from operations.models import Input, Nothing, Output, Target
from operations.registry import Auth, Feature, Operation
from operations.surfaces import NoTool, Option, Verb

PayoutId = Annotated[str, Field(pattern=r"^rcl_[0-9a-f]{32}_[0-9]{1,2}$", description="the payout's id, rcl_...")]


class ReclaimInput(Target):
    """Without a proof: what can be reclaimed, and the challenge that says so. With both signatures over it: do it."""

    deposits: str | None = Field(
        None,
        max_length=400,
        pattern=r"^[a-z0-9_]+(,[a-z0-9_]+)*$",
        description="payment ids with commas between; default: all",
    )
    challenge: str | None = Field(None, max_length=8192, description="the challenge that was signed, as it came")
    btc_signature: str | None = Field(None, max_length=1024, description="base64: BIP-322 simple or BIP-137")
    stx_signature: str | None = Field(None, max_length=132, description="hex, RSV, SIP-018")


class ReclaimItem(Output):
    """A deposit that can be sent back: `atomic` units (sats, micro-STX) arrive at `origin`, `usat` leave the bucket."""

    payment_id: str
    origin: str
    asset: str
    atomic: int
    fee_atomic: int
    usat: int
    fee_usat: int


class LeftOut(Output):
    """A deposit that can't be sent back now, or ever: it stays credit."""

    payment_id: str
    left_usat: int
    reason: Literal["not_final", "fee", "asset", "more"]


class Payout(Output):
    """Money on its way back to where it came from."""

    payout_id: str
    address: str
    recipient: str
    asset: str
    atomic: int
    usat: int
    fee_usat: int
    state: Literal["held", "queued", "approved", "signing", "broadcasting", "mempool", "confirmed", "failed"]
    waits_for: str | None = None
    detail: str | None = None
    txid: str | None = None


class Reclaim(Output):
    """A quote with its challenge, or what was accepted under it. Newest deposits first."""

    status: Literal["quote", "accepted"]
    items: list[ReclaimItem] = Field(default_factory=list)
    left_out: list[LeftOut] = Field(default_factory=list)
    challenge: Challenge | None = None
    reclaim_id: str | None = None
    payouts: list[Payout] = Field(default_factory=list)


class Payouts(Output):
    """Payouts."""

    items: list[Payout]


class PayoutInput(Input):
    """One payout."""

    payout_id: PayoutId


_OPERATOR = ("operator_only", "payout_not_found", "payout_state")
_NO_TOOL = "an agent has no operator token"

FEATURE = Feature(
    210,
    (
        Operation(
            "sandbox.reclaim", "POST", "/sandbox/reclaim",
            "Get what is left of your deposits back to where they came from: first a quote, then with a fresh proof of it.",
            ReclaimInput, Reclaim, Auth.OWNER, scope="owner",
            errors=(*IDENTITY, "wallet_not_found", "reclaim_running", "reclaim_owing", "reclaim_deposit",
                    "reclaim_not_final", "reclaim_changed", "reclaim_limit", "reclaim_nothing",
                    "challenge_invalid", "challenge_expired", "btc_signature_invalid", "stx_signature_invalid",
                    "signature_high_s", "pair_not_registered", "pair_mismatch", "level_too_low",
                    "registry_unavailable"),
            verb=Verb(
                ("reclaim",), "get what is left of deposits back",
                options=(
                    Option("yes", "sign what is shown with both keys, and do it", "flag"),
                ),
                run="money.refunding:reclaim",
            ),
            tool=NoTool("for the owner to decide, with both keys"),
        ),
        Operation(
            "sandbox.reclaims", "GET", "/sandbox/reclaims",
            "See where your payouts stand, newest first.",
            Target, Payouts, Auth.OWNER, scope="owner", errors=(*IDENTITY, "wallet_not_found"),
            verb=Verb(("reclaims",), "see where payouts stand"),
            tool=NoTool("for the owner to read"),
        ),
        Operation(
            "operator.payouts", "GET", "/operator/payouts",
            "List the payouts that are not over, and what they wait for.",
            Nothing, Payouts, Auth.OPERATOR, errors=("operator_only",),
            verb=Verb(("operator", "payouts", "ls"), "list payouts that are not over"),
            tool=NoTool("an agent has no operator token"),
        ),
        Operation(
            "operator.payout_approve", "POST", "/operator/payouts/{payout_id}/approve",
            "Let a payout pass that waits for you or for a limit.",
            PayoutInput, Payout, Auth.OPERATOR, errors=(*_OPERATOR, "payout_limit"), positional=("payout_id",),
            verb=Verb(("operator", "payouts", "approve"), "let a payout pass"),
            tool=NoTool("an agent has no operator token"),
        ),
        Operation(
            "operator.payout_deny", "POST", "/operator/payouts/{payout_id}/deny",
            "Refuse a payout that is not signed yet; its wallet gets the money back.",
            PayoutInput, Payout, Auth.OPERATOR, errors=_OPERATOR, positional=("payout_id",),
            verb=Verb(("operator", "payouts", "deny"), "refuse a payout that is not signed yet"),
            tool=NoTool("an agent has no operator token"),
        ),
    ),
    verb_groups={"operator payouts": "let payouts pass, or not"},
)  # fmt: skip
