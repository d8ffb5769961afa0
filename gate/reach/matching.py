"""Which of an owner's routes a request falls under. Pure; whatever could be read in two ways falls under none.

A route guards a path that the server inside reads for itself: if `/free/../paid` matched as free, a paid answer would cost
nothing. So a path with dot segments, doubled or encoded slashes, backslashes, fragments or control characters is refused before
any route is tried, and so is one that many servers take for a dearer route's (`/Paid/` for `/paid`).
"""

from collections.abc import Sequence
from dataclasses import replace
from urllib.parse import unquote_to_bytes

from actors.wallet.calls import Route
from operations.errors import SatboxError

OVERRIDES = frozenset(
    ("x-http-method-override", "x-http-method", "x-method-override", "x-original-method", "x-original-url", "x-original-uri",
     "x-rewrite-url", "script-name", "path-info")
)  # fmt: skip
"""Headers by which some servers take another method or path than the one that was priced; they are not passed on. From
127.0.0.1, as which callers arrive inside, gunicorn believes the last two.
"""


def plain_path(raw_path: str) -> str:
    """The decoded path (latin-1 stands for bytes), without its query. Raises path_ambiguous."""
    if "#" in raw_path:  # a fragment is cut off on the way: `/paid#` would be free, and arrive as `/paid`
        raise SatboxError("path_ambiguous")
    path = raw_path.partition("?")[0]
    decoded = unquote_to_bytes(path).decode("latin-1")
    segments = decoded.split("/")
    is_odd = (
        "\\" in decoded
        or "%" in decoded  # encoded twice
        or ";" in decoded  # path parameters: some servers cut them off
        or "//" in decoded
        or decoded.count("/") != path.count("/")
        or any(segment in (".", "..") for segment in segments)
        or any(ord(character) < 0x20 or ord(character) == 0x7F for character in decoded)
    )
    if is_odd or not decoded.startswith("/"):
        raise SatboxError("path_ambiguous")
    return decoded


def fits(route: Route, port: int, method: str, path: str) -> bool:
    """Whether a route covers a request. HEAD is covered by GET: servers answer it the same way."""
    if route.port != port:
        return False
    if route.methods and method not in route.methods and not (method == "HEAD" and "GET" in route.methods):
        return False
    if route.path.endswith("*"):
        return path.startswith(route.path[:-1])
    return path == route.path


def route_for(routes: Sequence[Route], port: int, method: str, raw_path: str) -> Route | None:
    """The first route that covers the request; None when none does. Raises path_ambiguous only when the port has routes."""
    if not any(route.port == port for route in routes):
        return None
    path = plain_path(raw_path)
    for route in routes:
        if fits(route, port, method, path):
            return route
        if _nearly_fits(route, port, method, path):
            found = next((one for one in routes if fits(one, port, method, path)), None)
            if found is not None and found.path.endswith("*") and _is_stricter(route, found):
                raise SatboxError("path_ambiguous", details={"route": route.path})
    return None


def _nearly_fits(route: Route, port: int, method: str, path: str) -> bool:
    """Whether a server that minds neither case nor a slash at the end (Express, as it comes) would say that it fits."""
    loose, bare = replace(route, path=route.path.lower()), path.lower().rstrip("/")
    if not loose.path.endswith("*"):
        loose = replace(loose, path=loose.path.rstrip("/"))
    return fits(loose, port, method, bare) or fits(loose, port, method, bare + "/")


def _is_stricter(route: Route, than: Route) -> bool:
    """Whether somebody might get by `than` what `route` would not have given them."""
    has_other_callers = (route.callers, route.addresses) != (than.callers, than.addresses)
    return route.sats > than.sats or (has_other_callers and route.callers != "anyone")
