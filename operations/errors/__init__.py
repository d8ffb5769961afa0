"""Every error satbox can answer with, by its stable code.

    SatboxError(code, ...)            what is raised anywhere, caught once at the edge
      .kind -> ErrorKind              HTTP status, whether a retry helps, what to do next
      .funds_moved -> True | False | "unknown"

Branch on `code`, never on text. A code never changes its meaning. The tables beside this file are the documentation:
`/openapi.json` and `design/errors.md` are made from them.
"""

from collections.abc import Mapping
from typing import Any, Literal

from operations.errors import calls, client, identity, payments, requests, sandboxes
from operations.errors.kind import ErrorKind

FundsMoved = Literal[True, False, "unknown"]


def _by_code(*kinds: ErrorKind) -> dict[str, ErrorKind]:
    table = {kind.code: kind for kind in kinds}
    if len(table) != len(kinds):
        raise ValueError("an error code is defined twice")
    return table


ERRORS: Mapping[str, ErrorKind] = _by_code(
    *requests.KINDS,
    *identity.KINDS,
    *payments.KINDS,
    *calls.KINDS,
    *sandboxes.KINDS,
    *client.KINDS,
)


class SatboxError(Exception):
    """An error for the caller, with a stable code.

    `funds_moved` is the truth at the time of raising: False when nothing was or can be broadcast, True when it was,
    "unknown" when that is not known yet.
    """

    def __init__(
        self,
        code: str,
        message: str | None = None,
        *,
        details: Mapping[str, Any] | None = None,
        funds_moved: FundsMoved = False,
        retry_after: int | None = None,
        hint: str | None = None,
    ) -> None:
        self.kind = ERRORS[code]
        self.code = code
        self.message = message or self.kind.message
        self.hint = hint or self.kind.hint
        self.details = dict(details or {})
        self.funds_moved: FundsMoved = funds_moved
        self.retry_after = retry_after
        super().__init__(self.message)

    def __str__(self) -> str:
        return f"{self.code}: {self.message}"

    def __reduce__(self) -> tuple[Any, ...]:
        # Errors cross process boundaries (Ray pickles them), so keyword arguments have to survive.
        return (
            _rebuild,
            (self.code, self.message, self.details, self.funds_moved, self.retry_after, self.hint),
        )

    def body(self, request_id: str) -> dict[str, Any]:
        """The uniform error body every surface prints."""
        error: dict[str, Any] = {
            "code": self.code,
            "message": self.message,
            "retryable": self.kind.retryable,
            "funds_moved": self.funds_moved,
            "hint": self.hint,
            "details": self.details,
        }
        if self.retry_after is not None:
            error["retry_after"] = self.retry_after
        return {"error": error, "request_id": request_id}


def _rebuild(
    code: str,
    message: str,
    details: dict[str, Any],
    funds_moved: FundsMoved,
    retry_after: int | None,
    hint: str,
) -> SatboxError:
    return SatboxError(code, message, details=details, funds_moved=funds_moved, retry_after=retry_after, hint=hint)
