"""The wallet that a handle means."""

from gate.parts.services import Services
from operations.errors import SatboxError
from stacks import Address, Network


def wallet_address(services: Services, stx_address: str) -> str:
    """This network's wallet of an address from the registry."""
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
