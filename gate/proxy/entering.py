"""How a browser comes in at a port's own origin: once by a token in the query, and from then on by a cookie of that origin alone.

The cookie holds the token. It opens what the token opens, for as long as the token does; a revoked or expired token does not work
as a cookie either. No page can read it, the server inside neither sees nor sets it (`gate/proxy/heads.py`), and it is ignored on
requests made by pages of other origins. Pure.
"""

from collections.abc import Iterator, Mapping
from urllib.parse import parse_qsl, urlsplit

from aiohttp import web
from multidict import CIMultiDictProxy

from gate.identity.port_tokens import TOKEN_QUERY
from gate.wire.paths import Place

COOKIE, SECURE_COOKIE = "satbox-port", "__Host-satbox-port"
"""Browsers take the second from https alone, for one host alone (RFC 6265bis, 4.1.3.2): no sibling can set it."""
COOKIES_MAX = 8
PAIRS_MAX = 64
SAFE_METHODS = ("GET", "HEAD")
PAGES = ("document", "empty")
"""What other sites may bring up with the cookie: a page of its own in a tab. Not in a frame, not as a part of theirs. A service
worker of the page that passes a link on makes `empty` of it, and of a sibling's frame too: `UNFRAMED` tells those apart.
"""
UNFRAMED = {"Content-Security-Policy": "frame-ancestors 'self'"}
"""On an answer that may be for a frame in a page of another origin, as nobody but the browser can say."""
HEAD_WORDS: web.RequestKey[Mapping[str, str]] = web.RequestKey("head_words", dict)
"""What the gate adds to the head of an answer from inside."""


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


def is_by_worker(headers: CIMultiDictProxy[str]) -> bool:
    """Whether a service worker has passed on what opens a page, in a tab or in a frame of whatever page."""
    return headers.get("Sec-Fetch-Mode") == "navigate" and headers.get("Sec-Fetch-Dest") == "empty"


def tokens_of_page(headers: CIMultiDictProxy[str], origin: str) -> Iterator[str]:
    """What the URL of the page says that makes a request of its own origin. A service worker may answer a link by itself: then
    the gate never sees the token in it but here.
    """
    page = headers.get("Referer", "")
    if headers.get("Sec-Fetch-Site") == "same-origin" and page.lower().startswith((f"{origin}/", f"{origin}?")):
        for name, value in parse_qsl(urlsplit(page).query)[:PAIRS_MAX]:
            if name == TOKEN_QUERY:
                yield value


def comes_in(request: web.Request) -> bool:
    """Whether a browser opens a page with a token in the query. Programs are answered at once: they keep no cookies."""
    if request.method not in SAFE_METHODS or "Upgrade" in request.headers:
        return False
    mode = request.headers.get("Sec-Fetch-Mode")
    return mode == "navigate" or (mode is None and "text/html" in request.headers.get("Accept", "").lower())


def kept(token: str, seconds_left: int, *, is_secure: bool) -> str:
    """The cookie that a token stays behind as."""
    cookie = f"{SECURE_COOKIE if is_secure else COOKIE}={token}; Path=/; Max-Age={seconds_left}; HttpOnly; SameSite=Lax"
    return cookie + ("; Secure" if is_secure else "")


def entered(
    place: Place, target: str, token: str, seconds_left: int, request_id: str, *, is_secure: bool
) -> web.Response:
    """The same page once more, without the token, which stays behind as a cookie."""
    headers = {
        "Location": place.origin + target,
        "Set-Cookie": kept(token, seconds_left, is_secure=is_secure),
        "Cache-Control": "no-store",
        "Referrer-Policy": "no-referrer",
        "x-request-id": request_id,
    }
    return web.Response(status=303, headers=headers)
