"""`/agent/{address}`: one agent's page. Everybody sees what its owner made public; the owner's pass shows the rest.

The page arrives with what anybody may see; `agent.js` brings what a pass may, by the same operations that clients use.
"""

import hmac
from dataclasses import dataclass
from typing import Any

from aiohttp import web
from pydantic import BaseModel

from actors.books.ranges import Range
from actors.view import View, status
from gate.identity.callers import bearer, check_epoch
from gate.pages import words
from gate.pages.layout import Page
from gate.pages.markup import Child, Html, el
from gate.pages.vitals import vitals
from gate.pages.wallets import PublicWallet, public_wallet
from gate.parts.services import Services
from operations.errors import SatboxError

POINTS_MAX = 400
TABS = (
    ("terminal", "Terminal"),
    ("files", "Files"),
    ("logs", "Logs"),
    ("events", "Events"),
    ("ledger", "Ledger"),
    ("settings", "Settings"),
)


class AgentNews(BaseModel):
    """What the page shows of a wallet. `points` are its balance after each journal entry: wall ms, micro-sats, kind."""

    wallet: PublicWallet
    is_public: bool
    is_owner: bool
    is_operator: bool
    earnings: dict[str, Any] | None
    points: list[tuple[int, int, str]]


@dataclass(frozen=True, slots=True)
class Viewer:
    """Who looks."""

    is_owner: bool = False
    is_operator: bool = False


async def viewer_of(services: Services, request: web.Request, address: str) -> Viewer:
    """The viewer, by what the request carries. An invalid pass is refused, not ignored. Raises pass_*."""
    if not request.headers.get("Authorization"):
        return Viewer()
    token = bearer(request)
    if hmac.compare_digest(token.encode(), services.settings.operator_token.encode()):
        return Viewer(is_operator=True)
    gate_pass = services.passes.read(token)
    check_epoch(gate_pass, await services.views.get(gate_pass.address))
    return Viewer(is_owner=gate_pass.address == address and gate_pass.covers("owner"))


async def agent_news(services: Services, request: web.Request, address: str) -> AgentNews:
    """For its owner, the operator, or anybody when it is public. Raises not_found, for unknown wallets too."""
    viewer = await viewer_of(services, request, address)
    view = await services.views.get(address, fresh=viewer.is_owner)
    may_see = view.state.is_public or viewer.is_owner or viewer.is_operator
    if not view.state.exists or not may_see:
        raise SatboxError("not_found")
    told = status(view, services.settings.policy, services.clock.wall_ms())
    return AgentNews(
        wallet=public_wallet(services, view),
        is_public=view.state.is_public,
        is_owner=viewer.is_owner,
        is_operator=viewer.is_operator,
        earnings=None if told.earnings is None else told.earnings.model_dump(),
        points=await _points(services, view),
    )


async def _points(services: Services, view: View) -> list[tuple[int, int, str]]:
    newest = Range(after=max(0, view.state.seq - POINTS_MAX))
    page = await services.system.ledger(view.state.address, newest, POINTS_MAX)
    return [(entry.at_ms, entry.balance_after_usat, entry.kind) for entry in page.entries]


def agent_page(address: str, name: str, wallet: PublicWallet | None) -> Page:
    """The page. `wallet` is None for viewers who may not see it and for wallets that do not exist: both look the same."""
    title = el(
        "div",
        el("h1", name),
        el(
            "p",
            el("span", address, class_="mono address"),
            el("a", "Wake or top up", href=f"/wake/{address}"),
            class_="facts",
        ),
        class_="who",
    )
    inside: list[Child] = [vitals(wallet, "now") if wallet is not None else _blank(address), _chart(), _sold(), _desk()]
    entry = _entry(is_public=wallet is not None)
    box = el("div", *inside, id="inside", class_="board", hidden=wallet is None)
    body: tuple[Child, ...] = (title, box, entry) if wallet is not None else (title, entry, box)
    data = (("address", address), ("public", "yes" if wallet is not None else "no"))
    return Page(name, body, "agent.js", data, is_wide=True, styles=("dashboard.css", "xterm.css", "agent.css"))


def _blank(address: str) -> Html:
    """The same card with nothing in it, for the module to fill once a pass is there."""
    nothing = PublicWallet(
        address=address, state="none", sentence="", size_class="small", is_paused=False, balance_usat=0, owed_usat=0,
        rate_usat_per_second=0, plan_rate_usat_per_second=0, seconds_left=None, exhausts_at=None, grace_seconds_left=None,
        is_held_by_payment=False, wake_usat=0, gift_wakes=False, version=0, as_of="",
    )  # fmt: skip
    return vitals(nothing, "now")


def _entry(*, is_public: bool) -> Html:
    what = "Its owner's pass shows the rest" if is_public else "This page is private, or there is no such wallet here"
    return el(
        "form",
        el("label", f"{what}. Pass:", for_="pass", id="asks"),
        el(
            "div",
            el("input", id="pass", type="password", autocomplete="off", spellcheck="false", required=True),
            el("button", "Open"),
            class_="row",
        ),
        el(
            "p", el("code", "satbox prove"), " gets one. It stays in this tab and is forgotten when you close it.",
            class_="hint",
        ),
        el("p", id="refused", class_="trouble", role="alert", hidden=True),
        id="entry",
        class_="card narrow",
    )  # fmt: skip


def _chart() -> Html:
    return el(
        "section",
        el("div", el("h2", "Balance"), el("p", id="chart-says", class_="hint"), class_="tools"),
        el("div", id="chart", class_="chart"),
        class_="card",
    )


def _sold() -> Html:
    return el(
        "section",
        el("h2", "Routes and earnings"),
        el("dl", id="earnings", class_="figures"),
        el("div", id="routes", class_="scrolls"),
        class_="card",
        id="sold",
        hidden=True,
    )


def _desk() -> Html:
    tabs = [
        el(
            "button", label, type="button", role="tab", id=f"tab-{name}", aria_controls=f"panel-{name}",
            aria_selected="true" if name == "terminal" else "false", tabindex=0 if name == "terminal" else -1,
        )
        for name, label in TABS
    ]  # fmt: skip
    panels = [
        el(
            "div", id=f"panel-{name}", role="tabpanel", aria_labelledby=f"tab-{name}", tabindex=0,
            hidden=name != "terminal", class_="tabpanel",
        )
        for name, _ in TABS
    ]  # fmt: skip
    return el(
        "section",
        el("div", *tabs, role="tablist", aria_label="Inside", class_="tabs"),
        *panels,
        class_="card",
        id="desk",
        hidden=True,
    )


def name_of(address: str, display_name: str | None) -> str:
    """What the page is called."""
    return display_name or words.short(address)
