"""Wake links: made, listed and revoked by the owner; looked at by whoever holds one."""

import secrets

from aiohttp import web

from actors.wallet.commands import AddLink, RevokeLink
from actors.wallet.links import SCOPES, WakeLink
from gate.identity.callers import Caller
from gate.identity.handler import Handler
from gate.identity.wake_links import link_in, link_info, link_view, new_token, token_hash, url_of
from gate.parts.services import Services
from operations import wake_links as w
from operations.errors import SatboxError
from operations.models import Nothing, Target
from relay_client.offers import USAT_PER_SAT


async def create(services: Services, request: web.Request, caller: Caller, data: w.WakeLinkInput) -> w.NewWakeLink:
    """Give a link out; its token is told here and never again."""
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


async def listing(services: Services, request: web.Request, caller: Caller, data: Target) -> w.WakeLinks:
    """All that are kept."""
    view = await services.views.get(caller.owned(data.address), fresh=True)
    if not view.state.is_planned:
        raise SatboxError("wallet_not_found")
    return w.WakeLinks(items=[link_view(link, services.clock.wall_ms()) for link in view.state.links])


async def revoke(services: Services, request: web.Request, caller: Caller, data: w.WakeLinkTarget) -> w.WakeLinkView:
    """Void one; of what is under way through it nothing starts any more."""
    view = services.views.put(await services.system.ask(caller.owned(data.address), RevokeLink(data.link_id)))
    link = next(link for link in view.state.links if link.link_id == data.link_id)
    return link_view(link, services.clock.wall_ms())


async def info(services: Services, request: web.Request, caller: Caller, data: Nothing) -> w.WakeLinkInfo:
    """Look, and use nothing up."""
    holder = caller.link
    assert holder is not None
    view = await services.views.get(holder.address)
    link = link_in(view, holder.token_hash, services.clock.wall_ms())
    if link is None:
        raise SatboxError("wake_link_invalid")
    return link_info(link, view, services.settings.policy, services.clock.wall_ms())


HANDLERS: dict[str, Handler] = {
    "wake_links.create": create,
    "wake_links.list": listing,
    "wake_links.revoke": revoke,
    "wake_links.info": info,
}
