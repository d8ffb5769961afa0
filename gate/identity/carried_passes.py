"""A pass in place of its header: clients exist that can sign, pay and send JSON, and cannot set a header.

It is the field `pass` of the query or of a JSON body. It is taken out before anything else reads the request, so it is in no
input, no log and no answer, and it opens what the same pass opens in its header. The operator's token is not taken this way.
"""

from typing import Any

from aiohttp import web

from gate.parts.services import Services
from gate.wire.byte_budget import Lease
from gate.wire.inputs import JSON_BODY, json_body, sends_json
from operations.errors import SatboxError
from operations.registry import Auth, Operation
from sandboxes.self_tokens import is_of_sandbox

FIELD = "pass"
PASS_CHARS_MAX = 4_096
BODY_BYTES_MAX = 262_144
"""Of a body that is read before anybody is known; larger ones come with the header."""
CARRIED: web.RequestKey[str] = web.RequestKey("carried_pass", str)


def may_carry(operation: Operation, request: web.Request) -> bool:
    """Whether a request may name its pass by the field: it has no header, and what it asks for takes a pass."""
    has_header = "Authorization" in request.headers and not is_of_sandbox(request.headers)
    return operation.auth in (Auth.OPTIONAL, Auth.PASS, Auth.OWNER) and not has_header


async def take_pass(services: Services, operation: Operation, request: web.Request, lease: Lease) -> None:
    """Note the pass in the query or the body, for `callers.bearer`. Raises pass_invalid, and what reading a body raises."""
    if FIELD in request.query:
        _note(request, request.query[FIELD])
    elif sends_json(operation) and request.can_read_body:
        body = await json_body(request, services.settings, lease, BODY_BYTES_MAX)
        carried = body.pop(FIELD, None)
        request[JSON_BODY] = body
        if carried is not None:
            _note(request, carried)


def _note(request: web.Request, carried: Any) -> None:
    if not isinstance(carried, str) or not carried.isascii() or not 0 < len(carried) <= PASS_CHARS_MAX:
        raise SatboxError("pass_invalid")
    request[CARRIED] = carried
