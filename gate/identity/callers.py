"""Who is calling, and whether they may: passes, scopes, the operator's token."""

import hmac
from dataclasses import dataclass

from aiohttp import web

from actors.clock import Clock
from actors.view import View
from actors.wallet.spending_keys import SELF, SpendingKey, find
from gate.genesis import Pass
from gate.identity.api_keys import is_api_key, key_holder
from gate.identity.carried_passes import CARRIED
from gate.identity.tenures import KEY_REVOKED, PASS_REVOKED, Term
from gate.identity.wake_links import LinkHolder, held
from gate.parts.services import Services
from operations.errors import SatboxError
from operations.registry import ANY_LINK, Auth, Operation
from operations.wake_links import LINK_HEADER
from sandboxes.self_tokens import is_of_sandbox


@dataclass(frozen=True, slots=True)
class Caller:
    """A caller after authentication. `gate_pass` is None for the operator and for open operations."""

    gate_pass: Pass | None
    is_operator: bool = False
    link: LinkHolder | None = None
    key: SpendingKey | None = None
    """The API key that stands in place of a pass."""
    answers_as: str | None = None
    """Under which name a payment is presented that comes with neither pass nor link."""

    @property
    def name(self) -> str:
        """Who it is, for the record: the address of a pass, or `operator`."""
        if self.link is not None:
            return self.link.link_id
        return self.gate_pass.address if self.gate_pass is not None else "operator" if self.is_operator else "anybody"

    @property
    def known_address(self) -> str | None:
        """The wallet of the pass or the link, if there is one."""
        if self.link is not None:
            return self.link.address
        return None if self.gate_pass is None else self.gate_pass.address

    @property
    def presenter(self) -> str | None:
        """The name that is liable for a payment that fails: the pass's wallet, or one name for all links (or keys) of a wallet,
        so that a new link does not escape the losses of an old one. It is not the wallet itself: losses by links must not
        bar its owner.
        """
        if self.link is not None:
            return f"{self.link.address}.wake-links"
        if self.key is not None:  # as for links: the owner's name stays without losses
            return f"{self.known_address}.api-keys"
        return self.known_address or self.answers_as

    def address(self, named: str | None) -> str:
        """The wallet meant: the one named, or the pass's own. A link means its own, whatever is named."""
        if self.link is not None:
            if named not in (None, self.link.address):
                raise SatboxError("wake_link_invalid")
            return self.link.address
        if named is not None:
            return named
        if self.gate_pass is None:
            raise SatboxError("invalid_request", details={"address": "required for this caller"})
        return self.gate_pass.address

    def owned(self, named: str | None) -> str:
        """The wallet meant, which must be the caller's own; a link is as good where the operation takes one."""
        address = self.address(named)
        if self.link is not None:
            return address
        if not self.is_operator and (self.gate_pass is None or self.gate_pass.address != address):
            raise SatboxError("not_owner")
        return address


ANYBODY = Caller(None)
"""Somebody who showed nothing."""


def asks_for_offers(operation: Operation, request: web.Request) -> bool:
    """Whether a caller without a pass asks what a paid operation costs. Prices are public: they are shown before any proof."""
    has_pass = shows_pass(request)
    has_payment = "payment-signature" in request.headers or "X-PAYMENT" in request.headers
    return operation.is_on_chain and not has_pass and not has_payment


def shows_pass(request: web.Request) -> bool:
    """Whether a request carries a pass or an API key. What a sandbox's egress proxy adds by itself asks for nothing."""
    return CARRIED in request or ("Authorization" in request.headers and not is_of_sandbox(request.headers))


def shows_api_key(request: web.Request) -> bool:
    """Whether a request carries an API key, good or not, in a header or a field."""
    _, _, token = request.headers.get("Authorization", "").partition(" ")
    return is_api_key(token.strip()) or is_api_key(request.get(CARRIED, ""))


def link_token(operation: Operation, request: web.Request) -> str | None:
    """The wake link a request carries in place of a pass, where the operation takes one."""
    return None if operation.link_scope is None else request.headers.get(LINK_HEADER)


async def by_link(services: Services, operation: Operation, token: str) -> Caller:
    """The holder of a link. Raises wake_link_invalid; whether it covers the operation is `check_scope`'s to say."""
    return Caller(None, link=await held(services, token))


def check_scope(operation: Operation, holder: LinkHolder) -> None:
    """Refuse a link that was not given out for this."""
    if operation.link_scope != ANY_LINK and operation.link_scope not in holder.scopes:
        details = {"scope": operation.link_scope, "has": list(holder.scopes)}
        raise SatboxError("wake_link_scope_missing", details=details)


