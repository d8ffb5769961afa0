"""The paths of a call as they came, undecoded: what an order names, and what the server inside is asked for."""

from aiohttp import web

from gate.port_tokens import without_token


def called_path(request: web.Request) -> str:
    """The whole path, without its query."""
    raw = request.raw_path.partition("?")[0]
    if not raw.startswith("/"):  # the absolute form: scheme and authority come first
        raw = "/" + raw.partition("://")[2].partition("/")[2]
    return raw


def inner_target(request: web.Request) -> str:
    """Path and query behind the port; the token's own pair is left out."""
    rest = called_path(request).split("/", 5)
    query = without_token(request.raw_path.partition("?")[2])
    return "/" + (rest[5] if len(rest) > 5 else "") + ("?" + query if query else "")
