"""Wake links at the gate: their text, whose they are, and what their holder may do now.

A token names its wallet, so that a link is enough to find it, and carries 256 bits nobody can guess. In a link it stands in
the fragment: browsers send that to nobody, so it is in no log and no referrer. Requests carry it as a header, never in a
path or a query.
"""

import hashlib
import secrets
from dataclasses import dataclass

from actors.view import View, iso, public_state
from actors.wallet import links
from actors.wallet.advance import lacks_usat
from actors.wallet.decide_links import INVALID, is_destroyed
from actors.wallet.links import WakeLink
from actors.wallet.state import Phase, WalletPolicy
from gate.parts.services import Services
from operations import wake_links as w
from operations.errors import SatboxError
from relay_client.offers import USAT_PER_SAT


@dataclass(frozen=True, slots=True)
class LinkHolder:
    """The holder of a valid link of a wallet."""

    address: str
    link_id: str
    token_hash: str
    scopes: tuple[str, ...]


def new_token(address: str) -> str:
    """A token for a wallet's link."""
    return f"swl_{address}_{secrets.token_urlsafe(32)}"


def token_hash(token: str) -> str:
    """The hash that is stored for a token: a reader of the wallet's file can't use it."""
    return hashlib.sha256(token.encode()).hexdigest()


def url_of(public_url: str, address: str, token: str) -> str:
    """The link for people."""
    return f"{public_url}/wake/{address}#{token}"


async def held(services: Services, token: str) -> LinkHolder:
    """Whose link a token is of. Raises wake_link_invalid, the same whatever is wrong. What a snapshot does not know is asked
    for once more: a link is good from the moment its owner has it, at any gate.
    """
    address, digest = w.address_in(token), token_hash(token)
    if address is None:
        raise SatboxError(INVALID)
    for fresh in (False, True):
        view = await services.views.get(address, fresh=fresh)
        link = link_in(view, digest, services.clock.wall_ms())
        if link is not None:
            return LinkHolder(address, link.link_id, digest, link.scopes)
    raise SatboxError(INVALID)


def link_in(view: View, digest: str, wall_ms: int) -> WakeLink | None:
    """The valid link with this hash in a view."""
    return None if is_destroyed(view.state) else links.found(view.state.links, digest, wall_ms)


def check_cap(services: Services, holder: LinkHolder, view: View, usat: int) -> None:
    """Offer nothing that would be refused once it is paid. Raises wake_link_cap_reached."""
    wall_ms = services.clock.wall_ms()
    link = link_in(view, holder.token_hash, wall_ms)
    left = None if link is None else links.usat_left(link, wall_ms)
    if link is not None and left is not None and usat > left:
        raise SatboxError(
            "wake_link_cap_reached",
            details={"sats_per_day": (link.usat_per_day or 0) // USAT_PER_SAT, "left_sats": left // USAT_PER_SAT},
            retry_after=links.seconds_to_midnight(wall_ms),
        )


def link_view(link: WakeLink, wall_ms: int) -> w.WakeLinkView:
    """A link as its owner sees it."""
    state = "revoked" if link.is_revoked else "good" if link.is_good(wall_ms) else "expired"
    last = link.last_used_wall_ms
    return w.WakeLinkView.model_validate(
        {
            **_caps(link, wall_ms),
            "state": state,
            "created_at": iso(link.created_wall_ms),
            "last_used_at": None if last is None else iso(last),
        }
    )


def link_info(link: WakeLink, view: View, policy: WalletPolicy, wall_ms: int) -> w.WakeLinkInfo:
    """What its holder may do now."""
    state = view.state
    missing = lacks_usat(state, policy)
    is_up = state.phase in (Phase.STARTING, Phase.ALIVE, Phase.GRACE)
    has_wake = links.wakes_left(link, wall_ms) > 0 and state.phase is not Phase.STOPPING and not missing
    return w.WakeLinkInfo.model_validate(
        {
            **_caps(link, wall_ms),
            "address": state.address,
            "resets_at": iso((links.day_of(wall_ms) + 1) * links.DAY_MS),
            "state": public_state(state),
            "wakes_now": links.WAKE in link.scopes and (is_up or has_wake),
            "missing_sats": -(-missing // USAT_PER_SAT),
        }
    )


def _caps(link: WakeLink, wall_ms: int) -> dict[str, object]:
    cap, left = link.usat_per_day, links.usat_left(link, wall_ms)
    return {
        "link_id": link.link_id,
        "label": link.label,
        "scopes": list(link.scopes),
        "wakes_per_day": link.wakes_per_day,
        "wakes_left_today": links.wakes_left(link, wall_ms),
        "sats_per_day": None if cap is None else cap // USAT_PER_SAT,
        "sats_left_today": None if left is None else left // USAT_PER_SAT,
        "expires_at": iso(link.expires_wall_ms),
    }