async def authenticate(services: Services, operation: Operation, request: web.Request) -> Caller:
    """Check what the operation asks for; a pass's revocation is judged by a snapshot at most a second old."""
    if operation.auth is Auth.NONE:
        if operation.link_scope is not None:
            raise SatboxError("wake_link_invalid", "This operation needs a wake link.", hint=f"Send {LINK_HEADER}.")
        return Caller(None)
    if operation.auth is Auth.OPTIONAL and not shows_pass(request):
        return Caller(None)
    token = bearer(request)
    if CARRIED not in request and hmac.compare_digest(token.encode(), services.settings.operator_token.encode()):
        return Caller(None, is_operator=True)
    if operation.auth is Auth.OPERATOR:
        raise SatboxError("operator_only")
    if is_api_key(token) and operation.auth is Auth.OPTIONAL:
        return Caller(None)  # what anybody may ask; a key shows no more
    if is_api_key(token):
        return await by_api_key(services, operation, token)
    gate_pass = services.passes.read(token)
    if operation.auth is Auth.OWNER and not gate_pass.covers(operation.scope):
        raise SatboxError("scope_missing", details={"scope": operation.scope, "has": gate_pass.scope})
    check_epoch(gate_pass, await services.views.get(gate_pass.address))
    return Caller(gate_pass)


OWN_SCOPE = "self"
"""Scope of operations that every key may call: they say which wallet it acts for, and what is left of its caps."""


EXTENDS_ITSELF = "extend"
"""What a sandbox's own key may do besides: show a payment on chain for its own time."""


async def by_api_key(services: Services, operation: Operation, token: str) -> Caller:
    """The holder of an API key: acts for its wallet where a scope of the key names what the operation needs, and nowhere else.
    Never for what only an owner may do.
    """
    view, key = await key_holder(services, token)
    may = operation.scope in key.scopes or operation.scope in (
        OWN_SCOPE,
        EXTENDS_ITSELF if key.key_id == SELF else None,
    )
    if operation.scope in (None, "owner") or not may:
        details = {"scope": operation.scope or operation.name, "has": list(key.scopes)}
        raise SatboxError("spending_key_scope", details=details)
    state = view.state
    return Caller(Pass(state.address, "", 0, operation.scope, state.pass_epoch, 0), key=key)


async def payer_of(services: Services, request: web.Request) -> tuple[str, SpendingKey | None] | None:
    """The wallet that the request's pass or API key acts for, and the key; None when it carries neither."""
    if "Authorization" not in request.headers and CARRIED not in request:
        return None
    token = bearer(request)
    if is_api_key(token):
        view, key = await key_holder(services, token)
        return view.state.address, key
    gate_pass = services.passes.read(token)
    if not gate_pass.covers("owner"):  # what was given out for exec or files is nobody's purse
        raise SatboxError("scope_missing", details={"scope": "owner", "has": gate_pass.scope})
    check_epoch(gate_pass, await services.views.get(gate_pass.address))
    return gate_pass.address, None


def check_epoch(gate_pass: Pass, view: View) -> None:
    """Refuse a pass its owner has voided."""
    if gate_pass.pass_epoch < view.state.pass_epoch:
        raise SatboxError("pass_revoked")


def terms_of(caller: Caller, clock: Clock) -> list[Term]:
    """As long as what may a caller's stream last."""
    if caller.gate_pass is None:
        return []
    return [
        pass_term(caller.gate_pass) if caller.key is None else key_term(caller.gate_pass.address, caller.key, clock)
    ]


def key_term(address: str, key: SpendingKey, clock: Clock) -> Term:
    """What lasts as long as a key is good: it is not revoked, and its time is not over."""

    def why_over(view: View) -> str | None:
        now = find(view.state.keys, key.key_id)
        return None if now is not None and now.is_good(clock.wall_ms()) else KEY_REVOKED

    return Term(address, why_over)


def pass_term(gate_pass: Pass) -> Term:
    """What lasts as long as a pass is not voided."""
    return Term(gate_pass.address, lambda view: PASS_REVOKED if gate_pass.pass_epoch < view.state.pass_epoch else None)


def bearer(request: web.Request) -> str:
    """The token a request carries. Raises pass_missing, pass_invalid."""
    header = request.headers.get("Authorization", "")
    if not header or is_of_sandbox(request.headers):
        header = _of_socket(request) or header
        if CARRIED in request:
            return request[CARRIED]
    scheme, _, token = header.partition(" ")
    if scheme.lower() != "bearer" or not token:
        raise SatboxError("pass_missing")
    if not token.isascii():
        raise SatboxError("pass_invalid")
    return token.strip()


SOCKET_PROTOCOL = "satbox"
"""What a browser's websocket speaks; beside it comes `pass.TOKEN`, since browsers let pages set no header on a websocket."""


def _of_socket(request: web.Request) -> str:
    """The pass among the protocols that a websocket offers (RFC 6455, 4.1), as a header would carry it."""
    if request.headers.get("Upgrade", "").lower() != "websocket":
        return ""
    for offered in request.headers.get("Sec-WebSocket-Protocol", "").split(","):
        kind, _, token = offered.strip().partition(".")
        if kind == "pass":
            return f"Bearer {token}"
    return ""
