"""A sandbox and its life: created, extended, woken, paused, reaped; what it is now, and what happened to it."""

from operations import models as m
from operations.codes import IDENTITY, LINKED, PAYMENT, RUNNING
from operations.prices import OnChain
from operations.registry import ANY_LINK, Auth, Feature, Operation
from operations.surfaces import Actions, NoTool, Option, Tool, Verb

FEATURE = Feature(
    30,
    (
        Operation(
            "sandbox.create", "POST", "/sandbox/create",
            "Create your wallet's sandbox; answers 402 with offers until it is paid.",
            m.CreateInput, m.Paid, Auth.OWNER, price=OnChain("create"), scope="owner",
            errors=(*IDENTITY, *PAYMENT, "already_exists"),
            verb=Verb(("create",), "create your sandbox and pay for it", run="money:buy"),
            tool=Tool("satbox_create"),
        ),
        Operation(
            "sandbox.extend", "POST", "/sandbox/extend",
            "Pay more time for your sandbox, or for somebody else's as a gift; wakes a reaped one.",
            m.ExtendInput, m.Paid, Auth.PASS, price=OnChain("extend"), link_scope="topup",
            errors=(*IDENTITY, *PAYMENT, *LINKED, "wallet_not_found"),
            verb=Verb(("extend",), "pay for more time, also as a gift; wakes a reaped one", run="money:buy"),
            tool=Tool("satbox_extend"),
        ),
        Operation(
            "payment.status", "GET", "/payment-status/{payment_id}",
            "See where a payment stands.",
            m.PaymentInput, m.PaymentStatus, Auth.NONE, errors=("payment_not_found",), positional=("payment_id",),
            verb=Verb(("payment",), "see where a payment stands"),
            tool=Tool("satbox_payment_status"),
        ),
        Operation(
            "sandbox.status", "GET", "/sandbox/status",
            "See the sandbox's state, balance and how long it lasts.",
            m.StatusInput, m.SandboxStatus, Auth.PASS, link_scope=ANY_LINK,
            errors=(*IDENTITY, "wallet_not_found", "wake_link_invalid"), positional=("address",),
            verb=Verb(
                ("status",), "see state, balance and how long it lasts",
                options=(
                    Option("watch", "keep showing it, by the second", "flag"),
                ),
                run="status:status", form="sandbox_tables:sandbox",
            ),
            tool=Tool("satbox_status"),
        ),
        Operation(
            "sandbox.wake", "POST", "/sandbox/wake",
            "Start a reaped sandbox on the credit that is left.",
            m.WakeInput, m.SandboxStatus, Auth.OWNER, scope="owner", link_scope="wake",
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
                may_pay=True, run="waking:wake", form="sandbox_tables:sandbox",
            ),
            tool=Tool("satbox_wake"),
        ),
        Operation(
            "sandbox.reap", "POST", "/sandbox/reap",
            "Stop the sandbox and stop paying; the workspace and the credit are kept.",
            m.ReapInput, m.SandboxStatus, Auth.OWNER, scope="owner", errors=(*IDENTITY, "wallet_not_found"),
            positional=("address",),
            verb=Verb(
                ("reap",), "stop the sandbox; workspace and credit are kept",
                options=(
                    Option("yes", "confirms --destroy", "flag"),
                ),
                run="status:reap", form="sandbox_tables:sandbox",
            ),
            tool=Tool("satbox_reap", is_destructive=True, is_idempotent=True),
        ),
        Operation(
            "sandbox.pause", "POST", "/sandbox/pause",
            "Freeze the sandbox: it keeps its memory, burns no CPU and pays a lower rate.",
            m.Target, m.SandboxStatus, Auth.OWNER, scope="owner", errors=(*RUNNING, "pause_unavailable"),
            positional=("address",),
            verb=Verb(("pause",), "freeze it: memory kept, no CPU, a lower rate", form="sandbox_tables:sandbox"),
            tool=Tool(
                "satbox_pause", is_idempotent=True,
                actions=Actions({"pause": "sandbox.pause", "resume": "sandbox.resume"}, "resume lets a paused sandbox run on"),
            ),
        ),
        Operation(
            "sandbox.resume", "POST", "/sandbox/resume",
            "Let a paused sandbox run on.",
            m.Target, m.SandboxStatus, Auth.OWNER, scope="owner",
            errors=(*RUNNING, "pause_unavailable", "budget_reached"), positional=("address",),
            verb=Verb(("unpause",), "let a paused sandbox run on", form="sandbox_tables:sandbox"),
            tool=NoTool("satbox_pause resumes too"),
        ),
        Operation(
            "sandbox.events", "GET", "/sandbox/events",
            "Follow what happens to your wallet.",
            m.EventsInput, m.Events, Auth.OWNER, scope="owner", errors=(*IDENTITY, "wallet_not_found"),
            positional=("address",), ends_with_caller=True,
            verb=Verb(
                ("events",), "see what happened to your wallet, or follow it",
                help={
                    "limit": "maximum number of events; the newest, unless --after or --json is given (default: 200)",
                    "after": "only events with a higher number (the first column)",
                    "follow": "show all events, then new ones as they happen, until Ctrl-C",
                },
                run="events:events",
            ),
            tool=Tool("satbox_events", hidden=("follow",)),
        ),
        Operation(
            "operator.rate", "POST", "/operator/rate",
            "Set the rate of one wallet.",
            m.RateInput, m.SandboxStatus, Auth.OPERATOR, errors=("operator_only", "wallet_not_found"),
            positional=("address", "rate_usat_per_second"),
            verb=Verb(("operator", "rate"), "set the rate of one wallet", form="sandbox_tables:sandbox"),
            tool=NoTool("an agent has no operator token"),
        ),
    ),
    verb_groups={"operator": "for the operator"},
)  # fmt: skip
