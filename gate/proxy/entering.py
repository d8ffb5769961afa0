"""How a browser comes in at a port's own origin: once by a token in the query, and from then on by a cookie of that origin alone.

The cookie is the token. It opens what the token opens and as long as that does, so a token that is revoked or has expired is
worth nothing in a cookie either. No page can read it, the server inside neither sees nor sets it (`gate/proxy/heads.py`), and
it is no good on a request that a page of another origin has made. Pure.
"""

from collections.abc import Iterator

from aiohttp import web
from multidict import CIMultiDictProxy

from gate.calls.paths import Place

COOKIE, SECURE_COOKIE = "satbox-port", "__Host-satbox-port"
"""Browsers take the second from https alone, for one host alone (RFC 6265bis, 4.1.3.2): no sibling can set it."""
COOKIES_MAX = 8
SAFE_METHODS = ("GET", "HEAD")
PAGES = ("document",)
"""What other sites may bring up with the cookie: a page of its own in a tab. Not in a frame, not as a part of theirs."""


def cookie_tokens(headers: CIMultiDictProxy[str], *, is_secure: bool) -> Iterator[str]:
    """What a request's cookies of our name say."""
    name, found = SECURE_COOKIE if is_secure else COOKIE, 0
    for header in headers.getall("Cookie", ()):
        for pair in header.split(";"):
            key, _, value = pair.strip().partition("=")
            if key == name and found < COOKIES_MAX:
                found += 1
                yield value


def may_ride(method: str, headers: CIMultiDictProxy[str], origin: str) -> bool:
    """Whether a request with our cookie was made by a page of this origin, by its visitor, or by no browser. Pages of other
    ports are of the same site, so `SameSite` does not keep them out; `Origin` and Fetch Metadata do. What says neither is let
    through only where a browser of any age would say neither: a plain GET or HEAD.
    """
    origins, sites = headers.getall("Origin", ()), headers.getall("Sec-Fetch-Site", ())
    if len(sites) > 1:
        return False
    site = sites[0].strip().lower() if sites else None
    # A page that sends no referrer posts its own forms with `Origin: null` (Fetch, 3.2); who sent it, the other header says.
    known = (origin, "null") if site == "same-origin" else (origin,)
    if any(each.strip().lower() not in known for each in origins):
        return False
    is_safe = method in SAFE_METHODS and "Upgrade" not in headers
    if site is None:
        return is_safe or bool(origins)
    if site in ("same-origin", "none"):
        return True
    is_page = headers.get("Sec-Fetch-Mode") == "navigate" and headers.get("Sec-Fetch-Dest") in PAGES
    return site in ("same-site", "cross-site") and is_safe and not origins and is_page


def comes_in(request: web.Request) -> bool:
    """Whether a browser opens a page with a token in the query. Programs are answered at once: they keep no cookies."""
    if request.method not in SAFE_METHODS or "Upgrade" in request.headers:
        return False
    mode = request.headers.get("Sec-Fetch-Mode")
    return mode == "navigate" or (mode is None and "text/html" in request.headers.get("Accept", "").lower())


def entered(
    place: Place, target: str, token: str, seconds_left: int, request_id: str, *, is_secure: bool
) -> web.Response:
    """The same page once more, without the token, which stays behind as a cookie."""
    cookie = f"{SECURE_COOKIE if is_secure else COOKIE}={token}; Path=/; Max-Age={seconds_left}; HttpOnly; SameSite=Lax"
    headers = {
        "Location": place.origin + target,
        "Set-Cookie": cookie + ("; Secure" if is_secure else ""),
        "Cache-Control": "no-store",
        "Referrer-Policy": "no-referrer",
        "x-request-id": request_id,
    }
    return web.Response(status=303, headers=headers)
