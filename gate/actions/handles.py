"""Whom a handle names."""

from actors.view import public_state
from gate.context import RequestContext, action
from gate.identity.named import wallet_address
from operations import handles as h
from operations.errors import SatboxError


@action("agents.resolve")
async def resolve(context: RequestContext, data: h.HandleInput) -> h.AgentView:
    """The agent, and what its sandbox does; the registry has mainnet addresses, wallets have this network's."""
    services = context.services
    if services.handles is None:
        raise SatboxError("registry_unavailable", "This gate looks nobody up.")
    found = await services.handles.find(data.handle)
    address = wallet_address(services, found.stx_address)
    view = await services.views.get(address)
    return h.AgentView(
        kind=found.kind,
        address=address,
        state=public_state(view.state),
        stx_address=found.stx_address,
        btc_address=found.btc_address,
        taproot_address=found.taproot_address,
        display_name=found.display_name,
        bns_name=found.bns_name,
        agent_id=found.agent_id,
        level=found.level,
        level_name=found.level_name,
        last_active_at=found.last_active_at,
        is_stale=found.is_stale,
    )
