"""Read an operation's input from a request: path, query and body, within limits, by its model."""

import asyncio
import json
from typing import Any

from aiohttp import web
from pydantic import BaseModel, ValidationError

from gate.settings import GateSettings
from operations.errors import SatboxError
from operations.registry import Body, Operation

PAYMENT_QUERY = frozenset({"tokenType", "settle"})
"""Query words that may be added to any paid request: they say how to pay, not what for."""


async def read_input(operation: Operation, request: web.Request, settings: GateSettings) -> BaseModel:
    """The validated input; invalid_request names the fields at fault."""
    ignored = PAYMENT_QUERY if operation.paid else frozenset()
    values: dict[str, Any] = {k: v for k, v in request.query.items() if k not in ignored}
    if operation.method in ("POST", "PUT") and operation.body is not Body.UPLOAD:
        values |= await _json_body(request, settings)
    values |= {name: request.match_info[name] for name in operation.path_fields}
    try:
        return operation.input.model_validate(values)
    except ValidationError as error:
        raise SatboxError("invalid_request", details={"fields": _faults(error)}) from error


def _faults(error: ValidationError) -> list[dict[str, str]]:
    return [
        {"field": ".".join(str(part) for part in fault["loc"]), "problem": fault["msg"]}
        for fault in error.errors(include_url=False, include_input=False, include_context=False)[:20]
    ]


def _is_text(value: Any) -> bool:
    """Whether every string can be written as UTF-8: JSON can escape halves of characters, which nothing behind us takes."""
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return False
    return True


async def _json_body(request: web.Request, settings: GateSettings) -> dict[str, Any]:
    if not request.can_read_body:
        return {}
    limit = settings.json_bytes_max
    if request.content_length is not None and request.content_length > limit:
        raise SatboxError("body_too_large", details={"limit_bytes": limit})
    raw = bytearray()
    try:
        async with asyncio.timeout(settings.body_seconds_max):
            async for chunk in request.content.iter_chunked(65_536):
                raw += chunk
                if len(raw) > limit:
                    raise SatboxError("body_too_large", details={"limit_bytes": limit})
    except TimeoutError as error:
        raise SatboxError("invalid_request", "The request body did not arrive in time.") from error
    except web.RequestPayloadError as error:
        raise SatboxError("invalid_request", "The request body cannot be decoded.") from error
    if not raw:
        return {}
    try:
        value = json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise SatboxError("invalid_request", "The request body is not JSON.") from error
    if not isinstance(value, dict):
        raise SatboxError("invalid_request", "The request body is not a JSON object.")
    if b"\\u" in raw and not _is_text(value):
        raise SatboxError("invalid_request", "The request body holds half a character.")
    return value
