"""Which of an owner's routes a request falls under. Pure; whatever could be read in two ways falls under none.

A route guards a path that a server inside reads for itself: were `/free/../paid` matched as free, it would be had for nothing.
So a path with dot segments, doubled or encoded slashes, backslashes or control characters is refused before any route is tried.
"""

from collections.abc import Sequence
from urllib.parse import unquote_to_bytes

from actors.wallet.calls import Route
from operations.errors import SatboxError

OVERRIDES = frozenset({"x-http-method-override", "x-http-method", "x-method-override"})
"""Headers by which some servers take another method than the one that was priced; they are not passed on."""


def plain_path(raw_path: str) -> str:
    """The decoded path (latin-1 stands for bytes), without its query. Raises path_ambiguous."""
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
    return next((route for route in routes if fits(route, port, method, path)), None)
