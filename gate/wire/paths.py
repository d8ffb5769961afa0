"""Which port of which wallet a request is for, and its paths as they came, undecoded: what an order names, and what the server
inside is asked for. A port is called below a path of the gate, or at an origin of its own (`gate/wire/port_origins.py`). Behind
this module there is no difference, so a route is judged and priced alike in both forms.
"""

from dataclasses import dataclass

from aiohttp import web


@dataclass(frozen=True, slots=True)
class Place:
    """A port of a wallet, as it was called. `origin`: the port's own (`http://8000-st1.localhost:4020`); empty in path form."""

    address: str
    port: int
    origin: str = ""

    @property
    def prefix(self) -> str:
        """What stands before the server's own paths, in path form."""
        return f"/sandbox/proxy/{self.address}/{self.port}"

    def outer(self, port: int, path: str) -> str:
        """A path of a server in the same sandbox, as a caller of this place reaches it."""
        if not self.origin:
            return f"/sandbox/proxy/{self.address}/{port}{path}"
        scheme, _, host = self.origin.partition("://")
        return f"{scheme}://{port}-{host.partition('-')[2]}{path}"


PLACE: web.RequestKey[Place] = web.RequestKey("place", Place)
"""Set for requests at an origin of a port."""


def place_of(request: web.Request) -> Place:
    """Which port a request of the proxy is for."""
    found = request.get(PLACE)
    return found or Place(request.match_info["address"], int(request.match_info["port"]))


def called_path(request: web.Request) -> str:
    """The whole path in path form, without its query."""
    raw = request.raw_path.partition("?")[0]
    if not raw.startswith("/"):  # the absolute form: scheme and authority come first
        raw = "/" + raw.partition("://")[2].partition("/")[2]
    place = request.get(PLACE)
    return raw if place is None else place.prefix + raw


def shown_path(request: web.Request) -> str:
    """The decoded path in path form, for people and offers."""
    place = request.get(PLACE)
    return request.path if place is None else place.prefix + request.path


def inner_target(request: web.Request) -> str:
    """Path and query behind the port, as they came: `Credentials` takes out what is the gate's."""
    rest = called_path(request).split("/", 5)
    query = request.raw_path.partition("?")[2]
    return "/" + (rest[5] if len(rest) > 5 else "") + ("?" + query if query else "")
