"""Exit codes, and how a failure is told.

    0    done
    1    refused, or failed: the error's code says why
    2    the command line does not fit, or a file of settings or keys does not (nothing was done)
    3    the gate cannot be reached
    4    a payment was sent and its outcome is not known: do not pay again, `satbox resume`
    130  interrupted

`satbox exec` exits as the command did: its own code, 128 + the signal that ended it, 124 when it ran out of time, and 125 when
it was never run (the error is on stderr).
"""

import json
import sys
from typing import Any

OK, REFUSED, USAGE, UNREACHABLE, AMBIGUOUS, INTERRUPTED = 0, 1, 2, 3, 4, 130
TIMED_OUT, NOT_RUN = 124, 125


class UsageError(Exception):
    """The command line does not fit; `hint` says what would."""

    def __init__(self, message: str, hint: str = "See satbox --help.") -> None:
        super().__init__(message)
        self.hint = hint


def exit_code_of(code: str, funds_moved: Any) -> int:
    """The exit code of an error."""
    if code == "ambiguous" or funds_moved == "unknown":
        return AMBIGUOUS
    return {"unreachable": UNREACHABLE, "invalid_request": USAGE}.get(code, REFUSED)


def tell(body: dict[str, Any], *, as_json: bool) -> None:
    """An error on stderr: the uniform body as one JSON line, or one line and a hint."""
    if as_json:
        print(json.dumps(body), file=sys.stderr)
        return
    error = body["error"]
    print(f"satbox: {error['code']}: {error['message']}", file=sys.stderr)
    reason = error.get("details", {}).get("reason")
    if reason:
        print(f"        {reason}", file=sys.stderr)
    if error.get("hint"):
        print(f"        {error['hint']}", file=sys.stderr)


def usage_body(error: UsageError) -> dict[str, Any]:
    """A usage error in the uniform shape."""
    details: dict[str, Any] = {}
    return {
        "error": {
            "code": "invalid_request", "message": str(error), "retryable": False, "funds_moved": False,
            "hint": error.hint, "details": details,
        },
        "request_id": None,
    }  # fmt: skip
