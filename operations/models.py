"""What the models of several features have in common. Each feature's own are in its file, beside its operations.

Amounts are integers: `*_usat` are micro-sats (1 sat = 1_000_000 usat), `*_sats` whole sats rounded down for reading.
Times are ISO 8601 in UTC under `*_at`, durations carry their unit. Payment fields keep the names x402 clients poll for
(`paymentId`, `checkStatusUrl`; @aibtc/tx-schemas).
"""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

SATS_MAX = 10_000_000
"""One tenth of a bitcoin: more in one payment is a mistake."""

StacksAddress = Annotated[str, Field(pattern=r"^S[0-9A-Z]{27,41}$", description="Stacks address in c32check text")]
SizeClass = Literal["nano", "small", "medium"]
Scope = Literal["owner", "exec", "files", "extend"]


class Input(BaseModel):
    """What a caller sends; an unknown field is an error, so that a misspelt one is never ignored."""

    model_config = ConfigDict(extra="forbid", defer_build=True)


class Output(BaseModel):
    """What a caller gets."""

    model_config = ConfigDict(extra="ignore", defer_build=True)


class Nothing(Input):
    """No input."""


class Target(Input):
    """A wallet, by address; the pass's own when left out."""

    address: StacksAddress | None = Field(None, description="the wallet's Stacks address; default: your own")


class Amount(Input):
    """How much to pay for: sats, or the seconds they should buy."""

    sats: int | None = Field(
        None, ge=1, le=SATS_MAX, description="sats to pay for; default: the service's (300 on a fresh one)"
    )
    seconds: int | None = Field(
        None, ge=1, le=366 * 86_400, description="seconds to buy, instead of naming sats; rounded up to whole sats"
    )


Reference = Annotated[
    str | None,
    Field(
        pattern=r"^[\x20-\x7e]{1,64}$",
        description="free text of yours; makes a payment that equals an earlier one another request",
    ),
]
"""Clients exist that hold an equal request for a repetition for minutes (AIBTC's: 15): a reference tells two top-ups apart."""


class Receipt(Output):
    """A statement signed by the operator (Ed25519 over the RFC 8785 form of `statement`)."""

    statement: dict[str, Any]
    signature: str
    public_key: str


class Done(Output):
    """It is done."""

    ok: bool = True
    path: str | None = None
    size_bytes: int | None = None


class CursorInput(Target):
    """A page after a cursor."""

    after: int = Field(0, ge=0, description="leave out what is numbered up to this (seq)")
    limit: int = Field(200, ge=1, le=1000, description="at most so many, from the oldest on")
