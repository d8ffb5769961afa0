"""Where pages are, and the small feeds that only they read.

Feeds are not operations: they have the shape that the pages need, and may change with them. Each request counts against the
limits of its peer, like any request without a pass.
"""

import contextlib
import re
import secrets
from collections.abc import Awaitable, Callable
from urllib.parse import quote

from aiohttp import web
from pydantic import BaseModel

from gate.outside import ResolvedAgent
from gate.outside.handle_words import HANDLE_CHARS_MAX
from gate.pages.agent import agent_news, agent_page, name_of
from gate.pages.assets import Assets, add_asset_routes, own_assets
from gate.pages.dashboard import OVERVIEW, dashboard_page, stream
from gate.pages.front_page import FrontView, front_page
from gate.pages.layout import Page, page_response
from gate.pages.markup import Child, el
from gate.pages.overview import Overview
from gate.pages.pricing import coin_prices
from gate.pages.wake import WakeView, trouble_page, wake_page
from gate.pages.wallets import last_event_ms, public_wallet
from gate.pages.words import hint_for_people
from gate.parts.services import SERVICES, Services
from gate.wire.answers import METRICS, PEERS, error_response, json_response
from operations.errors import SatboxError
from relay_client.chain import ChainUnavailable
from stacks import Address, AddressError, Network

ASSETS: web.AppKey[Assets] = web.AppKey("assets", Assets)
ADDRESS = re.compile(r"S[0-9A-Z]{27,41}")
Serve = Callable[[web.Request], Awaitable[web.StreamResponse]]


class NextNonce(BaseModel):
    """Whose transaction comes next: the nonce a browser's wallet is to sign with."""

    address: str
    nonce: int


class Counters(BaseModel):
    """The front page's numbers."""

    alive: int
    wallets: int
    burn_usat_per_second: int
    burnt_usat: int
    at: str


def add_page_routes(app: web.Application, for_machines: Serve) -> None:
    """Every page, every feed, every asset. `for_machines` answers `/` where no page is wanted."""
    app[ASSETS] = own_assets()
    add_asset_routes(app, app[ASSETS])
    app[OVERVIEW] = Overview(app[SERVICES], app[METRICS])
    app.router.add_get("/", front(for_machines))
    app.router.add_get("/wake", to_wake)
    app.router.add_get("/wake/{handle}", page_route(wake))
    app.router.add_get("/agent/{address}", page_route(agent))
    app.router.add_get("/pages/agents/{address}", feed_route(news_of_agent))
    app.router.add_get("/dashboard", page_route(dashboard))
    app.router.add_get("/pages/overview", stream)
    app.router.add_get("/pages/counters", feed_route(counters))
    app.router.add_get("/pages/wallets/{address}", feed_route(wallet))
    app.router.add_get("/pages/payers/{address}", feed_route(payer))


def page_route(render: Callable[[Services, web.Request], Awaitable[Page]]) -> Serve:
    """A page. What goes wrong is a page too."""

    async def serve(request: web.Request) -> web.StreamResponse:
        services = request.app[SERVICES]
        try:
            request.app[PEERS].take(request.remote, services.clock.monotonic_ms())
            page = await render(services, request)
        except SatboxError as error:
            page = _refusal(error)
        return page_response(request.app[ASSETS], page)

    return serve


def _refusal(error: SatboxError) -> Page:
    """What went wrong, for people: a 404 is not worth a retry."""
    status = error.kind.status
    title = "Not found" if status in (404, 410) else "That does not work" if status == 400 else "Not now"
    hint: Child = hint_for_people(error.hint)
    if error.code == "not_found":  # its hint is for machines
        hint = el("span", "Look an agent up on the ", el("a", "front page", href="/"), ".")
    return Page(title, (el("h1", title), el("p", error.message), el("p", hint, class_="hint")), status=status)


def wants_page(request: web.Request) -> bool:
    """Whether a person looks, through a browser."""
    return request.method in ("GET", "HEAD") and "text/html" in request.headers.get("Accept", "")


def missing_page(request: web.Request) -> web.StreamResponse:
    """What people find where nothing is."""
    return page_response(request.app[ASSETS], _refusal(SatboxError("not_found")))


def feed_route(read: Callable[[Services, web.Request], Awaitable[BaseModel]]) -> Serve:
    """JSON for a page. An error has the envelope that every operation's has."""

    async def serve(request: web.Request) -> web.StreamResponse:
        services = request.app[SERVICES]
        try:
            request.app[PEERS].take(request.remote, services.clock.monotonic_ms())
            return json_response(await read(services, request), headers={"Cache-Control": "no-store"})
        except SatboxError as error:
            return error_response(error, f"req_{secrets.token_hex(8)}")

    return serve


