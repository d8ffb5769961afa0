"""Wake links: what an agent gives out so that somebody without keys can wake it, or pay for it. Pure.

Of a link's token only the sha256 is kept. What a link may do is counted by the UTC day of the host's clock: wakes that started
something, and micro-sats that were paid through it. A payment counts from when it is presented; when it fails it counts no
more, however often and by whomever that is told, since it is kept by its id.
"""

import hmac
from dataclasses import dataclass, replace

WAKE = "wake"
TOPUP = "topup"
SCOPES = (WAKE, TOPUP)
LINKS_MAX = 32
UNDER_WAY_MAX = 16
"""Payments through one link that are followed at once."""
DAY_MS = 86_400_000
EXPIRES_SECONDS_MAX = 365 * 86_400


@dataclass(frozen=True, slots=True)
class TopUp:
    """A payment through a link that is not credited yet. `wakes`: the owner has not gone back on it since."""

    payment_id: str
    usat: int
    day: int
    wakes: bool = True


@dataclass(frozen=True, slots=True)
class WakeLink:
    """One link. `wakes` and `topped_usat` are those of `day`, counted from 1970; `usat_per_day` None is no limit."""

    link_id: str
    token_hash: str
    label: str
    scopes: tuple[str, ...]
    wakes_per_day: int
    usat_per_day: int | None
    created_wall_ms: int
    expires_wall_ms: int
    is_revoked: bool = False
    last_used_wall_ms: int | None = None
    day: int = 0
    wakes: int = 0
    topped_usat: int = 0
    under_way: tuple[TopUp, ...] = ()

    def is_good(self, wall_ms: int) -> bool:
        """Whether it opens anything at all."""
        return not self.is_revoked and wall_ms < self.expires_wall_ms


Links = tuple[WakeLink, ...]


def day_of(wall_ms: int) -> int:
    """The UTC day of a moment."""
    return wall_ms // DAY_MS


def seconds_to_midnight(wall_ms: int) -> int:
    """Until counts begin anew, rounded up."""
    return -((wall_ms - (day_of(wall_ms) + 1) * DAY_MS) // 1000)


def on_day(link: WakeLink, wall_ms: int) -> WakeLink:
    """The link with the counts of today. A payment nobody has heard of for a day counts no more."""
    today = day_of(wall_ms)
    if link.day == today:
        return link
    under_way = tuple(each for each in link.under_way if each.day >= today - 1)
    return replace(link, day=today, wakes=0, topped_usat=0, under_way=under_way)


def wakes_left(link: WakeLink, wall_ms: int) -> int:
    """How often it may still start something today."""
    return max(0, link.wakes_per_day - on_day(link, wall_ms).wakes) if WAKE in link.scopes else 0


def usat_left(link: WakeLink, wall_ms: int) -> int | None:
    """What may still be paid through it today; None is no limit."""
    if TOPUP not in link.scopes:
        return 0
    if link.usat_per_day is None:
        return None
    today = on_day(link, wall_ms)
    return max(0, link.usat_per_day - today.topped_usat - sum(each.usat for each in today.under_way))


def found(links: Links, token_hash: str, wall_ms: int) -> WakeLink | None:
    """The good link of a token. Every one is compared, in constant time each, so that time tells nothing."""
    hit = None
    for link in links:
        if hmac.compare_digest(link.token_hash, token_hash) and link.is_good(wall_ms):
            hit = link
    return hit


def with_link(links: Links, link: WakeLink) -> Links:
    """The links with one in the place of its older self."""
    return tuple(link if each.link_id == link.link_id else each for each in links)


def with_room(links: Links, wall_ms: int) -> Links | None:
    """The links with room for one more: those that open nothing any more go first, the oldest of them. None: there is none."""
    if len(links) < LINKS_MAX:
        return links
    dead = next((link for link in links if not link.is_good(wall_ms)), None)
    return None if dead is None else tuple(link for link in links if link is not dead)


def revoked(link: WakeLink) -> WakeLink:
    """The link as it opens nothing: what was paid through it is credited, and starts nothing."""
    return replace(link, is_revoked=True, under_way=tuple(replace(each, wakes=False) for each in link.under_way))


def without_wakes(links: Links) -> Links:
    """The links after their owner has reaped: money sent before starts nothing."""
    return tuple(
        replace(link, under_way=tuple(replace(each, wakes=False) for each in link.under_way))
        if link.under_way
        else link
        for link in links
    )


def has_consent(links: Links, payment_id: str) -> bool:
    """Whether a payment came through a link, so that it may wake what its owner put to sleep."""
    return any(each.payment_id == payment_id and each.wakes for link in links for each in link.under_way)


def credited(links: Links, payment_id: str, usat: int, wall_ms: int) -> Links:
    """A payment has arrived: it counts for today, with what it came to."""
    return tuple(
        _credited(on_day(link, wall_ms), payment_id, usat) if _holds(link, payment_id) else link for link in links
    )


def _credited(link: WakeLink, payment_id: str, usat: int) -> WakeLink:
    return replace(_without(link, payment_id), topped_usat=link.topped_usat + usat)


def failed(links: Links, payment_id: str) -> Links:
    """A payment will not come: it counts no more."""
    return tuple(_without(link, payment_id) if _holds(link, payment_id) else link for link in links)


def _holds(link: WakeLink, payment_id: str) -> bool:
    return any(each.payment_id == payment_id for each in link.under_way)


def _without(link: WakeLink, payment_id: str) -> WakeLink:
    return replace(link, under_way=tuple(each for each in link.under_way if each.payment_id != payment_id))
