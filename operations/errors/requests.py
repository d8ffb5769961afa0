"""What is wrong with a request itself, and with the service."""

from operations.errors.kind import TOOL_OTHER_VERSION, ErrorKind

KINDS = (
    ErrorKind(
        "invalid_request", 400, "The request does not fit this operation.", "See `details` for the fields at fault.",
        on_cli="See the fields named above, and the verb's --help.",
        by_tool="See the message and the details, and the tool's arguments.",
    ),
    ErrorKind(
        "not_found", 404, "No such resource.", "See /openapi.json for the routes.",
        on_cli="Check --gate; satbox --help lists what there is.",
        by_tool="Check the arguments; satbox_health shows whether this is the gate that you mean.",
    ),
    ErrorKind(
        "method_not_allowed", 405, "This route does not take that method.", "See /openapi.json for the routes.",
        on_cli="Check --gate, and that it is of this version.", by_tool=TOOL_OTHER_VERSION,
    ),
    ErrorKind(
        "body_too_large", 413, "The request body is over the limit.", "Send less; `details.limit_bytes` is the limit.",
        on_cli="Send less at once.", by_tool="Send less at once.",
    ),
    ErrorKind(
        "headers_too_large", 431, "The request headers are over the limit.", "Send shorter headers.",
        on_cli="Use shorter arguments.",
    ),
    ErrorKind(
        "request_timeout", 408, "The request did not arrive in time.", "Send its line and headers at once.",
        retryable=True, on_cli="Run it again.", by_tool="Call again.",
    ),
    ErrorKind(
        "rate_limited", 429, "Too many requests.", "Wait `retry_after` seconds.", retryable=True,
        on_cli="Wait a moment and run it again.", by_tool="Wait retry_after seconds, then call again.",
    ),
    ErrorKind(
        "overloaded", 503, "The service is overloaded.", "Wait `retry_after` seconds.", retryable=True,
        on_cli="Wait a moment and run it again.", by_tool="Wait retry_after seconds, then call again.",
    ),
    ErrorKind(
        "timeout", 504, "The request timed out.", "Ask for the status before you repeat this.", retryable=True,
        on_cli="See satbox status before you run it again.", by_tool="See satbox_status before you repeat this.",
    ),
    ErrorKind(
        "internal", 500, "Internal error.", "Retry; quote `request_id` if it stays.", retryable=True,
        on_cli="Run it again; if it stays, give the operator the request_id.",
        by_tool="Call again; if it stays, tell your owner the request_id.",
    ),
    ErrorKind(
        "storage_full", 507, "The service's own disk is full.",
        "Wait `retry_after` seconds; the same request may be repeated.", retryable=True,
        on_cli="The service's own disk is full: wait a minute, then run it again.",
        by_tool="The service's own disk is full: wait retry_after seconds, then call again.",
    ),
    ErrorKind("bytes_invalid", 422, "The bytes are not valid for the stated format.", "The details name the problem."),
)  # fmt: skip
