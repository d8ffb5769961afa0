"""What lets pages of other origins call the gate and read its answers (the Fetch standard's CORS protocol): the same on every
answer, streamed or not, of the gate or of a server inside, an error or not. No cookie counts here, so any origin may.
"""

import re
from collections.abc import Iterable

from aiohttp import web

from operations.wake_links import LINK_HEADER

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
REQUEST_HEADERS = (
    "authorization", "content-type", "payment-signature", "x-payment-token-type", "x-satbox-token", LINK_HEADER.lower(),
)  # fmt: skip
EXPOSED = ("payment-required", "payment-response", "x-request-id", "x-satbox-receipt", "retry-after")
PREFLIGHT_SECONDS = 86_400
ASKED_MAX = 64
"""Header names that one preflight may ask for; a browser fails a preflight that leaves one out, and says which."""
NOT_ASKED_FOR = frozenset(("CONNECT", "TRACE", "TRACK"))
AS_IT_CAME: web.RequestKey[bool] = web.RequestKey("as_it_came", bool)
"""A server inside answers at an origin of its own, where it says itself what other origins may read."""
INSIDE = "X-Satbox-Origin"
"""On what a server inside has answered."""
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,128}")


def is_preflight(request: web.Request) -> bool:
    """Whether a browser asks what a page may ask."""
    return request.method == "OPTIONS" and "Access-Control-Request-Method" in request.headers


def preflight(request: web.Request) -> web.Response:
    """Every method that is asked for, and every header: servers inside take their own."""
    method = request.headers["Access-Control-Request-Method"].strip()
    methods = [*METHODS, *_tokens([method] if method.upper() not in NOT_ASKED_FOR else [], METHODS)]
    asked = request.headers.get("Access-Control-Request-Headers", "").lower().split(",")
    response = web.Response(status=204)
    response.headers["Access-Control-Allow-Methods"] = ", ".join(methods)
    response.headers["Access-Control-Allow-Headers"] = ", ".join([*REQUEST_HEADERS, *_tokens(asked, REQUEST_HEADERS)])
    response.headers["Access-Control-Max-Age"] = str(PREFLIGHT_SECONDS)
    response.headers["Vary"] = "Access-Control-Request-Method, Access-Control-Request-Headers"
    return response


def _tokens(words: Iterable[str], known: Iterable[str]) -> list[str]:
    found = dict.fromkeys(word.strip() for word in words if _TOKEN.fullmatch(word.strip()))
    return [word for word in found if word not in known][:ASKED_MAX]


def mark(response: web.StreamResponse) -> None:
    """Let any page read an answer with all its headers. An offer is not kept by caches: it is for this request and this price."""
    headers = response.headers
    headers["Access-Control-Allow-Origin"] = "*"
    own = dict.fromkeys(
        name.lower() for name in headers if not name.lower().startswith(("access-control-", "set-cookie"))
    )
    headers["Access-Control-Expose-Headers"] = ", ".join([*EXPOSED, *(name for name in own if name not in EXPOSED)])
    if response.status == 402:
        headers["Cache-Control"] = "no-store"


async def mark_prepared(request: web.Request, response: web.StreamResponse) -> None:
    """The signal's handler: called for each answer before its head is written."""
    if AS_IT_CAME not in request or INSIDE not in response.headers:
        mark(response)
