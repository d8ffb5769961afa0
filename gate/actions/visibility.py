"""Whether an agent's page is for everybody."""

from actors.wallet.commands import SetVisibility
from gate.context import RequestContext, action
from operations import visibility as v
from operations.errors import SatboxError


@action("sandbox.visibility")
async def set_visibility(context: RequestContext, data: v.VisibilityInput) -> v.Visibility:
    """In force here when this answers, at other gates within a second."""
    services, caller = context.services, context.caller
    address = caller.owned(data.address)
    if data.public is None:
        view = await services.views.get(address, fresh=True)
        if not view.state.exists:
            raise SatboxError("wallet_not_found")
    else:
        view = services.views.put(await services.system.ask(address, SetVisibility(data.public)))
    url = f"{services.settings.public_url}/agent/{address}"
    return v.Visibility(address=address, public=view.state.is_public, url=url)
