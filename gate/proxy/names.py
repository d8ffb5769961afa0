"""`/sandbox/proxy/{name}/{port}/{path}`: a server inside by its agent's name. Sent on to the address, which is what orders and
payments are bound to: a name may come to mean somebody else, and nobody pays a name.
"""

import secrets

from aiohttp import web

from gate.identity.named import meant
from gate.parts.services import SERVICES, Services
from gate.wire.answers import METRICS, PEERS, error_response
from gate.wire.paths import called_path
from operations.errors import SatboxError

PATH = "/sandbox/proxy/{name:[^/{}]{1,300}}/{port:[1-9][0-9]{0,4}}"
UNKNOWN = frozenset({"handle_invalid", "handle_not_found"})


async def send_on(request: web.Request) -> web.StreamResponse:
    """307 to the same call under the address (RFC 9110, 15.4.8: method and body stay). A name that means nobody is answered as
    a wallet that is not there.
    """
    services, metrics = request.app[SERVICES], request.app[METRICS]
    request_id, code = f"req_{secrets.token_hex(8)}", "ok"
    try:
        location = await _location(services, request)
        return web.Response(status=307, headers={"Location": location, "x-request-id": request_id})
    except SatboxError as error:
        code = error.code
        return error_response(SatboxError("not_found") if code in UNKNOWN else error, request_id)
    finally:
        metrics.requests.labels("sandbox.proxy", code).inc()


async def _location(services: Services, request: web.Request) -> str:
    request.app[PEERS].take(request.remote, services.clock.monotonic_ms())
    address = await meant(services, request.match_info["name"], None)
    _, mark, query = request.raw_path.partition("?")
    rest = called_path(request).split("/", 4)[4]  # "", sandbox, proxy, the name, and what stays as it came
    return f"/sandbox/proxy/{address}/{rest}{mark}{query}"
