"""Spending keys: made, listed and revoked by the owner."""

import secrets
from dataclasses import replace

from actors.view import View, iso, status
from actors.wallet import spending_keys as keys
from actors.wallet.commands import PutKey, RevokeKey
from actors.wallet.spending_keys import SELF, Caps, SpendingKey
from gate.context import RequestContext, action
from gate.identity.api_keys import new_token, token_hash
from gate.parts.services import Services
from operations import spending_keys as s
from operations.errors import SatboxError
from operations.models import Nothing, Target
from operations.prices import USAT_PER_SAT


@action("api_keys.create")
async def create(context: RequestContext, data: s.NewKeyInput) -> s.NewKey:
    """Make a key. Its token is in this answer only."""
    services, caller = context.services, context.caller
    address = caller.owned(data.address)
    unknown = sorted(set(data.scopes) - set(s.SCOPES))
    if unknown:
        raise SatboxError("invalid_request", details={"scopes": f"{', '.join(unknown)}: one of {', '.join(s.SCOPES)}"})
    if data.signer == address:
        raise SatboxError("invalid_request", details={"signer": "the wallet's own key has no caps; name another one"})
    now_ms, token = services.clock.wall_ms(), None if data.signer else new_token(address)
    key = SpendingKey(
        key_id=f"key_{secrets.token_hex(6)}",
        name=data.name,
        token_hash="" if token is None else token_hash(token),
        signer=data.signer or "",
        scopes=tuple(scope for scope in s.SCOPES if scope in data.scopes),
        payees=tuple(dict.fromkeys(data.payees)),
        caps=_caps(data),
        created_wall_ms=now_ms,
        expires_wall_ms=None if data.expires_seconds is None else now_ms + data.expires_seconds * 1000,
    )
    view = services.views.put(await services.system.ask(address, PutKey(key)))
    return s.NewKey(**key_view(key, view, now_ms).model_dump(), key=token)


@action("api_keys.list")
async def listing(context: RequestContext, data: Target) -> s.Keys:
    """All that are kept, and the sandbox's own."""
    services, caller = context.services, context.caller
    view = await services.views.get(caller.owned(data.address), fresh=True)
    if not view.state.exists:
        raise SatboxError("wallet_not_found")
    own = keys.find(view.state.keys, SELF)
    assert own is not None
    shown = [key for key in view.state.keys if key.key_id != SELF] + [own]
    return s.Keys(items=[key_view(key, view, services.clock.wall_ms()) for key in shown])


@action("api_keys.revoke")
async def revoke(context: RequestContext, data: s.KeyTarget) -> s.KeyView:
    """Void one. The sandbox's own stays, and may spend nothing."""
    services, caller = context.services, context.caller
    address = caller.owned(data.address)
    if data.key_id == SELF:
        return await _set_self(services, address, Caps(day_usat=0))
    before = await services.views.get(address, fresh=True)
    key = keys.find(before.state.keys, data.key_id)
    view = services.views.put(await services.system.ask(address, RevokeKey(data.key_id)))
    if key is None:  # made since then, by somebody who knew its id: nobody does
        raise SatboxError("spending_key_not_found")
    now_ms = services.clock.wall_ms()
    return key_view(replace(key, expires_wall_ms=now_ms), view, now_ms)


@action("api_keys.limit_self")
async def limit_self(context: RequestContext, data: s.KeyCaps) -> s.KeyView:
    """What the sandbox may spend by itself."""
    services, caller = context.services, context.caller
    return await _set_self(services, caller.owned(data.address), _caps(data))


@action("self.show")
async def show_self(context: RequestContext, data: Nothing) -> s.SelfView:
    """The wallet that the caller acts for: by the sandbox's own key, another key, or the owner's pass."""
    services, caller = context.services, context.caller
    address, wall_ms = caller.owned(None), services.clock.wall_ms()
    view = await services.views.get(address)
    if not view.state.exists:
        raise SatboxError("wallet_not_found")
    state, shown = view.state, status(view, services.settings.policy, wall_ms)
    key = keys.find(state.keys, SELF if caller.key is None else caller.key.key_id) or caller.key
    assert key is not None
    return s.SelfView(
        address=address,
        state=shown.state,
        runtime_id=None if state.runtime is None else state.runtime.runtime_id,
        balance_usat=shown.balance_usat,
        burn_usat_per_second=state.burn_usat_per_second if state.runtime is not None else 0,
        seconds_left=shown.seconds_left,
        key=key_view(key, view, wall_ms),
    )


async def _set_self(services: Services, address: str, caps: Caps) -> s.KeyView:
    own = replace(keys.own_key(), caps=caps)
    view = services.views.put(await services.system.ask(address, PutKey(own)))
    found = keys.find(view.state.keys, SELF)
    assert found is not None
    return key_view(found, view, services.clock.wall_ms())


def _caps(data: s.KeyCaps) -> Caps:
    amounts = (data.sats_per_call, data.sats_per_hour, data.sats_per_day, data.sats_total)
    return Caps(*(None if sats is None else sats * USAT_PER_SAT for sats in amounts))


def key_view(key: SpendingKey, view: View, wall_ms: int) -> s.KeyView:
    """A key as its owner sees it."""
    aside = keys.aside_for(key.key_id, view.state.allowances)
    left = keys.left(key, aside, wall_ms)
    hour, day = keys.counted_now(key, wall_ms)
    caps = [None if usat is None else usat // USAT_PER_SAT for usat in _amounts(key.caps)]
    return s.KeyView(
        key_id=key.key_id,
        name=key.name,
        kind="self" if key.key_id == SELF else "signer" if key.signer else "token",
        state="good" if key.is_good(wall_ms) else "expired",
        signer=key.signer or None,
        scopes=list(key.scopes),
        payees=list(key.payees),
        sats_per_call=caps[0],
        sats_per_hour=caps[1],
        sats_per_day=caps[2],
        sats_total=caps[3],
        spent_usat=key.spent_usat,
        spent_this_hour_usat=hour,
        spent_today_usat=day,
        set_aside_usat=aside,
        left_usat=None if left.usat == keys.UNLIMITED else left.usat,
        created_at=iso(key.created_wall_ms) if key.created_wall_ms else None,
        expires_at=None if key.expires_wall_ms is None else iso(key.expires_wall_ms),
        last_used_at=None if key.used_wall_ms is None else iso(key.used_wall_ms),
    )


def _amounts(caps: Caps) -> tuple[int | None, ...]:
    return caps.call_usat, caps.hour_usat, caps.day_usat, caps.total_usat
