"""Errors of the client itself; no gate answers with them."""

from operations.errors.kind import ErrorKind

KINDS = (
    ErrorKind(
        "max_sats_exceeded", 402, "The offer costs more than `max_sats`.", "Raise `max_sats` or ask for less.",
        on_cli="Raise --max-sats, or ask for less with --sats.",
        by_tool="Give a higher max_sats, or ask for less. What a session may pay is your owner's to raise.",
    ),
    ErrorKind(
        "unreachable", 503, "The service cannot be reached.", "Is it up? Check the gate address.", retryable=True,
        on_cli="Is it up (satbox up)? Check --gate; satbox doctor looks at this machine.",
        by_tool="Call again in a moment; if it stays, tell your owner that the gate does not answer.",
    ),
    ErrorKind("cannot_start", 500, "The service cannot start here.", "See the message for what is missing."),
    ErrorKind(
        "ambiguous", 504, "The payment was sent, but no answer arrived.",
        "Do not pay again: repeat the same request with the same payment, or poll its status.", retryable=True,
        on_cli="Do not pay again: satbox resume sends the same payment again, unchanged.",
        by_tool="Do not pay again: repeat the same call with the same arguments, and the same payment is repeated.",
    ),
)  # fmt: skip
