"""Who is calling, and whether they may: passes, scopes, the operator's token."""

import hmac
from dataclasses import dataclass

from aiohttp import web

from actors.view import View
from gate.genesis import Pass
from gate.ports import Services
from operations.errors import SatboxError
from operations.registry import Auth, Operation


@dataclass(frozen=True, slots=True)
class Caller:
    """A caller after authentication. `gate_pass` is None for the operator and for open operations."""

    gate_pass: Pass | None
    is_operator: bool = False

    @property
    def name(self) -> str:
        """Who it is, for the record: the address of a pass, or `operator`."""
        return self.gate_pass.address if self.gate_pass is not None else "operator" if self.is_operator else "anybody"

    def address(self, named: str | None) -> str:
        """The wallet meant: the one named, or the pass's own."""
        if named is not None:
            return named
        if self.gate_pass is None:
            raise SatboxError("invalid_request", details={"address": "required for this caller"})
        return self.gate_pass.address

    def owned(self, named: str | None) -> str:
        """The wallet meant, which must be the caller's own."""
        address = self.address(named)
        if not self.is_operator and (self.gate_pass is None or self.gate_pass.address != address):
            raise SatboxError("not_owner")
        return address


async def authenticate(services: Services, operation: Operation, request: web.Request) -> Caller:
    """Check what the operation asks for; a pass's revocation is judged by a snapshot at most a second old."""
    if operation.auth is Auth.NONE:
        return Caller(None)
    token = bearer(request)
    if hmac.compare_digest(token.encode(), services.settings.operator_token.encode()):
        return Caller(None, is_operator=True)
    if operation.auth is Auth.OPERATOR:
        raise SatboxError("operator_only")
    gate_pass = services.passes.read(token)
    if operation.auth is Auth.OWNER and not gate_pass.covers(operation.scope):
        raise SatboxError("scope_missing", details={"scope": operation.scope, "has": gate_pass.scope})
    check_epoch(gate_pass, await services.views.get(gate_pass.address))
    return Caller(gate_pass)


def check_epoch(gate_pass: Pass, view: View) -> None:
    """Refuse a pass its owner has voided."""
    if gate_pass.pass_epoch < view.state.pass_epoch:
        raise SatboxError("pass_revoked")


def bearer(request: web.Request) -> str:
    """The token a request carries. Raises pass_missing, pass_invalid."""
    header = request.headers.get("Authorization", "")
    scheme, _, token = header.partition(" ")
    if scheme.lower() != "bearer" or not token:
        raise SatboxError("pass_missing")
    if not token.isascii():
        raise SatboxError("pass_invalid")
    return token.strip()
