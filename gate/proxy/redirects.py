"""Where an answer's `Location`, `Content-Location`, `Refresh` and `Link` lead. A server inside names its own paths and
`localhost`; its caller is outside. Pure.
"""

import re
from collections.abc import Callable
from urllib.parse import urljoin, urlsplit

from gate.wire.paths import Place

LOCAL_HOSTS = frozenset(("localhost", "127.0.0.1", "[::1]", "0.0.0.0", "[::]"))  # noqa: S104 - names, nothing is bound
PORTS = {"http": 80, "https": 443}
_WITH_HOST = re.compile(r"(?:(https?):)?//([^/?#\\]*)(.*)", re.IGNORECASE | re.DOTALL)
_REFRESH = re.compile(
    r"(\s*[0-9.]+\s*(?:[;,]|\s)\s*(?:url\s*=\s*)?)(?:\"([^\"]*)\"?|'([^']*)'?|(.*))(.*)", re.IGNORECASE | re.DOTALL
)
"""As browsers read it (HTML, "shared declarative refresh steps"): seconds, and a URL with or without `url=` and quotes."""
_LINK_TARGET = re.compile(r"<([^<>]*)>|\"(?:[^\"\\]|\\.)*+\\?\"?")
"""A link's target (RFC 8288, 3), or a quoted parameter, where `<` means nothing; closed or not, so that it is read once."""
_WITH_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")


def outward_location(location: str, place: Place, target: str, outer_host: str) -> str:
    """A `Location` as the caller of a place has to follow it: what leads to a server in the same sandbox leads there from
    outside, in the form in which the caller came; what leads to other hosts is left alone. `target` was asked for inside;
    `outer_host` is the `Host` that the caller sent.
    """
    text = location.strip()
    absolute = _WITH_HOST.match(text)
    if absolute is not None:
        scheme, authority, rest = (absolute[1] or "http").lower(), absolute[2].lower(), absolute[3]
        # In path form the request named the gate's own host, and the server may believe that this host is its own.
        is_gates = not place.origin and authority.rpartition("@")[2] == outer_host.lower()
        port = place.port if is_gates else _local_port(authority, scheme)
        if port is None:
            return location
        path = rest if rest.startswith("/") else "/" + rest
        return path if is_gates and _is_below(place, path) else place.outer(port, path)
    if place.origin or _WITH_SCHEME.match(text):
        return location
    if text.startswith("/") or _climbs(text):
        if _climbs(text):
            text = _plain_path(text) + text[len(re.split(r"[?#]", text, maxsplit=1)[0]) :]
        inner = urlsplit(urljoin(f"http://inside{target}", text))
        path = inner._replace(scheme="", netloc="").geturl() or "/"
        return path if _is_below(place, path) else place.prefix + path
    return location


def outward_refresh(refresh: str, place: Place, target: str, outer_host: str) -> str:
    """`Refresh` with its URL as `outward_location` has it; one without a URL reloads, and is left alone."""
    found = _REFRESH.fullmatch(refresh)
    if found is None:
        return refresh
    index = next(number for number in (2, 3, 4) if found[number] is not None)
    url = outward_location(found[index], place, target, outer_host)
    return refresh[: found.start(index)] + url + refresh[found.end(index) :]


def outward_links(links: str, place: Place, target: str, outer_host: str) -> str:
    """`Link` with the targets of all its links as `outward_location` has them."""

    def outward(found: re.Match[str]) -> str:
        return found[0] if found[1] is None else f"<{outward_location(found[1], place, target, outer_host)}>"

    return _LINK_TARGET.sub(outward, links)


LEADING: dict[str, Callable[[str, Place, str, str], str]] = {
    "location": outward_location,
    "content-location": outward_location,
    "refresh": outward_refresh,
    "link": outward_links,
}
"""The headers that lead somewhere, and how each is said outside."""


def _local_port(authority: str, scheme: str) -> int | None:
    """The port inside that an authority names; None for one of another host."""
    found = re.fullmatch(r"(\[[^\]]*\]|[^:]*)(?::([0-9]{1,5}))?", authority)
    if found is None or found[1] not in LOCAL_HOSTS:
        return None
    port = int(found[2]) if found[2] else PORTS[scheme]
    return port if 0 < port <= 65_535 else None


def _is_below(place: Place, path: str) -> bool:
    """Whether a path is in path form already: servers that read `X-Forwarded-Prefix` say it so."""
    return re.match(rf"{re.escape(place.prefix)}(?:[/?#]|$)", path) is not None


def _climbs(text: str) -> bool:
    """Whether a relative path may lead above the port's own root, which is where it ends inside."""
    return ".." in _plain_path(text).split("/")


def _plain_path(text: str) -> str:
    r"""The path of a relative reference as browsers read it: `%2e` is a dot there, and `\` a slash (WHATWG URL, 4.4)."""
    path = re.split(r"[?#]", text, maxsplit=1)[0]
    return re.sub("%2e", ".", path, flags=re.IGNORECASE).replace("\\", "/")
