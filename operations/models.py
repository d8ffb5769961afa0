"""What operations take and give, as pydantic models.

Amounts are integers: `*_usat` are micro-sats (1 sat = 1_000_000 usat), `*_sats` whole sats rounded down for reading.
Times are ISO 8601 in UTC under `*_at`, durations carry their unit. Payment fields keep the names x402 clients poll for
(`paymentId`, `checkStatusUrl`; @aibtc/tx-schemas).
"""

import base64
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, SerializerFunctionWrapHandler, model_serializer

SATS_MAX = 10_000_000
"""One tenth of a bitcoin: more in one payment is a mistake."""

StacksAddress = Annotated[str, Field(pattern=r"^S[0-9A-Z]{27,41}$", description="Stacks address in c32check text")]
SizeClass = Literal["nano", "small", "medium"]
Scope = Literal["owner", "exec", "files", "extend"]


class Input(BaseModel):
    """What a caller sends; an unknown field is an error, so that a misspelt one is never ignored."""

    model_config = ConfigDict(extra="forbid")


class Output(BaseModel):
    """What a caller gets."""

    model_config = ConfigDict(extra="ignore")


class Nothing(Input):
    """No input."""


class Target(Input):
    """A wallet, by address; the pass's own when left out."""

    address: StacksAddress | None = Field(None, description="the wallet's Stacks address; default: your own")


class StatusInput(Target):
    """A wallet; a snapshot of up to a second ago unless `fresh`."""

    fresh: bool = Field(False, description="ask the wallet itself, not a snapshot of up to a second ago")


# Identity


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


# Payment


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


class CreateInput(Amount):
    """A new sandbox for the proven wallet."""

    size_class: SizeClass = Field("small", description="how large it is; a larger one costs more a second")
    image: str = Field("base", pattern=r"^[a-z][a-z0-9-]{0,31}$", description="the image it starts from")
    environment: dict[str, str] = Field(
        default_factory=dict, max_length=64, description="a variable for every command; can be given more than once"
    )
    reference: Reference = None


class ExtendInput(Amount):
    """More time for a wallet: one's own, or anybody's as a gift."""

    address: StacksAddress | None = Field(None, description="the wallet's Stacks address; default: your own")
    reference: Reference = None


class PaymentInput(Input):
    """A payment by its id."""

    payment_id: str = Field(pattern=r"^pay_[A-Za-z0-9_-]{1,124}$", description="the payment's id, pay_...")


class PaymentStatus(Output):
    """Where a payment stands, in the words x402 clients poll for. What is not known is left out: AIBTC's client takes no null."""

    paymentId: str  # noqa: N815 - tx-schemas
    status: str
    terminalReason: str | None = None  # noqa: N815
    txid: str | None = None
    blockHeight: int | None = None  # noqa: N815
    payer: str | None = None
    address: str | None = None
    asset: str | None = None
    amount: str | None = None
    expected_usat: int = 0
    credited_usat: int = 0
    retryable: bool = False
    nextSteps: str | None = None  # noqa: N815
    detail: str | None = None
    """Of a payment under way: what it waits for."""
    checkStatusUrl: str  # noqa: N815

    @model_serializer(mode="wrap")
    def _without_nulls(self, serialize: SerializerFunctionWrapHandler) -> dict[str, Any]:
        fields: dict[str, Any] = serialize(self)
        return {name: value for name, value in fields.items() if value is not None}


class Receipt(Output):
    """A statement signed by the operator (Ed25519 over the RFC 8785 form of `statement`)."""

    statement: dict[str, Any]
    signature: str
    public_key: str


# Sandbox


class Grace(Output):
    """Why and how long a sandbox runs on without credit."""

    began_at: str
    deadline_at: str
    cap_at: str
    held_by_payment: str | None = None
    seconds_left: float


class PendingPayment(Output):
    """A payment under way for this wallet."""

    paymentId: str  # noqa: N815
    status: str
    expected_usat: int
    granted_usat: int


