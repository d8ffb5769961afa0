"""JSON forms of the protocol, shared by the node's server and its client."""

from __future__ import annotations

import re
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from sandboxes.protocol import (
    BadRequest,
    Beat,
    NoCapacity,
    NodeUnavailable,
    RuntimeGone,
    RuntimeLost,
    SandboxError,
    StartFailed,
    StartFileEnded,
    StartRequest,
    StorageFull,
    WatchEvent,
)

_T = TypeVar("_T")

RUNTIME_ID = re.compile(r"[A-Za-z0-9_.-]{1,128}")
_ENVIRONMENT_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,127}")
ENVIRONMENT_BYTES_MAX = 65_536
ADDRESS_CHARACTERS_MAX = 128

_adapters: dict[Any, TypeAdapter[Any]] = {}


def _adapter(kind: Any) -> TypeAdapter[Any]:
    if kind not in _adapters:
        _adapters[kind] = TypeAdapter(kind)
    return _adapters[kind]


def load(kind: type[_T], text: bytes | str) -> _T:
    """JSON to one of the protocol's records. Raises BadRequest."""
    try:
        value: _T = _adapter(kind).validate_json(text)
    except ValidationError as error:
        raise BadRequest("; ".join(f"{item['loc']}: {item['msg']}" for item in error.errors()[:5])) from error
    return value


def dump(value: object) -> bytes:
    """One of the protocol's records as JSON."""
    return bytes(_adapter(type(value)).dump_json(value))


def check_runtime_id(runtime_id: str) -> None:
    """Raises BadRequest for what can't be a runtime id."""
    if not RUNTIME_ID.fullmatch(runtime_id):
        raise BadRequest("a runtime id is 1 to 128 of A-Z a-z 0-9 _ . -")


def check_environment(environment: object) -> None:
    """Raises BadRequest for environment variables with odd names, NULs, or too many bytes."""
    if not isinstance(environment, dict):
        raise BadRequest("environment is an object of strings")
    size = 0
    for name, value in environment.items():
        if not _ENVIRONMENT_NAME.fullmatch(name) or not isinstance(value, str) or "\0" in value:
            raise BadRequest("environment names are identifiers, values strings without NUL")
        size += len(name) + len(value)
    if size > ENVIRONMENT_BYTES_MAX:
        raise BadRequest(f"environment over {ENVIRONMENT_BYTES_MAX} bytes")


def check_start(request: StartRequest) -> None:
    """Limits of a start request. Raises BadRequest."""
    check_runtime_id(request.runtime_id)
    check_environment(dict(request.environment))
    if not 0 < len(request.address) <= ADDRESS_CHARACTERS_MAX:
        raise BadRequest("an address has 1 to 128 characters")


_WATCH_EVENTS: dict[str, type[WatchEvent]] = {"beat": Beat, "lost": RuntimeLost, "start_file_ended": StartFileEnded}
_WATCH_NAMES = {kind: name.encode() for name, kind in _WATCH_EVENTS.items()}


def dump_event(event: WatchEvent) -> bytes:
    """One line of a watch stream."""
    return b'{"event":"' + _WATCH_NAMES[type(event)] + b'","data":' + dump(event) + b"}\n"


def load_event(line: bytes) -> WatchEvent:
    """A line of a watch stream. Raises BadRequest."""
    envelope = load(dict[str, Any], line)
    kind = _WATCH_EVENTS.get(str(envelope.get("event")))
    try:
        if kind is not None:
            value: WatchEvent = _adapter(kind).validate_python(envelope.get("data"))
            return value
    except ValidationError as error:
        raise BadRequest("not a watch event") from error
    raise BadRequest("not a watch event")


def error_body(error: SandboxError) -> dict[str, object]:
    """The one error form of the node: `{error: {code, message, retryable, details}}`."""
    details: dict[str, object] = {}
    if isinstance(error, NoCapacity):
        details["retry_after_seconds"] = error.retry_after_seconds
    content = {"code": error.code, "message": error.message, "retryable": error.retryable, "details": details}
    return {"error": content}


def load_error(status: int, body: object) -> SandboxError:
    """The exception behind an error answer."""
    content = body.get("error") if isinstance(body, dict) else None
    if not isinstance(content, dict):
        return NodeUnavailable(f"the node answered {status} without a reason")
    code, message = str(content.get("code")), str(content.get("message"))
    retryable = bool(content.get("retryable"))
    if status == StartFailed.status:
        return StartFailed(code, message, retryable)
    if code == NoCapacity.code:
        details = content.get("details") or {}
        return NoCapacity(message, retry_after_seconds=float(details.get("retry_after_seconds", 5.0)))
    if status == RuntimeGone.status and code != "context_died":
        return RuntimeGone(message, code=code)
    if code == StorageFull.code:
        return StorageFull(message)
    if status == BadRequest.status:
        return BadRequest(message, code=code)
    if status == NodeUnavailable.status:
        return NodeUnavailable(message, code=code)
    error = SandboxError(message, code=code, retryable=retryable)
    error.status = status
    return error
