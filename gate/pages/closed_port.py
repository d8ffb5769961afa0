"""What a person sees at a port's own origin who is not let in, or finds nobody there. Nothing of the gate is there, so the page
brings its own style along.
"""

import base64
import hashlib

from aiohttp import web

from gate.pages.layout import HEADERS
from gate.pages.markup import Child, doctype, el
from gate.pages.words import hint_for_people
from operations.errors import SatboxError

STYLE = (
    ":root{color-scheme:light dark}"
    "body{font:16px/1.5 system-ui,sans-serif;max-width:36rem;margin:12vh auto;padding:0 1.5rem}"
    "h1{font-size:1.4rem}code{overflow-wrap:anywhere}.hint{opacity:.8}"
)
_HASH = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
POLICY = f"default-src 'none'; style-src 'sha256-{_HASH}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
WAKES = ("sandbox_reaped", "credit_insufficient", "wallet_not_found")
CLOSED = "not_found"
"""The page does not say whether there is a sandbox, a server or an expired token."""


def opens_page(request: web.Request) -> bool:
    """Whether a browser opens this in a tab, and no script or program asks for it. Who pays needs to know what became of that."""
    if request.method not in ("GET", "HEAD") or "Upgrade" in request.headers or "payment-signature" in request.headers:
        return False
    mode = request.headers.get("Sec-Fetch-Mode")
    return "text/html" in request.headers.get("Accept", "").lower() and mode in (None, "navigate")


def closed_page(error: SatboxError, request_id: str, gate_url: str, address: str | None = None) -> web.Response:
    """The error for people, with its status; `address` is whose sandbox it is, where that is known."""
    title, body = _closed() if error.code == CLOSED else _failed(error, address and f"{gate_url}/wake/{address}")
    page = el(
        "html",
        el(
            "head",
            el("meta", charset="utf-8"),
            el("meta", name="viewport", content="width=device-width, initial-scale=1"),
            el("title", title),
            el("style", STYLE),
        ),
        el(
            "body",
            el("h1", title),
            body,
            el("p", el("a", "What satbox is", href=gate_url), f" · {error.code} · {request_id}", class_="hint"),
        ),
        lang="en",
    )
    headers = {**HEADERS, "Content-Security-Policy": POLICY, "x-request-id": request_id}
    if error.retry_after is not None:
        headers["Retry-After"] = str(error.retry_after)
    return web.Response(text=doctype(page), content_type="text/html", status=error.kind.status, headers=headers)


def _closed() -> tuple[str, Child]:
    what = (
        "This address belongs to a server in an agent's sandbox. It opens by a link with a token, and there is none in this "
        "request, or it has expired or was revoked."
    )
    ask = " in it. If it no longer opens, ask the agent's owner for a new one ("
    link, command = el("code", "?satbox_token="), el("code", "satbox ports expose PORT")
    open_it = el("p", "Open the whole link that you were given: it has ", link, ask, command, ").")
    return "This port is not open to you", (el("p", what), open_it)


def _failed(error: SatboxError, wake_url: str | None) -> tuple[str, Child]:
    title = (
        "Not here any more"
        if error.kind.status == 410
        else "That does not work"
        if error.kind.status == 400
        else "Not now"
    )
    return title, (el("p", error.message), el("p", _next(error, wake_url)))


def _next(error: SatboxError, wake_url: str | None) -> Child:
    """What a person can do: hints of errors are mostly for programs."""
    if error.retry_after:
        return f"Reload this page in {error.retry_after} seconds."
    if error.code in WAKES and wake_url is not None:
        return (el("a", "Wake it or top it up", href=wake_url), ", then reload this page.")
    if error.code == "sandbox_paused":
        return ("Its owner lets it run on: ", el("code", "satbox unpause"), ".")
    return hint_for_people(error.hint)
