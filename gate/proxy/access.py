"""Who may reach a port: the wallet's owner by pass, or whoever holds a token that the owner gave out."""

from dataclasses import dataclass
from urllib.parse import parse_qsl

from aiohttp import web

from actors.view import View
from gate.callers import check_epoch
from gate.port_tokens import TOKEN_HEADER, TOKEN_QUERY, is_open
from gate.ports import Services
from operations.errors import SatboxError

TOKEN_CHARS_MAX = 256
SCOPES = ("owner", "exec")


@dataclass(frozen=True, slots=True)
class Access:
    """Who calls. The owner and holders of a token may pass; others are judged by the owner's routes, under the address that
    their own pass proves, if they carry one.
    """

    is_owner: bool = False
    has_token: bool = False
    address: str | None = None

    @property
    def may_pass(self) -> bool:
        """Whether no route is needed."""
        return self.is_owner or self.has_token


async def access(services: Services, request: web.Request, view: View, port: int) -> Access:
    """Who calls. Raises not_found for a token that opens nothing: a wallet that is not there looks the same."""
    query = dict(parse_qsl(request.rel_url.raw_query_string, keep_blank_values=True))
    token = request.headers.get(TOKEN_HEADER, query.get(TOKEN_QUERY))
    if token is not None:
        if 0 < len(token) <= TOKEN_CHARS_MAX and is_open(view.state.exposed, port, token, services.clock.wall_ms()):
            return Access(has_token=True)
        raise SatboxError("not_found")
    scheme, _, bearer = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer":
        return Access()
    try:
        gate_pass = services.passes.read(bearer.strip())
        is_own = gate_pass.address == view.state.address
        check_epoch(gate_pass, view if is_own else await services.views.get(gate_pass.address))
    except SatboxError:
        return Access()  # nobody we know, then
    if is_own and gate_pass.scope in SCOPES:
        return Access(is_owner=True, address=gate_pass.address)
    return Access(address=gate_pass.address if gate_pass.scope == "owner" else None)


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