class BudgetStatus(Output):
    """What the owner allows, in micro-sats, and what was spent in the present hour. `held`: frozen until the next one."""

    caps_usat_per_hour: dict[str, int] = Field(default_factory=dict)
    spent_usat: dict[str, int] = Field(default_factory=dict)
    max_usat_per_call: int | None = None
    warn_seconds: list[int] | None = None
    held: bool = False


class Earnings(Output):
    """What calls between wallets came to, in micro-sats."""

    earned_usat: int
    """All that callers paid for this wallet's routes."""
    fees_usat: int
    """The operator's share of it."""
    spent_usat: int
    """What this wallet paid for others' routes."""
    reserved_usat: int
    """Set aside for calls under way; what is not needed goes back to the balance."""
    routes: int


class StartFile(Output):
    """How the workspace's `.satbox/start` failed when the sandbox came back; the process's log has its own words.
    `cannot_run`: it is not executable, or the program of its first line (or one that it runs) does not exist.
    """

    state: Literal["cannot_run", "failed"]
    exit_code: int | None = None
    signal: int | None = None
    process_id: str


class SandboxStatus(Output):
    """A wallet and its sandbox at one moment."""

    address: str
    state: Literal["none", "starting", "alive", "grace", "reaped"]
    reason: str | None = None
    runtime_id: str | None = None
    size_class: str
    image: str
    paused: bool = False
    rate_usat_per_second: int
    balance_usat: int
    balance_sats: int
    owed_usat: int
    deposited_usat: int
    charged_usat: int
    seconds_left: float | None = None
    exhausts_at: str | None = None
    burn_usat_per_hour: dict[str, int] = Field(default_factory=dict)
    """What drives the two above, by meter, the most first: the clock exactly, others by their last quarter of an hour."""
    meter_rates: dict[str, int] = Field(default_factory=dict)
    """Micro-sats per unit, by meter, as agreed when the sandbox was started; what is not named is free."""
    budget: BudgetStatus | None = None
    earnings: Earnings | None = None
    start_file: StartFile | None = None
    grace: Grace | None = None
    pending_payments: list[PendingPayment] = Field(default_factory=list)
    snapshot_digest: str | None = None
    version: int
    chain_head: str
    as_of: str


class Paid(Output):
    """The answer to a paid request: `status` is the payment's, `sandbox.state` the sandbox's."""

    status: str
    paymentId: str  # noqa: N815
    checkStatusUrl: str  # noqa: N815
    payment: PaymentStatus
    sandbox: SandboxStatus
    receipt: Receipt | None = None
    message: str | None = None


class ReapInput(Target):
    """Stop the sandbox now; the workspace is kept unless `destroy`."""

    destroy: bool = Field(False, description="also delete the workspace, for good")


class WakeInput(Target):
    """Start the sandbox again on the credit that is left. Whom is said by address or by handle, not by both."""

    size_class: SizeClass | None = Field(None, description="start it at another size; default: as it was")
    handle: str | None = Field(
        None, min_length=1, max_length=100, description="whom, by display name, agent id, BNS name or address"
    )


class ExecInput(Target):
    """A command: `argv`, or one line for the shell."""

    argv: list[str] | None = Field(None, min_length=1, max_length=1024, description="a program and its arguments")
    shell: str | None = Field(None, min_length=1, max_length=131_072, description="one line for the shell")
    cwd: str = Field("/workspace", max_length=4096, description="the folder it runs in")
    env: dict[str, str] = Field(
        default_factory=dict, max_length=256, description="a variable for this command; can be given more than once"
    )
    stdin: str | None = Field(None, max_length=1_500_000, description="base64")
    timeout_seconds: float = Field(60, gt=0, le=3600, description="end it after so many seconds")
    output_limit_bytes: int | None = Field(
        None,
        ge=0,
        le=16_777_216,
        description="keep so many bytes each of stdout and stderr; default: 1048576, with stream all of it",
    )
    stream: bool = Field(False, description="answer with server-sent events as output appears")
    receipt: bool = Field(False, description="also sign what ran, what came out and what it cost; not with stream")


