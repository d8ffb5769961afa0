"""Whom a handle names."""

from aiohttp import web

from actors.view import public_state
from gate.callers import Caller
from gate.ports import Services
from gate.routing import Handler
from operations import handles as h
from operations.errors import SatboxError
from stacks import Address, Network


async def resolve(services: Services, request: web.Request, caller: Caller, data: h.HandleInput) -> h.AgentView:
    """The agent, and what its sandbox does; the registry speaks of mainnet addresses, wallets are of this network."""
    if services.handles is None:
        raise SatboxError("registry_unavailable", "This gate looks nobody up.")
    found = await services.handles.find(data.handle)
    network = Network.MAINNET if services.settings.network is Network.MAINNET else Network.TESTNET
    address = str(Address.parse(found.stx_address).to_network(network))
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


HANDLERS: dict[str, Handler] = {"agents.resolve": resolve}
