"""Calls to what runs inside a sandbox, and what is paid for from a bucket."""

from operations.errors.kind import ErrorKind

KINDS = (
    ErrorKind(
        "order_invalid", 422, "The order is not valid for this call.", "Sign the order that the 402 describes.",
        on_cli="Check the address in the URL: it is whom you pay.",
        by_tool="Check the address in the url: it is whom you pay.",
    ),
    ErrorKind(
        "order_too_small", 422, "The order allows less than the call costs.", "Sign one for `details.sats`.",
        on_cli="The price has gone up meanwhile; run it again with a higher --max-sats.",
        by_tool="The price has gone up meanwhile; call again with a higher max_sats.",
    ),
    ErrorKind(
        "order_expired", 409, "The order has expired, or expires too far in the future.",
        "Sign a new order that expires within five minutes.", on_cli="Check this machine's clock, then run it again.",
        by_tool="Ask your owner to check this machine's clock, then call again.",
    ),
    ErrorKind(
        "order_used", 409, "The order was already used for a call.", "Sign a new order for a new call.",
        on_cli="Run it again: it signs a new order.", by_tool="Call again: a new order is signed.",
    ),
    ErrorKind(
        "order_settled", 409, "The payment is credited already.", "Repeat the request with the same payment.",
        on_cli="Run it again.", by_tool="Call again.",
    ),
    ErrorKind(
        "order_limit", 409, "The limit of unconfirmed payments is reached.",
        "Wait for confirmations, or pay from your bucket.",
        on_cli="Wait for confirmations, or satbox deposit and call again.",
        by_tool="Wait for confirmations (satbox_payment_status), or fill the bucket (satbox_bucket) and call again.",
    ),
    ErrorKind(
        "path_ambiguous", 400, "The path could be read in two ways.",
        "Send it without dot segments, `//` or encoded slashes.",
        on_cli="Write the path without dots alone, doubled slashes, semicolons and encoded slashes.",
        by_tool="Write the path without dots alone, doubled slashes, semicolons and encoded slashes.",
    ),
    ErrorKind(
        "routes_limit", 400, "Too many routes.", "Fewer, wider patterns; `details.routes_max` is the limit.",
        on_cli="Make patterns wider: one with * covers all that begin so.",
        by_tool="Remove some, or make patterns wider: one with * covers all that begin so.",
    ),
    ErrorKind(
        "traffic_wakes_limit", 429, "The owner's limit of wakes by callers is reached.", "Try again in an hour.",
        retryable=True, on_cli="Try again in an hour; its owner can wake it, or set --wakes-per-hour.",
    ),
)  # fmt: skip
