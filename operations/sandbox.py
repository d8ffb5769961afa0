"""A sandbox and its life: created, extended, woken, paused, reaped; what it is now, and what happened to it."""

from typing import Any, Literal

from pydantic import Field, SerializerFunctionWrapHandler, model_serializer

from operations.codes import IDENTITY, LINKED, PAYMENT, RUNNING
from operations.models import Amount, CursorInput, Input, Output, Receipt, Reference, SizeClass, StacksAddress, Target
from operations.prices import OnChain
from operations.registry import ANY_LINK, Auth, Feature, Operation
from operations.surfaces import Actions, NoTool, Option, Tool, Verb


class StatusInput(Target):
    """A wallet; a snapshot of up to a second ago unless `fresh`."""

    fresh: bool = Field(False, description="ask the wallet itself, not a snapshot of up to a second ago")


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


class RateInput(Input):
    """A new rate for one wallet (operator)."""

    address: StacksAddress
    rate_usat_per_second: int = Field(ge=0, le=10**12, description="micro-sats a second; 7000 is 0.007 sats")


FEATURE = Feature(
    30,
    (
        Operation(
            "sandbox.create", "POST", "/sandbox/create",
            "Create your wallet's sandbox; answers 402 with offers until it is paid.",
            CreateInput, Paid, Auth.OWNER, price=OnChain("create"), scope="owner",
            errors=(*IDENTITY, *PAYMENT, "already_exists"),
            verb=Verb(("create",), "create your sandbox and pay for it", run="money.buying:buy"),
            tool=Tool("satbox_create"),
        ),
        Operation(
            "sandbox.extend", "POST", "/sandbox/extend",
            "Pay more time for your sandbox, or for somebody else's as a gift; wakes a reaped one.",
            ExtendInput, Paid, Auth.PASS, price=OnChain("extend"), scope="extend", link_scope="topup",
            errors=(*IDENTITY, *PAYMENT, *LINKED, "wallet_not_found", "not_owner"),
            verb=Verb(("extend",), "pay for more time, also as a gift; wakes a reaped one", run="money.buying:buy"),
            tool=Tool("satbox_extend"),
        ),
        Operation(
            "payment.status", "GET", "/payment-status/{payment_id}",
            "See where a payment stands.",
            PaymentInput, PaymentStatus, Auth.NONE, errors=("payment_not_found",), positional=("payment_id",),
            verb=Verb(("payment",), "see where a payment stands"),
            tool=Tool("satbox_payment_status"),
        ),
        Operation(
            "sandbox.status", "GET", "/sandbox/status",
            "See the sandbox's state, balance and how long it lasts.",
            StatusInput, SandboxStatus, Auth.PASS, link_scope=ANY_LINK,
            errors=(*IDENTITY, "wallet_not_found", "wake_link_invalid"), positional=("address",),
            verb=Verb(
                ("status",), "see state, balance and how long it lasts",
                options=(
                    Option("watch", "keep showing it, by the second", "flag"),
                ),
                run="sandbox.status:status", form="sandbox.sandbox_tables:sandbox",
            ),
            tool=Tool("satbox_status"),
        ),
        Operation(
            "sandbox.wake", "POST", "/sandbox/wake",
            "Start a reaped sandbox on the credit that is left.",
            WakeInput, SandboxStatus, Auth.OWNER, scope="owner", link_scope="wake",
            errors=(*IDENTITY, *LINKED, "not_owner", "wallet_not_found", "credit_insufficient", "no_capacity",
                    "start_failed", "budget_reached", "handle_invalid", "handle_not_found",
                    "handle_ambiguous", "registry_unavailable"),
            positional=("address",),
            verb=Verb(
                ("wake",), "wake it with the credit left, or by a wake link",
                help={"address": "whom: a handle, an address, or a wake link's URL; default: your own"},
                hidden=("handle",),
                options=(
                    Option("link", "a wake link, as URL or token; - reads it from standard input", metavar="LINK"),
                    Option(
                        "pay", "pay for so much time (1h, 2d), also as a gift; that wakes it", "duration",
                        metavar="TIME",
                    ),
                ),
                may_pay=True, run="money.waking:wake", form="sandbox.sandbox_tables:sandbox",
            ),
            tool=Tool("satbox_wake"),
        ),
        Operation(
            "sandbox.reap", "POST", "/sandbox/reap",
            "Stop the sandbox and stop paying; the workspace and the credit are kept.",
            ReapInput, SandboxStatus, Auth.OWNER, scope="owner", errors=(*IDENTITY, "wallet_not_found"),
            positional=("address",),
            verb=Verb(
                ("reap",), "stop the sandbox; workspace and credit are kept",
                options=(
                    Option("yes", "confirms --destroy", "flag"),
                ),
                run="sandbox.status:reap", form="sandbox.sandbox_tables:sandbox",
            ),
            tool=Tool("satbox_reap", is_destructive=True, is_idempotent=True),
        ),
        Operation(
            "sandbox.pause", "POST", "/sandbox/pause",
            "Freeze the sandbox: it keeps its memory, burns no CPU and pays a lower rate.",
            Target, SandboxStatus, Auth.OWNER, scope="owner", errors=(*RUNNING, "pause_unavailable"),
            positional=("address",),
            verb=Verb(("pause",), "freeze it: memory kept, no CPU, a lower rate", form="sandbox.sandbox_tables:sandbox"),
            tool=Tool(
                "satbox_pause", is_idempotent=True,
                actions=Actions({"pause": "sandbox.pause", "resume": "sandbox.resume"}, "resume lets a paused sandbox run on"),
            ),
        ),
        Operation(
            "sandbox.resume", "POST", "/sandbox/resume",
            "Let a paused sandbox run on.",
            Target, SandboxStatus, Auth.OWNER, scope="owner",
            errors=(*RUNNING, "pause_unavailable", "budget_reached"), positional=("address",),
            verb=Verb(("unpause",), "let a paused sandbox run on", form="sandbox.sandbox_tables:sandbox"),
            tool=NoTool("satbox_pause resumes too"),
        ),
        Operation(
            "sandbox.events", "GET", "/sandbox/events",
            "Follow what happens to your wallet.",
            EventsInput, Events, Auth.OWNER, scope="owner", errors=(*IDENTITY, "wallet_not_found"),
            positional=("address",), ends_with_caller=True,
            verb=Verb(
                ("events",), "see what happened to your wallet, or follow it",
                help={
                    "limit": "maximum number of events; the newest, unless --after or --json is given (default: 200)",
                    "after": "only events with a higher number (the first column)",
                    "follow": "show all events, then new ones as they happen, until Ctrl-C",
                },
                run="sandbox.events:events",
            ),
            tool=Tool("satbox_events", hidden=("follow",)),
        ),
        Operation(
            "operator.rate", "POST", "/operator/rate",
            "Set the rate of one wallet.",
            RateInput, SandboxStatus, Auth.OPERATOR, errors=("operator_only", "wallet_not_found"),
            positional=("address", "rate_usat_per_second"),
            verb=Verb(("operator", "rate"), "set the rate of one wallet", form="sandbox.sandbox_tables:sandbox"),
            tool=NoTool("an agent has no operator token"),
        ),
    ),
    verb_groups={"operator": "for the operator"},
)  # fmt: skip
