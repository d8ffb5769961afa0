"""Whom a handle names."""

from aiohttp import web

from actors.view import public_state
from gate.callers import Caller
from gate.ports import Services
from gate.routing import Handler
from operations import handles as h
from operations.errors import SatboxError
from stacks import Address, Network


def wallet_address(services: Services, stx_address: str) -> str:
    """The wallet here of an address the registry speaks of."""
    network = Network.MAINNET if services.settings.network is Network.MAINNET else Network.TESTNET
    return str(Address.parse(stx_address).to_network(network))


async def meant(services: Services, handle: str, caller: str | None) -> str:
    """The wallet a handle means. A shared name means `caller`'s own, when that is one of those who bear it; nobody else's is
    guessed. Raises handle_ambiguous and what the resolver raises.
    """
    if services.handles is None:
        raise SatboxError("registry_unavailable", "This gate looks nobody up.")
    try:
        found = await services.handles.find(handle)
    except SatboxError as error:
        bearers = error.details.get("candidates", ()) if error.code == "handle_ambiguous" else ()
        if caller is not None and caller in (wallet_address(services, bearer) for bearer in bearers):
            return caller
        raise
    return wallet_address(services, found.stx_address)


async def resolve(services: Services, request: web.Request, caller: Caller, data: h.HandleInput) -> h.AgentView:
    """The agent, and what its sandbox does; the registry speaks of mainnet addresses, wallets are of this network."""
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


HANDLERS: dict[str, Handler] = {"agents.resolve": resolve}