class ExecResult(Output):
    """How a command ended. Exactly one of `exit_code` and `signal` is set. An output that is not UTF-8 is in its `_base64` field,
    and its text is empty. `truncated` counts the bytes that are missing at an output's end.
    """

    exit_code: int | None = None
    signal: int | None = None
    oom_killed: bool = False
    timed_out: bool = False
    stdout: str = ""
    stderr: str = ""
    stdout_base64: str | None = None
    stderr_base64: str | None = None
    truncated: dict[str, int] = Field(default_factory=dict)
    cpu_ms: float | None = None
    max_rss_bytes: int | None = None
    duration_ms: float | None = None
    start_error: str | None = None
    evidence: str = "host"
    runtime_id: str | None = None
    receipt: Receipt | None = None
    receipt_salt: str | None = None


def delivered(result: ExecResult, name: Literal["stdout", "stderr"]) -> bytes:
    """An output's bytes as the answer carries them: text, or base64 where they are no text. ValueError when it is neither."""
    encoded: str | None = getattr(result, f"{name}_base64")
    text: str = getattr(result, name)
    return text.encode() if encoded is None else base64.b64decode(encoded, validate=True)


class PathInput(Target):
    """A path; relative ones are below /workspace."""

    path: str = Field(min_length=1, max_length=4096, description="a path; relative ones are below /workspace")


class WriteInput(PathInput):
    """A file to write."""

    mode: str | None = Field(
        None, pattern=r"^[0-7]{3,4}$",
        description="the file's mode in octal, such as 755; default: the mode it has, 644 if it is new",
    )  # fmt: skip


class MoveInput(PathInput):
    """Move or rename."""

    to: str = Field(min_length=1, max_length=4096, description="the new path")
    overwrite: bool = Field(False, description="replace a file, or an empty directory, that is there already")


class FileInfo(Output):
    """One file, directory or link."""

    path: str
    name: str
    kind: str
    size_bytes: int
    mode: int | None = None
    modified_at: str | None = None
    target: str | None = Field(None, description="where a link leads, as it is written in it")


class FileList(Output):
    """What is in a directory."""

    path: str
    entries: list[FileInfo]
    truncated: bool = False


class Done(Output):
    """It is done."""

    ok: bool = True
    path: str | None = None
    size_bytes: int | None = None


class CursorInput(Target):
    """A page after a cursor."""

    after: int = Field(0, ge=0, description="leave out what is numbered up to this (seq)")
    limit: int = Field(200, ge=1, le=1000, description="at most so many, from the oldest on")


class EventsInput(CursorInput):
    """Events after a cursor; a stream when the caller accepts `text/event-stream`."""

    follow: bool = Field(False, description="go on with what happens next, until interrupted")


class Event(Output):
    """Something that happened to a wallet."""

    seq: int
    at: str
    type: str
    data: dict[str, Any]


class Events(Output):
    """A page of events."""

    items: list[Event]
    next_cursor: int
    has_more: bool


class Span(Output):
    """A stretch of proven uptime at one rate, and its charge."""

    seq: int
    runtime_id: str
    boot_id: str
    from_ms: int
    to_ms: int
    elapsed_ms: int
    rate_usat_per_second: int
    remainder_before: int
    remainder_after: int
    charge_usat: int
    arithmetic: str


class MeterExplanation(Output):
    """Every charge of a wallet, to check by hand."""

    spans: list[Span]
    charged_usat: int
    journal_charged_usat: int
    matches: bool


class RateInput(Input):
    """A new rate for one wallet (operator)."""

    address: StacksAddress
    rate_usat_per_second: int = Field(ge=0, le=10**12, description="micro-sats a second; 7000 is 0.007 sats")


class Health(Output):
    """Whether the service and its parts work."""

    status: Literal["ok", "degraded"]
    version: str
    network: str
    parts: dict[str, str]
