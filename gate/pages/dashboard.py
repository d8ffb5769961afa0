"""`/dashboard`: the operator's view. The page holds nothing by itself; its module asks for the operator's token, keeps it in the
tab, and reads one stream.
"""

import asyncio
import hmac
import json
import secrets

from aiohttp import web
from aiohttp.client_exceptions import ClientConnectionResetError

from gate.identity.callers import bearer
from gate.pages.layout import Page
from gate.pages.markup import Child, Html, el
from gate.pages.overview import RUNWAY_EDGES_SECONDS, Overview, news
from gate.parts.services import SERVICES, Services
from gate.wire.answers import METRICS, PEERS, error_response
from operations.errors import SatboxError

OVERVIEW: web.AppKey[Overview] = web.AppKey("overview", Overview)
VIEWERS_MAX = 32
BEAT_SECONDS = 1.0
WRITE_SECONDS_MAX = 10.0
COLUMNS = (
    ("address", "Wallet", False),
    ("state", "State", False),
    ("balance", "Balance, sats", True),
    ("burn", "Burns, sats/h", True),
    ("runway", "Runway", True),
    ("burnt", "Burnt, sats", True),
    ("size", "Size", False),
)
RUNWAY_LABELS = ("< 1 min", "< 10 min", "< 1 h", "< 6 h", "< 1 d", "< 7 d", "longer")
assert len(RUNWAY_LABELS) == len(RUNWAY_EDGES_SECONDS) + 1


def dashboard_page() -> Page:
    """The page, empty."""
    body: tuple[Child, ...] = (
        el(
            "div",
            el("h1", "Dashboard"),
            el(
                "p",
                el("span", class_="dot", id="live-dot"),
                el("span", "Not connected", id="live"),
                class_="live",
                role="status",
            ),
            class_="title",
        ),
        _entry(),
        el("div", _totals(), _panels(), _wallets(), id="board", hidden=True, class_="board"),
    )
    return Page("Dashboard", body, "dashboard.js", is_wide=True, styles=("dashboard.css",))


def _entry() -> Html:
    where = "It stays in this tab and is forgotten when you close it; the service keeps it below "
    return el(
        "form",
        el("label", "Operator's token", for_="token"),
        el(
            "div",
            el("input", id="token", type="password", autocomplete="off", spellcheck="false", required=True),
            el("button", "Open", class_="primary"),
            class_="row",
        ),
        el("p", where, el("code", "SATBOX_HOME/keys/operator.token"), ".", class_="hint"),
        el("p", id="refused", class_="trouble", role="alert", hidden=True),
        el(
            "noscript",
            el("p", "This page is live: it needs scripts. ", el("a", "Metrics", href="/metrics"), " do not."),
        ),
        id="entry",
        class_="card narrow",
    )


def _totals() -> Html:
    wallets = (
        ("t-wallets", "Wallets", None),
        ("t-alive", "Alive", None),
        ("t-balance", "In buckets", "sats"),
        ("t-burn", "Burning", "sats an hour"),
        ("t-burnt", "Burnt", "sats"),
        ("t-owed", "Owed", "sats"),
    )
    calls = (
        ("t-calls", "Calls paid", "a minute, at this gate"),
        ("t-earned", "Agents earned by calls", "sats"),
        ("t-fees", "Operator's share of calls", "sats"),
    )
    return el("div", _figures(wallets, "six"), _figures(calls, "three"), class_="totals")


def _figures(figures: tuple[tuple[str, str, str | None], ...], columns: str) -> Html:
    made = []
    for name, label, unit in figures:
        value = el("dd", el("span", "0", id=name), unit and el("small", unit))
        made.append(el("div", el("dt", label), value))
    return el("dl", *made, class_=f"figures {columns}")


def _panels() -> Html:
    def panel(title: str, name: str, note: str = "") -> Html:
        heading = el("h2", title, note and el("small", note))
        return el("section", heading, el("div", id=name), class_="card panel")

    return el(
        "div",
        panel("States", "p-states"),
        panel("Runway", "p-runway", "wallets that run"),
        panel("Settlements", "p-settlements", "newest 5,000"),
        panel("Node", "p-capacity", "slots in use"),
        panel("Oracle", "p-sources", "age of each source"),
        panel("Refusals", "p-errors", "of this gate, since it started"),
        class_="panels",
    )


def _wallets() -> Html:
    heads = [
        el(
            "th",
            el("button", label, type="button", data_sort=name),
            scope="col",
            class_="number" if is_number else None,
            aria_sort="none",
        )
        for name, label, is_number in COLUMNS
    ]
    return el(
        "section",
        el(
            "div",
            el("h2", "Wallets", el("small", id="shown")),
            el("label", "Search", for_="search", class_="visually-hidden"),
            el("input", id="search", type="search", placeholder="Address, state or size", autocomplete="off", spellcheck="false"),
            class_="tools",
        ),
        el(
            "div",
            el("table", el("thead", el("tr", *heads)), el("tbody", id="rows"), class_="wallets"),
            class_="scrolls",
            tabindex=0,
            role="region",
            aria_label="Wallets",
        ),
        class_="card",
    )  # fmt: skip


def check_operator(services: Services, request: web.Request) -> None:
    """Raises pass_missing, operator_only."""
    if not hmac.compare_digest(bearer(request).encode(), services.settings.operator_token.encode()):
        raise SatboxError("operator_only")


async def stream(request: web.Request) -> web.StreamResponse:
    """Server-sent events for one dashboard: everything once, then what changed, a beat a second."""
    services = request.app[SERVICES]
    overview = request.app[OVERVIEW]
    try:
        request.app[PEERS].take(request.remote, services.clock.monotonic_ms())
        check_operator(services, request)
        with overview.viewing(VIEWERS_MAX):
            return await _stream(services, overview, request)
    except SatboxError as error:
        return error_response(error, f"req_{secrets.token_hex(8)}")


async def _stream(services: Services, overview: Overview, request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream", "Cache-Control": "no-store"})
    streams = request.app[METRICS].streams
    told = 0
    beside: object = None
    streams.inc()
    try:
        await response.prepare(request)
        while request.transport is not None and not request.transport.is_closing():
            sight = await overview.sight()
            changed, gone = news(sight, told)
            told = sight.serial
            message = {"totals": sight.totals(), "at_ms": sight.at_ms, "rows": changed, "gone": gone}
            newest = await overview.beside()
            if newest is not beside:
                beside = newest
                message["beside"] = newest
            async with asyncio.timeout(WRITE_SECONDS_MAX):  # a reader that stopped reading holds nothing
                await response.write(b"data: " + json.dumps(message, separators=(",", ":")).encode() + b"\n\n")
            await asyncio.sleep(BEAT_SECONDS)
    except (ConnectionResetError, ClientConnectionResetError, TimeoutError):
        if request.transport is not None:
            request.transport.abort()
    finally:
        streams.dec()
    return response
