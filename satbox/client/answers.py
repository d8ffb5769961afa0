"""Read a gate's answers: errors by their code, models by their shape. Whatever cannot be read is a named error too."""

import base64
import binascii
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from operations.errors import ERRORS, FundsMoved, SatboxError
from relay_client.models import HEADER_CHARS_MAX, PAYMENT_REQUIRED_HEADER
from satbox.client.calls import Output

_TEXT_MAX = 2_000


@dataclass(frozen=True, slots=True)
class HttpResponse:
    """A whole answer."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def is_ok(self) -> bool:
        """Whether it is a success."""
        return 200 <= self.status < 300

    def document(self) -> Any:
        """The body as JSON; None when it is not."""
        try:
            return json.loads(self.body)
        except (ValueError, RecursionError):
            return None


def model_of(answer: HttpResponse, output: type[Output]) -> Output:
    """The answer as a model. Raises the gate's error, or internal when the answer is of another shape."""
    if not answer.is_ok:
        raise error_of(answer)
    try:
        return output.model_validate_json(answer.body)
    except ValidationError as error:
        raise unreadable(answer) from error


def unreadable(answer: HttpResponse) -> SatboxError:
    """For an answer that no gate gives."""
    return SatboxError(
        "internal",
        f"The answer (HTTP {answer.status}) cannot be read.",
        details={"begins": answer.body[:200].decode("utf-8", "replace")},
        hint="Is this the address of a gate, and of this version?",
    )


def has_error(answer: HttpResponse) -> bool:
    """Whether the body is the uniform error body."""
    document = answer.document()
    error = document.get("error") if isinstance(document, dict) else None
    return isinstance(error, dict) and isinstance(error.get("code"), str)


def error_of(answer: HttpResponse) -> SatboxError:
    """The gate's error; one this client does not know keeps its code in `details.code`."""
    if not has_error(answer):
        return unreadable(answer)
    document = answer.document()
    error = document["error"]
    raw = error.get("details")
    details = dict(raw) if isinstance(raw, dict) else {}
    if isinstance(document.get("request_id"), str):
        details.setdefault("request_id", document["request_id"][:100])
    code = error["code"]
    if code not in ERRORS:
        details["code"] = code[:100]
        code = "internal" if answer.status >= 500 else "invalid_request"
    moved: FundsMoved = "unknown"
    if error.get("funds_moved") is True or error.get("funds_moved") is False:
        moved = error["funds_moved"]
    return SatboxError(
        code,
        _text(error.get("message")),
        details=details,
        funds_moved=moved,
        retry_after=_seconds(error.get("retry_after")),
        hint=_text(error.get("hint")),
    )


def _text(value: Any) -> str | None:
    return value[:_TEXT_MAX] if isinstance(value, str) else None


def _seconds(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= 86_400 else None


def payment_required_of(answer: HttpResponse) -> Any:
    """The offers of a 402: from the header, else from the body (x402 v2). None when there are none."""
    header = answer.headers.get(PAYMENT_REQUIRED_HEADER, "")
    if 0 < len(header) <= HEADER_CHARS_MAX:
        try:
            return json.loads(base64.b64decode(header, validate=True))
        except (binascii.Error, ValueError, RecursionError):
            pass
    document = answer.document()
    return document if isinstance(document, dict) and "accepts" in document else None
