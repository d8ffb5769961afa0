"""Who may reach a port: the wallet's owner by pass, or whoever holds a token that the owner gave out."""

from urllib.parse import parse_qsl

from aiohttp import web

from actors.view import View
from gate.callers import check_epoch
from gate.port_tokens import TOKEN_HEADER, TOKEN_QUERY, is_open
from gate.ports import Services
from operations.errors import SatboxError

TOKEN_CHARS_MAX = 256
SCOPES = ("owner", "exec")


async def admit(services: Services, request: web.Request, view: View, port: int) -> bool:
    """True for the holder of a token, False for the owner. Raises not_found for whoever may not: a wallet that is not there
    looks the same.
    """
    query = dict(parse_qsl(request.rel_url.raw_query_string, keep_blank_values=True))
    token = request.headers.get(TOKEN_HEADER, query.get(TOKEN_QUERY))
    if token is not None:
        if 0 < len(token) <= TOKEN_CHARS_MAX and is_open(view.state.exposed, port, token, services.clock.wall_ms()):
            return True
        raise SatboxError("not_found")
    scheme, _, bearer = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer":
        raise SatboxError("not_found")
    try:
        gate_pass = services.passes.read(bearer.strip())
        check_epoch(gate_pass, view)
    except SatboxError as error:
        raise SatboxError("not_found") from error
    if gate_pass.address != view.state.address or gate_pass.scope not in SCOPES:
        raise SatboxError("not_found")
    return False


def is_pass(services: Services, request: web.Request) -> bool:
    """Whether the request carries a pass of ours, good or not: a server inside must never see one."""
    scheme, _, bearer = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer":
        return False
    try:
        services.passes.read(bearer.strip())
    except SatboxError as error:
        return error.code != "pass_invalid"
    return True
