"""Exit codes, and how a failure is shown.

    0    done
    1    refused, or failed: the error's code says why
    2    the command line does not fit, or a file of settings or keys does not (nothing was done)
    3    the gate cannot be reached
    4    a payment was sent and its outcome is not known: do not pay again, `satbox resume`
    123  done, but what came is not whole: stderr says what is missing (`satbox.cli.incomplete`)
    130  interrupted

`satbox exec` exits as the command did: its own code, 128 + the signal that ended it, 123 when it succeeded and its output
was cut, 124 when it ran out of time, and 125 when it was never run (the error is on stderr).
"""

import json
import sys
from typing import Any

OK, REFUSED, USAGE, UNREACHABLE, AMBIGUOUS, INTERRUPTED = 0, 1, 2, 3, 4, 130
INCOMPLETE, TIMED_OUT, NOT_RUN = 123, 124, 125


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
    for line in detail_lines(error["code"], error.get("details") or {}):
        if line not in error["message"] and line.partition(": ")[2] not in error["message"]:
            print(f"        {line}", file=sys.stderr)
    if error.get("hint"):
        print(f"        {error['hint']}", file=sys.stderr)


DETAIL_LINES_MAX = 8
DETAIL_CHARS_MAX = 300
REASONS = {
    "requested": "its owner stopped it (satbox reap)",
    "credit_exhausted": "its credit ran out",
    "payment_failed": "the payment it ran on failed",
    "start_failed": "it did not start",
    "crash_loop": "it crashed too often",
    "destroyed": "its owner deleted it",
}
"""Why a sandbox was reaped."""


def detail_lines(code: str, details: dict[str, Any]) -> list[str]:
    """What the details say to a person, each with its name; what only machines need is in the JSON form."""
    from satbox.cli.output import cell_text, label

    lines = []
    for name, value in details.items():
        if name == "onboarding_url":  # the hint says where to register, also when that is a devnet
            continue
        if name == "fields" and isinstance(value, list):
            lines += [f"{fault.get('field')}: {fault.get('problem')}" for fault in value if isinstance(fault, dict)]
        elif name == "reason" and code == "sandbox_reaped":
            lines.append(f"reason: {REASONS.get(str(value), value)}")
        elif isinstance(value, list) and value and all(isinstance(part, str | int) for part in value):
            lines.append(f"{label(name)}: {', '.join(map(str, value))}")
        elif isinstance(value, str | int | float) and value != "" and (name != "request_id" or code == "internal"):
            lines.append(f"{label(name)}: {cell_text(name, value)}")
    shown = [line if len(line) <= DETAIL_CHARS_MAX else line[: DETAIL_CHARS_MAX - 1] + "…" for line in lines]
    more = len(shown) - DETAIL_LINES_MAX
    return shown if more <= 0 else [*shown[:DETAIL_LINES_MAX], f"... {more} more; --json has them all"]


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
