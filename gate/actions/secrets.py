"""Secrets: kept, listed without values, deleted."""

from actors.view import iso
from actors.wallet.state import Phase, WalletState
from gate.context import RequestContext, action
from gate.identity.callers import Caller
from gate.parts.nodes import Nodes
from gate.parts.secret_store import VALUE_BYTES_MAX, StoredSecret
from gate.parts.secrets import Secrets, is_reserved
from gate.parts.services import Services
from gate.reach.reaching import NODE_CODES
from operations import secrets as s
from operations.errors import SatboxError
from operations.models import Done, Target
from sandboxes.egress.guest import HeaderSecret
from sandboxes.egress.settings import ALIAS_SUFFIX
from sandboxes.protocol import RuntimeGone, SandboxError

OPERATORS_ALIASES = frozenset({"gate", "stacks-api"})
HEADER_DEFAULT, TEMPLATE_DEFAULT = "Authorization", "Bearer {}"


async def _state(services: Services, caller: Caller, data: Target) -> tuple[Secrets, WalletState]:
    view = await services.views.get(caller.owned(data.address), fresh=True)  # the lifetime must be the present one
    if not view.state.exists:
        raise SatboxError("wallet_not_found")
    if services.secrets is None:
        raise SatboxError("not_found", "This gate keeps no secrets.")
    return services.secrets, view.state


def _fault(**fields: str) -> SatboxError:
    return SatboxError("invalid_request", details=dict(fields))


def _checked(data: s.SetSecretInput, at_ms: int) -> StoredSecret:
    """The secret without its value; every refusal names the field and not what was in it."""
    if not data.value or len(data.value.encode()) > VALUE_BYTES_MAX or "\0" in data.value:
        raise _fault(value=f"1 to {VALUE_BYTES_MAX} bytes without NUL")
    if data.kind == "env":
        if is_reserved(data.name):
            raise SatboxError("secret_name_reserved", details={"name": data.name})
        if data.alias or data.upstream or data.header or data.template:
            raise _fault(kind="alias, upstream, header and template go with kind header")
        return StoredSecret(data.name, "env", {}, at_ms)
    if data.alias is None or data.upstream is None:
        raise _fault(alias="a header needs alias and upstream")
    template = data.template or TEMPLATE_DEFAULT
    if template.count("{}") != 1:
        raise _fault(template="{} stands for the secret, once")
    details = {
        "alias": data.alias, "upstream": data.upstream, "header": data.header or HEADER_DEFAULT, "template": template,
    }  # fmt: skip
    try:
        checked = HeaderSecret(
            data.alias + ALIAS_SUFFIX, data.upstream, details["header"], template.replace("{}", data.value)
        )
    except ValueError:
        raise _fault(header="this alias, upstream, header or value can't be used") from None
    if data.alias in OPERATORS_ALIASES:
        raise _fault(alias="this name is the service's own")
    origin = checked.origin
    if origin.scheme != "https" and not origin.destination.host.endswith(ALIAS_SUFFIX):
        raise _fault(upstream="a secret leaves by https only")
    return StoredSecret(data.name, "header", details, at_ms)


async def _deliver(secrets: Secrets, nodes: Nodes, state: WalletState) -> None:
    """To the running sandbox, if there is one; one that starts later gets them when it is first reached."""
    if state.runtime is None or state.phase not in (Phase.ALIVE, Phase.GRACE):
        return
    try:
        await secrets.deliver(state, state.runtime.runtime_id, nodes.for_runtime(state.runtime))
    except RuntimeGone:
        return
    except SandboxError as error:
        raise SatboxError(NODE_CODES.get(error.code, "node_unavailable"), retry_after=1) from None


def _shown(secret: StoredSecret) -> s.Secret:
    details = secret.details
    return s.Secret(
        name=secret.name,
        kind="header" if secret.kind == "header" else "env",
        set_at=iso(secret.set_at_ms),
        alias=details["alias"] + ALIAS_SUFFIX if details else None,
        upstream=details.get("upstream"),
        header=details.get("header"),
    )


@action("secrets.set")
async def put(context: RequestContext, data: s.SetSecretInput) -> s.Secret:
    """Keep one; in force for requests and commands from now on."""
    services, caller = context.services, context.caller
    secrets, state = await _state(services, caller, data)
    secret = _checked(data, services.clock.wall_ms())
    if any(
        each.name != secret.name and each.details.get("alias") == secret.details.get("alias") is not None
        for each in secrets.all(state)
    ):
        raise _fault(alias="another secret has this alias")
    await secrets.set(state, secret, data.value)
    await _deliver(secrets, services.nodes, state)
    return _shown(secret)


@action("secrets.list")
async def listing(context: RequestContext, data: Target) -> s.SecretList:
    """All of them, without values."""
    services, caller = context.services, context.caller
    secrets, state = await _state(services, caller, data)
    return s.SecretList(items=[_shown(secret) for secret in secrets.all(state)])


@action("secrets.delete")
async def delete(context: RequestContext, data: s.SecretName) -> Done:
    """Delete one, and take it from the running sandbox's proxy."""
    services, caller = context.services, context.caller
    secrets, state = await _state(services, caller, data)
    if not await secrets.delete(state, data.name):
        raise SatboxError("secret_not_found")
    await _deliver(secrets, services.nodes, state)
    return Done(path=data.name)