def address_of(services: Services, text: str) -> str:
    """An address of this network, in either network's letters. Raises not_found."""
    network = Network.MAINNET if services.settings.network is Network.MAINNET else Network.TESTNET
    try:
        return str(Address.parse(text).to_network(network))
    except AddressError as error:
        raise SatboxError("not_found") from error


def front(for_machines: Serve) -> Serve:
    """`/` for people, and for machines what there is to read."""

    async def serve(request: web.Request) -> web.StreamResponse:
        return await (page_route(_front) if wants_page(request) else for_machines)(request)

    return serve


async def _front(services: Services, request: web.Request) -> Page:
    totals = (await request.app[OVERVIEW].sight()).totals()
    return front_page(FrontView(services.settings, totals, coin_prices(services)))


async def dashboard(services: Services, request: web.Request) -> Page:
    """The operator's page; nothing is in it before the token is."""
    return dashboard_page()


async def agent(services: Services, request: web.Request) -> Page:
    """An agent's page, with what everybody may see of it; a handle will do."""
    handle = request.match_info["address"]
    found = None if ADDRESS.fullmatch(handle) else await _found(services, handle)
    address = address_of(services, handle if found is None else found.stx_address)
    view = await services.views.get(address)
    display_name = None
    if services.handles is not None:
        with contextlib.suppress(SatboxError):
            display_name = (await services.handles.find(address)).display_name
    wallet = public_wallet(services, view) if view.state.is_public else None
    return agent_page(address, name_of(address, display_name), wallet)


async def news_of_agent(services: Services, request: web.Request) -> BaseModel:
    """What an agent's page shows, to viewers who may see it."""
    return await agent_news(services, request, address_of(services, request.match_info["address"]))


async def to_wake(request: web.Request) -> web.StreamResponse:
    """Redirect from the front page's form, which works without scripts, to the page of the agent it names."""
    handle = request.query.get("handle", "").strip()[:HANDLE_CHARS_MAX]
    return web.Response(status=303, headers={"Location": f"/wake/{quote(handle, safe='')}" if handle else "/"})


async def counters(services: Services, request: web.Request) -> Counters:
    """The front page's numbers, at most a second old."""
    totals = (await request.app[OVERVIEW].sight()).totals()
    states = totals["states"]
    return Counters(alive=states.get("alive", 0) + states.get("grace", 0), **totals)


async def wake(services: Services, request: web.Request) -> Page:
    """The page of the agent that the handle names."""
    handle = request.match_info["handle"]
    try:
        found = await _found(services, handle)
        address = address_of(services, handle if found is None else found.stx_address)
    except SatboxError as error:
        return trouble_page(handle, error)
    view = await services.views.get(address)
    return wake_page(
        WakeView(
            handle,
            public_wallet(services, view),
            found,
            coin_prices(services),
            await last_event_ms(services, view),
            services.clock.wall_ms(),
            services.settings,
        )
    )


async def _found(services: Services, handle: str) -> ResolvedAgent | None:
    """The agent; None for the address of a wallet that is here though the registry knows nothing of it just now."""
    try:
        if services.handles is None:
            raise SatboxError("registry_unavailable")
        return await services.handles.find(handle)
    except SatboxError as error:
        if error.code not in ("registry_unavailable", "handle_not_found") or not ADDRESS.fullmatch(handle):
            raise
        view = await services.views.get(address_of(services, handle))
        if not view.state.exists:
            raise
        return None


async def wallet(services: Services, request: web.Request) -> BaseModel:
    """A wallet as pages poll it."""
    return public_wallet(services, await services.views.get(address_of(services, request.match_info["address"])))


async def payer(services: Services, request: web.Request) -> NextNonce:
    """The payer's next nonce. Pages may connect to this gate only, so the gate asks the chain for them."""
    address = address_of(services, request.match_info["address"])
    if services.next_nonce is None:
        raise SatboxError("timeout", "This gate asks no chain.", retry_after=60)
    try:
        return NextNonce(address=address, nonce=await services.next_nonce(address))
    except ChainUnavailable as error:
        raise SatboxError(
            "timeout", "The chain does not say which transaction is next.", retry_after=2, hint="Try again in a moment."
        ) from error
