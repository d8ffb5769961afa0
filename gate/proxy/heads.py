"""Headers between a caller and a server inside: what passes, and what the gate says itself. Pure."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from multidict import CIMultiDict

from gate.identity.port_tokens import TOKEN_HEADER
from gate.proxy.credentials import OWN_COOKIES
from gate.proxy.redirects import LEADING
from gate.reach.matching import OVERRIDES
from gate.wire.cors import INSIDE
from gate.wire.paths import Place
from operations.errors import SatboxError

HOP_BY_HOP = frozenset(
    ("connection", "keep-alive", "proxy-authenticate", "proxy-authorization", "proxy-authentication-info",
     "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade", "http2-settings")
)  # fmt: skip
"""RFC 9110, 7.6.1: meant for the next hop only."""
FRAMING = frozenset(("content-length", "expect"))
"""Set by `forward` from the body as it was read. The gate has answered `Expect` itself."""
SPOKEN_FOR = frozenset(
    ("host", "forwarded", "x-real-ip", "true-client-ip", "x-request-id",
     "payment-signature", "x-payment", "x-payment-token-type", TOKEN_HEADER.lower())
)  # fmt: skip
"""Words between a caller and the gate, and what proxies say of a caller."""
SPOKEN_FOR_PREFIXES = ("x-forwarded-", "x-satbox-")
GATES = ("payment-", "x-payment", "x-satbox-", "access-control-", "sec-", "attribution-reporting-")
NOT_THEIRS = frozenset(
    (
        "x-request-id", "clear-site-data", "strict-transport-security", "service-worker-allowed", "alt-svc", "nel",
        "report-to", "reporting-endpoints", "accept-ch", "critical-ch", "use-as-dictionary", "public-key-pins",
        "expect-ct", "set-login", "set-cookie2", "shared-storage-write", "activate-storage-access",
        "origin-agent-cluster", "observe-browsing-topics",
    )
)  # fmt: skip
"""Headers that would act in the gate's name or for its whole origin: demands for a payment, cookies, rules for others."""
GATES_ANYWHERE = ("payment-", "x-payment", "x-satbox-", "sec-session-")
NOT_THEIRS_ANYWHERE = frozenset(
    (
        "x-request-id", "clear-site-data", "strict-transport-security", "alt-svc", "public-key-pins", "expect-ct", "set-login",
        "set-cookie2", "activate-storage-access",
    )
)  # fmt: skip
"""The same at an origin of the server's own: what reaches beyond it, to all of its site, and what is the gate's to say."""
CHALLENGE, CHALLENGE_PASSED_ON = "www-authenticate", "X-Inner-WWW-Authenticate"
"""A browser that reads a challenge asks its user for a password in the name of the gate, and sends it to every sandbox there."""
ISOLATED = "sandbox allow-scripts allow-forms allow-modals allow-popups"
"""A page from a sandbox has an origin of its own in a browser, whatever it says."""
COOKIE_ATTRIBUTES = frozenset(
    ("expires", "max-age", "secure", "httponly", "samesite", "partitioned", "priority")
)  # fmt: skip
"""All but `Domain` and `Path`: a cookie is for its port's paths on the gate's own name, or for its port's own origin."""
_OTHER = re.compile(r"[^a-z0-9]")
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_NOT_UTF8 = re.compile("[\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class ForwardedInfo:
    """What the gate itself says of a request: who and where from, and whose sandbox it goes to."""

    place: Place
    host: str
    peer: str
    scheme: str
    payer: str | None = None

    @property
    def own_headers(self) -> dict[str, str]:
        """Set last. At an origin of its own a server is asked as on its owner's machine: dev servers refuse other hosts, and many
        compare `Origin` with `Host`, others with `X-Forwarded-Host`; with `localhost` and nothing else all of them agree.
        """
        place = self.place
        where = {"Host": inner_host(place.port), "X-Satbox-Public-Origin": place.origin}
        if not place.origin:
            where = {"Host": self.host, "X-Forwarded-Proto": self.scheme, "X-Forwarded-Host": self.host}
            where["X-Forwarded-Prefix"] = place.prefix
        payer = {} if self.payer is None else {"X-Satbox-Payer": self.payer}
        return {**where, "X-Forwarded-For": self.peer, "X-Satbox-Address": place.address, **payer}


def inner_host(port: int) -> str:
    """`Host` as a browser beside the server would send it."""
    return "localhost" if port == 80 else f"localhost:{port}"


def plain_name(name: str) -> str:
    """A header's name as CGI, WSGI and their like see it: they take `X_Satbox_Payer` and `X.Satbox.Payer` for one name."""
    return _OTHER.sub("-", name.lower())


def named_in_connection(headers: Iterable[tuple[str, str]]) -> set[str]:
    """The headers that every `Connection` header names as meant for the next hop (RFC 9110, 7.6.1)."""
    return {
        word.strip().lower() for name, value in headers if name.lower() == "connection" for word in value.split(",")
    }


def inward(headers: Iterable[tuple[str, str]], caller: ForwardedInfo, *, keeps_authorization: bool) -> CIMultiDict[str]:
    """The caller's headers as the server inside sees them. What the gate says of the caller is set last, here and nowhere
    else, so that nothing a caller sends can come in its place. Raises invalid_request.
    """
    given = list(headers)
    dropped = named_in_connection(given)
    passed: CIMultiDict[str] = CIMultiDict()
    for name, value in given:
        plain = plain_name(name)
        if plain in HOP_BY_HOP or plain in FRAMING or plain in SPOKEN_FOR or plain in OVERRIDES:
            continue
        if name.lower() in dropped or plain.startswith(SPOKEN_FOR_PREFIXES):
            continue
        if plain == "authorization" and not keeps_authorization:
            continue
        _check(name, value)
        passed.add(name, _as_inside(value, caller.place) if plain in ("origin", "referer") else value)
    _check("Host", caller.host)
    passed.update(caller.own_headers)
    return passed


def _as_inside(value: str, place: Place) -> str:
    """The port's own origin, which a page there names, as the server knows it."""
    origin, rest = value[: len(place.origin)], value[len(place.origin) :]
    is_own = place.origin and origin.lower() == place.origin and rest[:1] in ("", "/", "?")
    return f"http://{inner_host(place.port)}{rest}" if is_own else value


def _check(name: str, value: str) -> None:
    """Refuse what would not arrive as it was sent."""
    if _NOT_UTF8.search(value):
        raise SatboxError("invalid_request", f"The header {name[:100]} is not UTF-8; it cannot be passed on unchanged.")
    if _CONTROL.search(value):
        raise SatboxError("invalid_request", f"The header {name[:100]} holds a control character.")


def outward(
    headers: Iterable[tuple[str, str]], request_id: str, place: Place, *, target: str = "/", outer_host: str = ""
) -> CIMultiDict[str]:
    """The server's headers as the caller of a place sees them, but for `Content-Length`: in path form all servers share the
    gate's origin, and speak for no more than themselves. Raises bad_gateway.
    """
    given, is_home = list(headers), bool(place.origin)
    gates, not_theirs = (GATES_ANYWHERE, NOT_THEIRS_ANYWHERE) if is_home else (GATES, NOT_THEIRS)
    dropped = named_in_connection(given)
    passed: CIMultiDict[str] = CIMultiDict()
    for name, value in given:
        plain = plain_name(name)
        if plain in HOP_BY_HOP or plain == "content-length" or plain in not_theirs or plain.startswith(gates):
            continue
        if name.lower() in dropped:
            continue
        if _CONTROL.search(value):
            raise SatboxError("bad_gateway", details={"reason": "a header with a control character"})
        if plain == "set-cookie":
            if not (is_home and _is_own_cookie(value)):
                passed.add(name, narrowed(value, place))
        elif plain in LEADING:
            passed.add(name, LEADING[plain](value, place, target, outer_host))
        elif plain == CHALLENGE and not is_home:
            passed.add(CHALLENGE_PASSED_ON, value)
        else:
            passed.add(name, value)
    passed["x-request-id"] = request_id
    passed[INSIDE] = "sandbox"
    if not is_home:
        passed.add("Content-Security-Policy", ISOLATED)
    return passed


def check_reason(reason: str) -> None:
    """Refuse a reason phrase that cannot be written, before anybody has paid for the answer. Raises bad_gateway."""
    if _CONTROL.search(reason):
        raise SatboxError("bad_gateway", details={"reason": "a reason phrase with a control character"})


def narrowed(cookie: str, place: Place) -> str:
    """A cookie for this port only: no domain, nothing that is not known, and in path form no other path."""
    pair, *attributes = cookie.split(";")
    known = COOKIE_ATTRIBUTES | {"path"} if place.origin else COOKIE_ATTRIBUTES
    kept = [part for part in attributes if part.partition("=")[0].strip().lower() in known]
    return ";".join([pair, *kept] if place.origin else [pair, *kept, f" Path={place.prefix}"])


def _is_own_cookie(cookie: str) -> bool:
    """Whether a cookie that a server sets would pass for the gate's. One without a name is sent back as its value is."""
    name, equals, value = cookie.partition(";")[0].partition("=")
    said = name.strip() or value.strip() if equals else name.strip()
    return said.lower().startswith(OWN_COOKIES)


def announced_length(headers: Mapping[str, str]) -> int | None:
    """What an answer says of its body's length; None when it says nothing, or says it by chunks."""
    length = headers.get("Content-Length", "")
    is_length = length.isascii() and length.isdigit() and "Transfer-Encoding" not in headers
    return int(length) if is_length else None
