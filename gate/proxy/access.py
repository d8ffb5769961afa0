"""Who may reach a port: the wallet's owner by pass, or the holder of a token that the owner made."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from urllib.parse import parse_qsl

from aiohttp import web

from actors.clock import Clock
from actors.view import View
from actors.wallet.spending_keys import SpendingKey
from gate.genesis import Pass
from gate.identity.api_keys import is_api_key, key_holder
from gate.identity.callers import check_epoch, key_term, pass_term
from gate.identity.port_tokens import TOKEN_HEADER, TOKEN_QUERY, hash_open_until, open_until, token_hash
from gate.identity.tenures import ROUTE_REMOVED, TOKEN_ENDED, Term
from gate.parts.services import Services
from gate.proxy.credentials import Credentials
from gate.proxy.entering import UNFRAMED, cookie_tokens, is_by_worker, kept, may_ride, tokens_of_page
from gate.reach.matching import route_for
from gate.wire.paths import Place
from operations.errors import SatboxError
from operations.wake_links import LINK_HEADER

TOKEN_CHARS_MAX = 256
SCOPES = ("owner", "exec")
PRESENTED = (TOKEN_HEADER, LINK_HEADER, "payment-signature", "X-PAYMENT")


@dataclass(frozen=True, slots=True)
class Access:
    """Who calls. The owner and holders of a token may pass; others are judged by the owner's routes, under the address that
    their own pass proves, if they carry one.
    """

    is_owner: bool = False
    token_hash: str | None = None
    """Of the token that opened the port."""
    address: str | None = None
    gate_pass: Pass | None = None
    """What proves the owner, or that address."""
    key: SpendingKey | None = None
    """The spending key that proves that address in place of a pass, and pays."""
    entry: tuple[str, int] | None = None
    """A token that came in the query, and the seconds that it is good for."""
    head_words: Mapping[str, str] = field(default_factory=dict)
    """What the answer's head says to the browser beside the server's own."""

    @property
    def may_pass(self) -> bool:
        """Whether no route is needed."""
        return self.is_owner or self.token_hash is not None


async def access(services: Services, request: web.Request, view: View, place: Place) -> Access:
    """Who calls. Raises not_found for a token that opens nothing: a wallet that is not there looks the same."""
    exposed, wall_ms = view.state.exposed, services.clock.wall_ms()
    query = dict(parse_qsl(request.rel_url.raw_query_string, keep_blank_values=True))
    token = request.headers.get(TOKEN_HEADER, query.get(TOKEN_QUERY))
    if token is not None:
        until_ms = open_until(exposed, place.port, token, wall_ms) if 0 < len(token) <= TOKEN_CHARS_MAX else None
        if until_ms is None:
            raise SatboxError("not_found")
        is_entry = TOKEN_HEADER not in request.headers
        entry = (token, (until_ms - wall_ms) // 1000) if is_entry else None
        return Access(token_hash=token_hash(token), entry=entry)
    if place.origin and may_ride(request.method, request.headers, place.origin):
        is_secure = place.origin.startswith("https:")
        for each in cookie_tokens(request.headers, is_secure=is_secure):
            if len(each) <= TOKEN_CHARS_MAX and open_until(exposed, place.port, each, wall_ms) is not None:
                words = UNFRAMED if is_by_worker(request.headers) else {}
                return Access(token_hash=token_hash(each), head_words=words)
        for each in tokens_of_page(request.headers, place.origin):
            until_ms = open_until(exposed, place.port, each, wall_ms) if 0 < len(each) <= TOKEN_CHARS_MAX else None
            if until_ms is not None:
                cookie = kept(each, (until_ms - wall_ms) // 1000, is_secure=is_secure)
                return Access(token_hash=token_hash(each), head_words={"Set-Cookie": cookie})
    scheme, _, bearer = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer":
        return Access()
    if is_api_key(bearer.strip()):
        return await _by_key(services, bearer.strip())
    try:
        gate_pass = services.passes.read(bearer.strip())
        is_own = gate_pass.address == view.state.address
        check_epoch(gate_pass, view if is_own else await services.views.get(gate_pass.address))
    except SatboxError:
        return Access()  # nobody we know, then
    if is_own and gate_pass.scope in SCOPES:
        return Access(is_owner=True, address=gate_pass.address, gate_pass=gate_pass)
    return Access(address=gate_pass.address, gate_pass=gate_pass) if gate_pass.scope == "owner" else Access()


async def _by_key(services: Services, token: str) -> Access:
    """Who calls with a spending key: its wallet, as one that pays. The key opens no port of the wallet itself."""
    holder, key = await key_holder(services, token)
    return Access(address=holder.state.address, key=key)


def terms(services: Services, who: Access, place: Place, method: str, target: str) -> list[Term]:
    """What a request of this caller depends on for as long as it lasts. A pass that only expires ends nothing: its owner proves
    it again each hour, and voids it when somebody else has it.
    """
    leans = [] if who.gate_pass is None else [pass_term(who.gate_pass)]
    if who.key is not None and who.address is not None:
        leans.append(key_term(who.address, who.key, services.clock))
    if who.token_hash is not None:
        leans.append(Term(place.address, partial(_token_over, services.clock, place.port, who.token_hash)))
    elif not who.is_owner:
        leans.append(Term(place.address, partial(_route_over, place.port, method, target)))
    return leans


def _token_over(clock: Clock, port: int, digest: str, view: View) -> str | None:
    is_open = hash_open_until(view.state.exposed, port, digest, clock.wall_ms()) is not None
    return None if is_open else TOKEN_ENDED


def _route_over(port: int, method: str, target: str, view: View) -> str | None:
    try:
        found = route_for(view.state.routes, port, method, target)
    except SatboxError:
        found = None
    return ROUTE_REMOVED if found is None or found.callers == "holders" else None


def credentials(services: Services, request: web.Request) -> Credentials:
    """What of this request is between its caller and the gate, and is passed on in no place and no spelling."""
    query = parse_qsl(request.rel_url.raw_query_string, keep_blank_values=True)
    named = [value for name, value in query if name == TOKEN_QUERY]
    presented = [value for header in PRESENTED for value in request.headers.getall(header, ())]
    return Credentials.of([services.settings.operator_token, *named, *presented])
