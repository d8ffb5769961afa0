"""A sandbox and what is in it, and the books of its wallet."""

from operations.errors.kind import TOOL_OWNER, TOOL_PAY_MORE, ErrorKind

KINDS = (
    ErrorKind(
        "no_capacity", 503, "No capacity for another sandbox now.", "Nothing was paid; retry later.", retryable=True,
        on_cli="Nothing was paid; try again later, or a smaller --size-class.",
    ),
    ErrorKind(
        "wallet_not_found", 404, "This wallet has nothing here.", "POST /sandbox/create first.",
        on_cli="Run satbox create first.", by_tool="Call satbox_create first; satbox_bucket alone fills a bucket.",
    ),
    ErrorKind(
        "already_exists", 409, "This wallet already has a sandbox.",
        "Use /sandbox/extend to pay more time. For another image or size class: /sandbox/reap, which keeps the "
        "workspace, then create.",
        on_cli="Run satbox extend to pay more time. For another image or size: satbox reap (the workspace is kept; "
        "with --destroy it is not), then satbox create --image NAME.",
        by_tool="satbox_extend pays more time. For another image or size: satbox_reap (the workspace is kept), then "
        "satbox_create.",
    ),
    ErrorKind(
        "sandbox_starting", 409, "The sandbox is still starting.", "Retry in a moment.", retryable=True,
        on_cli="Run it again in a moment; satbox status shows where it is.",
        by_tool="Call again in a moment; satbox_status shows where it is.",
    ),
    ErrorKind(
        "sandbox_reaped", 410, "The sandbox was reaped; its workspace is kept.",
        "POST /sandbox/extend with a payment, or /sandbox/wake with credit left.",
        on_cli="Run satbox wake if there is credit left, else satbox extend.",
        by_tool="satbox_wake if there is credit left, else satbox_extend.",
    ),
    ErrorKind(
        "sandbox_paused", 409, "The sandbox is paused.", "POST /sandbox/resume.", on_cli="Run satbox unpause.",
        by_tool="satbox_pause with action=resume lets it run on.",
    ),
    ErrorKind(
        "budget_reached", 409, "The budget is used up.",
        "Raise it with POST /sandbox/budget, or wait for the next hour.",
        on_cli="Raise it: satbox budget --max-sats-per-hour N (satbox budget alone shows it, --remove lifts it); the "
        "next hour lets it run on by itself.",
        by_tool="Your owner can raise the budget; its next hour lets the sandbox run on by itself.",
    ),
    ErrorKind(
        "pause_unavailable", 409, "This sandbox cannot be paused now.",
        "Keep using it, or POST /sandbox/reap to stop paying.", on_cli="Go on using it, or satbox reap to stop paying.",
        by_tool="Go on using it, or satbox_reap to stop paying.",
    ),
    ErrorKind(
        "runtime_gone", 410, "That runtime has ended; a newer one may be running.",
        "GET /sandbox/status for the current runtime.", on_cli="See satbox status; satbox wake starts it again.",
        by_tool="See satbox_status; satbox_wake starts it again.",
    ),
    ErrorKind(
        "credit_insufficient", 409, "The balance does not cover a wake.", "POST /sandbox/extend with a payment.",
        on_cli="Run satbox extend: it pays, and wakes the sandbox.", by_tool=TOOL_PAY_MORE,
    ),
    ErrorKind(
        "start_failed", 503, "The sandbox did not start; your credit is untouched.", "POST /sandbox/wake.",
        retryable=True, on_cli="Run satbox wake to try again.", by_tool="satbox_wake tries again.",
    ),
    ErrorKind(
        "node_unavailable", 503, "The sandbox node does not answer.", "Retry shortly.", retryable=True,
        on_cli="Run it again in a moment; satbox health shows the parts.",
        by_tool="Call again in a moment; satbox_health shows the parts.",
    ),
    ErrorKind(
        "process_not_found", 404, "No such process in this sandbox.", "GET /sandbox/processes lists them.",
        on_cli="satbox processes list shows them.", by_tool="satbox_list_processes shows them.",
    ),
    ErrorKind("process_ended", 409, "The process has ended.", "Read its log, or start another one."),
    ErrorKind(
        "port_closed", 502, "Nobody listens on this port inside the sandbox.",
        "Start the server, then wait for its port.", retryable=True,
        by_tool="Start the server (satbox_start_process), then wait for its port (satbox_wait_process).",
    ),
    ErrorKind(
        "range_invalid", 416, "The file is shorter than that.", "Ask /sandbox/files/stat for its size.",
        on_cli="satbox files stat shows its size.", by_tool="satbox_stat_file shows its size.",
    ),
    ErrorKind("context_not_found", 404, "No such code context in this sandbox.", "Create one."),
    ErrorKind(
        "context_unavailable", 409, "This sandbox's image has no IPython kernel.",
        "Create a sandbox with the image python.",
    ),
    ErrorKind(
        "context_died", 410, "The context's kernel has ended; its variables are gone.", "Create another context.",
    ),
    ErrorKind(
        "context_busy", 409, "The context is busy.", "Wait for the running code, or interrupt it.", retryable=True,
    ),
    ErrorKind(
        "snapshot_not_found", 404, "The wallet has no such snapshot.", "GET /sandbox/snapshots lists them.",
        on_cli="satbox snapshots list shows them.", by_tool="satbox_list_snapshots shows them.",
    ),
    ErrorKind(
        "snapshot_in_use", 409, "The next start uses this snapshot.",
        "Restore another one first, or destroy the sandbox.",
    ),
    ErrorKind(
        "snapshot_failed", 503, "The workspace could not be saved; it is unchanged.", "Try again.", retryable=True,
    ),
    ErrorKind(
        "snapshots_full", 409, "The wallet's limit of snapshots, or of bytes in them, is reached.", "Delete one first.",
    ),
    ErrorKind(
        "bad_gateway", 502, "The server inside the sandbox sent no valid answer.", "See its log: /sandbox/processes.",
        on_cli="See what the server writes: satbox processes logs.",
        by_tool="See what the server writes: satbox_process_logs.",
    ),
    ErrorKind(
        "gateway_timeout", 504, "The server inside the sandbox stopped answering.", "See its log: /sandbox/processes.",
        on_cli="See what the server writes: satbox processes logs.",
        by_tool="See what the server writes: satbox_process_logs.",
    ),
    ErrorKind(
        "secret_not_found", 404, "The wallet has no such secret.", "GET /sandbox/secrets lists them.",
        on_cli="satbox secrets list shows them.", by_tool="satbox_list_secrets shows them.",
    ),
    ErrorKind(
        "secret_limit", 409, "The limit of secrets is reached.",
        "Delete a secret or store a shorter value; `details` has the limits.", on_cli="Delete one, or keep less in it.",
        by_tool="Delete one (satbox_delete_secret); your owner sets them.",
    ),
    ErrorKind(
        "secret_name_reserved", 422, "This variable name is reserved.",
        "Choose another name, or set it for one command: `env` of /sandbox/exec.",
        on_cli="Choose another name, or set it for one command: satbox exec --env NAME=VALUE.",
        by_tool="Choose another name, or set it for one command: env of satbox_exec.",
    ),
    ErrorKind(
        "git_unavailable", 409, "This sandbox's image has no git.",
        "Create a sandbox with an image that has it: agent.",
    ),
    ErrorKind(
        "clone_failed", 502, "git clone failed.", "`details.stderr` has git's output. Is the host on the allow-list?",
        on_cli="See what git said above; the operator may not allow this host.",
        by_tool="See what git said in the details; the operator may not allow this host.",
    ),
    ErrorKind("archive_invalid", 400, "The archive cannot be read.", "Send a tar, tar.gz or zip, and name its format."),
    ErrorKind("path_invalid", 400, "This path cannot be used.", "Use a path below /workspace."),
    ErrorKind(
        "path_not_found", 404, "No such file.", "List the directory first.", on_cli="See satbox files list.",
        by_tool="See satbox_list_files.",
    ),
    ErrorKind(
        "path_exists", 409, "Something is already there.",
        "Delete it first, choose another name, or move with `overwrite`.",
        on_cli="Delete it first (satbox files delete), or choose another name.",
        by_tool="Delete it first (satbox_delete_file), or choose another name.",
    ),
    ErrorKind("path_forbidden", 403, "The sandbox has no permission for this path.", "Use a path below /workspace."),
    ErrorKind(
        "disk_full", 507, "The workspace is full.", "Delete files, or move to a larger size class.",
        on_cli="Delete something (satbox files delete).",
        by_tool="Delete something (satbox_delete_file), or move to a larger size.",
    ),
    ErrorKind(
        "statement_too_large", 413, "The statement would be too large.",
        "Ask for a shorter period with `since` and `until`.", on_cli="Name a shorter time with --since and --until.",
        by_tool=TOOL_OWNER,
    ),
    ErrorKind(
        "checkpoint_not_found", 404, "No checkpoint includes this wallet yet.",
        "Checkpoints are made every hour; ask again later.", on_cli="They are made every hour; try again later.",
    ),
    ErrorKind(
        "dispute_target", 422, "This cannot be disputed.",
        "Name an entry that moved money, or a receipt of this wallet.",
        on_cli="Name an entry of satbox ledger with --seq, or a receipt of this wallet.",
    ),
    ErrorKind(
        "dispute_too_late", 409, "The dispute window has closed.", "`details.window_seconds` is the window's length.",
        on_cli="Tell the operator by other ways.", by_tool=TOOL_OWNER,
    ),
    ErrorKind("dispute_limit", 409, "Too many disputes are open.", "Wait for a verdict."),
    ErrorKind(
        "dispute_not_found", 404, "No such dispute.", "GET /operator/disputes lists them.",
        on_cli="satbox operator disputes ls shows them.", by_tool=TOOL_OWNER,
    ),
    ErrorKind(
        "dispute_state", 409, "The dispute's state does not allow this.",
        "GET the dispute for its state; a verdict is given once.", on_cli="satbox disputes list shows how it stands.",
    ),
    ErrorKind(
        "dispute_amount", 422, "The amount is more than is disputed.", "`details.usat_max` is the maximum.",
        on_cli="Name less with --usat, or leave it out.", by_tool=TOOL_OWNER,
    ),
    ErrorKind(
        "reclaim_running", 409, "Reclaiming is not possible while a sandbox runs.",
        "Reap it first; the workspace is kept.", on_cli="Run satbox reap first; the workspace is kept.",
    ),
    ErrorKind(
        "reclaim_owing", 409, "The wallet has debt or depends on an unconfirmed payment.",
        "Pay the debt, or wait for the payment to confirm.", on_cli="Run satbox extend: it pays what is owed.",
    ),
    ErrorKind(
        "reclaim_deposit", 422, "This deposit has no reclaimable balance.", "Ask for a new quote.",
        on_cli="Run satbox reclaim again; it shows what can be reclaimed.",
    ),
    ErrorKind(
        "reclaim_not_final", 409, "This deposit could still leave the chain.", "Wait for a few more blocks.",
        on_cli="Try again in a minute or two.",
    ),
    ErrorKind(
        "reclaim_changed", 409, "The reclaimable balance has changed since the quote.",
        "Ask for a new quote and sign it.", on_cli="Run satbox reclaim again.",
    ),
    ErrorKind(
        "reclaim_limit", 409, "Too many payouts of this wallet are in progress.", "Wait until some have arrived.",
        on_cli="See satbox reclaims; try again when some have arrived.",
    ),
    ErrorKind(
        "reclaim_nothing", 409, "Nothing can be reclaimed.", "`details.left_out` says why.",
        on_cli="satbox status shows the balance, satbox reclaims what is on its way.", by_tool=TOOL_OWNER,
    ),
    ErrorKind(
        "payout_not_found", 404, "No such payout.", "GET /operator/payouts lists them.",
        on_cli="satbox operator payouts ls shows them.", by_tool=TOOL_OWNER,
    ),
    ErrorKind(
        "payout_state", 409, "The payout's state does not allow this.",
        "GET the payout for its state; a signed payout cannot be stopped.",
        on_cli="satbox operator payouts ls shows how it stands.",
    ),
    ErrorKind(
        "payout_limit", 422, "The amount is over the limit for one payout.",
        "Raise `payouts.payout_max_sats`, or deny it.",
        on_cli="Raise payouts.payout_max_sats in satbox.toml, or deny it.", by_tool=TOOL_OWNER,
    ),
    ErrorKind(
        "cursor_invalid", 400, "The cursor is not valid.", "Start again without a cursor.", on_cli="Leave --after out.",
    ),
)  # fmt: skip
