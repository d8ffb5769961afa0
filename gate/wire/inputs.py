"""Read an operation's input from a request: path, query and body, within limits, by its model."""

import asyncio
import json
from typing import Any

from aiohttp import web
from pydantic import BaseModel, ValidationError

from gate.settings import GateSettings
from gate.wire.byte_budget import Lease
from gate.wire.content_encoding import Inflater
from operations.errors import SatboxError
from operations.registry import Body, Operation

PAYMENT_QUERY = frozenset({"tokenType", "settle"})
"""Query words that may be added to any paid request: they say how to pay, not what for."""
PASS_QUERY = frozenset({"pass"})
"""A pass in place of its header (`carried_passes`)."""
JSON_BODY: web.RequestKey[dict[str, Any]] = web.RequestKey("json_body", dict)
"""The body of a request, when something read it before its operation did."""

BODY_COPIES = 3
"""As it came, as the model's texts, and what is decoded from those. Parsing takes more, but one body at a time."""


async def read_input(operation: Operation, request: web.Request, settings: GateSettings, lease: Lease) -> BaseModel:
    """The validated input; invalid_request names the fields at fault."""
    ignored = PASS_QUERY | (PAYMENT_QUERY if operation.is_on_chain else frozenset())
    values: dict[str, Any] = {k: v for k, v in request.query.items() if k not in ignored}
    if sends_json(operation):
        body = request.get(JSON_BODY)
        if body is None:
            body = await json_body(request, settings, lease)
        values |= {name: value for name, value in body.items() if name not in PASS_QUERY}
    values |= {name: request.match_info[name] for name in operation.path_fields}
    try:
        return operation.input.model_validate(values)
    except ValidationError as error:
        raise SatboxError("invalid_request", details={"fields": _faults(error)}) from error


def sends_json(operation: Operation) -> bool:
    """Whether an operation's input is a JSON body."""
    return operation.method in ("POST", "PUT") and operation.body is not Body.UPLOAD


def is_probe(request: web.Request) -> bool:
    """Whether a request says nothing at all, and pays nothing: crawlers ask so what something costs."""
    is_empty = (
        not request.query and request.content_length in (None, 0, 2) and "Transfer-Encoding" not in request.headers
    )
    return is_empty and "payment-signature" not in request.headers


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


async def json_body(
    request: web.Request, settings: GateSettings, lease: Lease, bytes_max: int | None = None
) -> dict[str, Any]:
    """The JSON object of a body within limits; {} when there is no body. Raises invalid_request, body_too_large, overloaded."""
    if not request.can_read_body:
        return {}
    limit = settings.json_bytes_max if bytes_max is None else bytes_max
    if request.content_length is not None and request.content_length > limit:
        raise SatboxError("body_too_large", details={"limit_bytes": limit})
    raw = bytearray()
    inflater = Inflater(request.headers.get("Content-Encoding", ""))
    try:
        async with asyncio.timeout(settings.body_seconds_max):
            async for chunk in request.content.iter_chunked(65_536):
                for piece in inflater.feed(chunk):
                    await lease.need(len(piece) * BODY_COPIES)
                    raw += piece
                    if len(raw) > limit:
                        raise SatboxError("body_too_large", details={"limit_bytes": limit})
        inflater.end()
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
