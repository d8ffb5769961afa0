"""Wake links: their owner makes, lists and revokes them; their holder can look at one."""

import secrets

from actors.wallet.commands import AddLink, RevokeLink
from actors.wallet.links import SCOPES, WakeLink
from gate.context import RequestContext, action
from gate.identity.wake_links import link_in, link_info, link_view, new_token, token_hash, url_of
from operations import wake_links as w
from operations.errors import SatboxError
from operations.models import Nothing, Target
from relay_client.offers import USAT_PER_SAT


@action("wake_links.create")
async def create(context: RequestContext, data: w.WakeLinkInput) -> w.NewWakeLink:
    """Make a link. Its token is in this answer only."""
    services, caller = context.services, context.caller
    address = caller.owned(data.address)
    token, now_ms = new_token(address), services.clock.wall_ms()
    link = WakeLink(
        link_id=f"wl_{secrets.token_hex(6)}",
        token_hash=token_hash(token),
        label=data.label,
        scopes=tuple(scope for scope in SCOPES if scope in data.scopes),
        wakes_per_day=data.wakes_per_day,
        usat_per_day=None if data.sats_per_day is None else data.sats_per_day * USAT_PER_SAT,
        created_wall_ms=now_ms,
        expires_wall_ms=now_ms + data.expires_seconds * 1000,
    )
    services.views.put(await services.system.ask(address, AddLink(link)))
    url = url_of(services.settings.public_url, address, token)
    return w.NewWakeLink(**link_view(link, now_ms).model_dump(), token=token, url=url)


@action("wake_links.list")
async def listing(context: RequestContext, data: Target) -> w.WakeLinks:
    """All that are kept."""
    services, caller = context.services, context.caller
    view = await services.views.get(caller.owned(data.address), fresh=True)
    if not view.state.is_planned:
        raise SatboxError("wallet_not_found")
    return w.WakeLinks(items=[link_view(link, services.clock.wall_ms()) for link in view.state.links])


@action("wake_links.revoke")
async def revoke(context: RequestContext, data: w.WakeLinkTarget) -> w.WakeLinkView:
    """Revoke a link. Unconfirmed payments made through it start nothing."""
    services, caller = context.services, context.caller
    view = services.views.put(await services.system.ask(caller.owned(data.address), RevokeLink(data.link_id)))
    link = next(link for link in view.state.links if link.link_id == data.link_id)
    return link_view(link, services.clock.wall_ms())


@action("wake_links.info")
async def info(context: RequestContext, data: Nothing) -> w.WakeLinkInfo:
    """Look, and use nothing up."""
    services, caller = context.services, context.caller
    holder = caller.link
    assert holder is not None
    view = await services.views.get(holder.address)
    link = link_in(view, holder.token_hash, services.clock.wall_ms())
    if link is None:
        raise SatboxError("wake_link_invalid")
    return link_info(link, view, services.settings.policy, services.clock.wall_ms())
