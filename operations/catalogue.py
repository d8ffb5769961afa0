"""The list of operations."""

from operations import models as m
from operations.budget import BUDGET
from operations.checkpoints import CHECKPOINTS
from operations.codes import IDENTITY, LINKED, PATHS, PAYMENT, RUNNING
from operations.contexts import CONTEXTS
from operations.disputes import DISPUTES
from operations.folders import FOLDERS
from operations.git import GIT
from operations.handles import HANDLES
from operations.ledger import LEDGER
from operations.oracle import ORACLE
from operations.prices import OnChain
from operations.processes import PROCESSES
from operations.refunds import REFUNDS
from operations.registry import ANY_LINK, Auth, Body, Operation, Registry
from operations.routes import ROUTES
from operations.secrets import SECRETS
from operations.snapshots import SNAPSHOTS
from operations.spending_keys import SPENDING_KEYS
from operations.usage import USAGE
from operations.verification import VERIFICATION
from operations.visibility import VISIBILITY
from operations.wake_links import WAKE_LINKS

REGISTRY = Registry(
    (
        Operation(
            "gate.challenge", "POST", "/gate/challenge",
            "Get a challenge to prove a pair of Bitcoin and Stacks addresses.",
            m.ChallengeInput, m.Challenge, Auth.NONE, ("challenge",), None,
            no_tool_because="satbox_prove gets one and signs it; of other keys the server would have no use for a pass",
            errors=("btc_address_unsupported", "btc_network_mismatch", "stx_address_invalid", "stx_network_mismatch"),
        ),
        Operation(
            "gate.prove", "POST", "/gate/prove",
            "Trade both signatures over a challenge for a gate pass.",
            m.ProofInput, m.GatePass, Auth.NONE, ("prove",), "satbox_prove",
            errors=("challenge_invalid", "challenge_expired", "challenge_replayed", "btc_signature_invalid",
                    "stx_signature_invalid", "signature_high_s", "pair_not_registered", "pair_mismatch",
                    "level_too_low", "registry_unavailable"),
        ),
        Operation(
            "gate.revoke", "POST", "/gate/revoke",
            "Void every gate pass issued for your wallet so far.",
            m.Nothing, m.Revoked, Auth.OWNER, ("revoke",), "satbox_revoke_passes", errors=IDENTITY, scope="owner",
        ),
        *ORACLE,
        Operation(
            "sandbox.create", "POST", "/sandbox/create",
            "Create your wallet's sandbox; answers 402 with offers until it is paid.",
            m.CreateInput, m.Paid, Auth.OWNER, ("create",), "satbox_create", price=OnChain("create"), scope="owner",
            errors=(*IDENTITY, *PAYMENT, "already_exists"),
        ),
        Operation(
            "sandbox.extend", "POST", "/sandbox/extend",
            "Pay more time for your sandbox, or for somebody else's as a gift; wakes a reaped one.",
            m.ExtendInput, m.Paid, Auth.PASS, ("extend",), "satbox_extend", price=OnChain("extend"),
            errors=(*IDENTITY, *PAYMENT, *LINKED, "wallet_not_found"), link_scope="topup",
        ),
        Operation(
            "payment.status", "GET", "/payment-status/{payment_id}",
            "See where a payment stands.",
            m.PaymentInput, m.PaymentStatus, Auth.NONE, ("payment",), "satbox_payment_status",
            errors=("payment_not_found",), positional=("payment_id",),
        ),
        Operation(
            "sandbox.status", "GET", "/sandbox/status",
            "See the sandbox's state, balance and how long it lasts.",
            m.StatusInput, m.SandboxStatus, Auth.PASS, ("status",), "satbox_status",
            errors=(*IDENTITY, "wallet_not_found", "wake_link_invalid"), positional=("address",), link_scope=ANY_LINK,
        ),
        Operation(
            "sandbox.exec", "POST", "/sandbox/exec",
            "Run a command in your sandbox.",
            m.ExecInput, m.ExecResult, Auth.OWNER, ("exec",), "satbox_exec", scope="exec", errors=RUNNING,
            ends_with_caller=True,
        ),
        Operation(
            "files.read", "GET", "/sandbox/files",
            "Read a file.",
            m.PathInput, None, Auth.OWNER, ("files", "read"), "satbox_read_file",
            body=Body.DOWNLOAD, scope="files", errors=(*PATHS, "range_invalid"), positional=("path",), takes_ranges=True,
            ends_with_caller=True,
        ),
        Operation(
            "files.write", "PUT", "/sandbox/files",
            "Write a file. Missing directories above it are made; it keeps its mode.",
            m.WriteInput, m.Done, Auth.OWNER, ("files", "write"), "satbox_write_file",
            body=Body.UPLOAD, scope="files", errors=(*PATHS, "disk_full", "body_too_large"), positional=("path",),
        ),
        Operation(
            "files.delete", "DELETE", "/sandbox/files",
            "Delete a file or a directory with all in it.",
            m.PathInput, m.Done, Auth.OWNER, ("files", "delete"), "satbox_delete_file",
            scope="files", errors=PATHS, positional=("path",),
        ),
        Operation(
            "files.list", "GET", "/sandbox/files/list",
            "List a directory.",
            m.PathInput, m.FileList, Auth.OWNER, ("files", "list"), "satbox_list_files",
            scope="files", errors=PATHS, positional=("path",),
        ),
        Operation(
            "files.stat", "GET", "/sandbox/files/stat",
            "See what a path is.",
            m.PathInput, m.FileInfo, Auth.OWNER, ("files", "stat"), "satbox_stat_file",
            scope="files", errors=PATHS, positional=("path",),
        ),
        Operation(
            "files.mkdir", "POST", "/sandbox/files/mkdir",
            "Make a directory and its parents.",
            m.PathInput, m.Done, Auth.OWNER, ("files", "mkdir"), "satbox_make_directory",
            scope="files", errors=PATHS, positional=("path",),
        ),
        Operation(
            "files.move", "POST", "/sandbox/files/move",
            "Move or rename a file.",
            m.MoveInput, m.Done, Auth.OWNER, ("files", "move"), "satbox_move_file",
            scope="files", errors=(*PATHS, "path_exists"), positional=("path", "to"),
        ),
        Operation(
            "sandbox.wake", "POST", "/sandbox/wake",
            "Start a reaped sandbox on the credit that is left.",
            m.WakeInput, m.SandboxStatus, Auth.OWNER, ("wake",), "satbox_wake", scope="owner",
            errors=(*IDENTITY, *LINKED, "not_owner", "wallet_not_found", "credit_insufficient", "no_capacity",
                    "start_failed", "budget_reached", "handle_invalid", "handle_not_found",
                    "handle_ambiguous", "registry_unavailable"),
            positional=("address",), link_scope="wake",
        ),
        Operation(
            "sandbox.reap", "POST", "/sandbox/reap",
            "Stop the sandbox and stop paying; the workspace and the credit are kept.",
            m.ReapInput, m.SandboxStatus, Auth.OWNER, ("reap",), "satbox_reap", scope="owner",
            errors=(*IDENTITY, "wallet_not_found"), positional=("address",),
        ),
        Operation(
            "sandbox.pause", "POST", "/sandbox/pause",
            "Freeze the sandbox: it keeps its memory, burns no CPU and pays a lower rate.",
            m.Target, m.SandboxStatus, Auth.OWNER, ("pause",), "satbox_pause", scope="owner",
            errors=(*RUNNING, "pause_unavailable"), positional=("address",),
        ),
        Operation(
            "sandbox.resume", "POST", "/sandbox/resume",
            "Let a paused sandbox run on.",
            m.Target, m.SandboxStatus, Auth.OWNER, ("unpause",), None, scope="owner",
            no_tool_because="satbox_pause resumes too",
            errors=(*RUNNING, "pause_unavailable", "budget_reached"), positional=("address",),
        ),
        *LEDGER,
        Operation(
            "sandbox.meter", "GET", "/sandbox/meter",
            "Check every charge by hand: spans, rate, remainders and sum.",
            m.Target, m.MeterExplanation, Auth.OWNER, ("meter", "explain"), "satbox_meter_explain", scope="owner",
            errors=(*IDENTITY, "wallet_not_found"), positional=("address",),
        ),
        Operation(
            "sandbox.events", "GET", "/sandbox/events",
            "Follow what happens to your wallet.",
            m.EventsInput, m.Events, Auth.OWNER, ("events",), "satbox_events", scope="owner",
            errors=(*IDENTITY, "wallet_not_found"), positional=("address",), ends_with_caller=True,
        ),
        Operation(
            "operator.rate", "POST", "/operator/rate",
            "Set the rate of one wallet.",
            m.RateInput, m.SandboxStatus, Auth.OPERATOR, ("operator", "rate"), None,
            no_tool_because="an agent has no operator token", errors=("operator_only", "wallet_not_found"),
            positional=("address", "rate_usat_per_second"),
        ),
        *FOLDERS,
        *PROCESSES,
        *CONTEXTS,
        *SNAPSHOTS,
        *GIT,
        *SECRETS,
        *USAGE,
        *BUDGET,
        *ROUTES,
        *CHECKPOINTS,
        *DISPUTES,
        *HANDLES,
        *WAKE_LINKS,
        *SPENDING_KEYS,
        *REFUNDS,
        *VERIFICATION,
        *VISIBILITY,
        Operation(
            "service.health", "GET", "/health",
            "See whether the service and its parts work.",
            m.Nothing, m.Health, Auth.NONE, ("health",), "satbox_health",
        ),
        Operation(
            "service.metrics", "GET", "/metrics",
            "Counters and histograms in Prometheus text.",
            m.Nothing, None, Auth.NONE, ("metrics",), None,
            no_tool_because="for scrapers, not for agents", body=Body.TEXT,
        ),
    )
)  # fmt: skip
