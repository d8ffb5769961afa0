"""`/wake/{handle}`: who an agent is, how its sandbox does, what waking it costs, and one button.

All there is to read is in the page as it arrives; the module `wake.js` makes it live and does the paying.
"""

import json
from dataclasses import dataclass

from gate.outside import ResolvedAgent
from gate.pages import words
from gate.pages.layout import Page
from gate.pages.markup import Child, Html, el
from gate.pages.pricing import CoinPrice, sats_for
from gate.pages.vitals import vitals
from gate.pages.wallets import PublicWallet
from gate.settings import GateSettings
from operations.errors import SatboxError
from stacks import Network

SPANS = ((3_600, "1 hour"), (86_400, "1 day"))
HOURS_MAX = 24 * 365
CUSTOM_HOURS = 6


@dataclass(frozen=True, slots=True)
class WakeView:
    """What the page tells. `found` is None when only the wallet is known: the registry is silent or has never heard of it."""

    handle: str
    wallet: PublicWallet
    found: ResolvedAgent | None
    prices: list[CoinPrice]
    last_event_ms: int | None
    now_ms: int
    settings: GateSettings

    @property
    def name(self) -> str:
        """What a person calls it."""
        if self.found is None:
            return words.short(self.wallet.address)
        return self.found.display_name or self.found.bns_name or words.short(self.wallet.address)


def wake_page(view: WakeView) -> Page:
    """The page of one agent."""
    body: list[Child] = [_who(view), vitals(view.wallet, _last_seen(view))]
    body.append(_never(view) if view.wallet.state == "none" else _wake(view))
    tokens = {coin.asset.wire: _asset_name(coin) for coin in view.prices}
    network = "mainnet" if view.settings.network is Network.MAINNET else "testnet"
    data = (
        ("address", view.wallet.address),
        ("name", view.name),
        ("network", network),
        ("tokens", json.dumps(tokens)),
        ("wallet", view.wallet.model_dump_json()),
    )
    return Page(f"Wake {view.name}", tuple(body), "wake.js", data)


def _asset_name(coin: CoinPrice) -> str | None:
    return None if coin.asset.token is None else coin.asset.token.asset_name


def _who(view: WakeView) -> Html:
    found = view.found
    address = view.wallet.address
    facts: list[Child] = []
    if found is not None:
        tone = "badge strong" if found.level >= 2 else "badge"
        facts.append(
            el("span", f"{found.level_name}", class_=tone, title=f"Level {found.level} in the agents' registry")
        )
        if found.bns_name:
            facts.append(el("span", found.bns_name))
        if found.agent_id is not None:
            facts.append(el("span", f"Agent {found.agent_id}"))
    facts.append(el("span", words.short(address), class_="mono", title=address))
    stale = None
    if found is None:
        stale = el(
            "p", "The agents' registry does not say who this is; what follows is its wallet here.", class_="hint"
        )
    elif found.is_stale:
        stale = el("p", "The agents' registry does not answer just now; this is what it said before.", class_="hint")
    return el(
        "div",
        el("h1", view.name),
        el("p", *facts, class_="facts"),
        stale,
        class_="who",
    )


def _last_seen(view: WakeView) -> str:
    registry_ms = words.time_ms(view.found.last_active_at) if view.found is not None else None
    known = [at for at in (view.last_event_ms, registry_ms) if at is not None]
    return words.ago(max(known), view.now_ms) if known else "never"


def _wake(view: WakeView) -> Html:
    wallet = view.wallet
    is_up = wallet.state in ("alive", "grace", "starting")
    title = f"Give {view.name} more time" if is_up else f"Wake {view.name}"
    return el(
        "section",
        el("h2", title, id="wake-title"),
        el("p", hidden=True, id="with-credit", class_="note"),
        el(
            "form",
            el("fieldset", el("legend", "How long"), _spans(view), id="how-long"),
            el("fieldset", el("legend", "Pay with"), _coins(view), id="pay-with"),
            el(
                "fieldset",
                el("legend", "Wallet"),
                el("div", id="wallets", class_="choices"),
                id="which-wallet",
                hidden=True,
            ),
            el("button", "Wake it", type="submit", id="go", class_="primary", disabled=True),
            el("button", "", type="button", id="rather-pay", class_="plain", hidden=True),
            el("p", id="why", class_="hint"),
            id="form",
        ),
        el(
            "noscript",
            el("p", "This page reads without scripts; the button needs them. From a terminal:"),
            _command(wallet),
        ),
        el("ol", id="steps", class_="steps", hidden=True, aria_live="polite"),
        el("div", id="trouble", class_="trouble", role="alert", hidden=True),
        el(
            "details",
            el("summary", "From a terminal, or with a pass"),
            _command(wallet),
            el(
                "form",
                el("label", "A gate pass (the owner's, or any Genesis agent's)", for_="pass"),
                el(
                    "div",
                    el("input", id="pass", name="pass", type="password", autocomplete="off", spellcheck="false"),
                    el("button", "Use it", type="submit"),
                    class_="row",
                ),
                el("p", "It stays in this tab and is forgotten when you close it.", class_="hint"),
                id="pass-form",
            ),
        ),
        class_="card",
        aria_labelledby="wake-title",
    )


def _command(wallet: PublicWallet) -> Html:
    return el("pre", el("code", f"satbox extend --address {wallet.address} --seconds 3600"))


def _spans(view: WakeView) -> list[Html]:
    wallet = view.wallet
    made = []
    for seconds, label in (*SPANS, (CUSTOM_HOURS * 3_600, "Custom")):
        is_custom = label == "Custom"
        sats = sats_for(view.settings, wallet.plan_rate_usat_per_second, seconds, wallet.owed_usat)
        name = [el("strong", label)]
        made.append(
            el(
                "label",
                el(
                    "input", type="radio", name="span", value="custom" if is_custom else str(seconds),
                    checked=seconds == SPANS[0][0],
                ),
                el("span", *name, el("small", f"{sats:,} sats", data_span=seconds), class_="choice"),
            )
        )  # fmt: skip
    hours = el(
        "label",
        "Hours",
        el("input", type="number", id="hours", min=1, max=HOURS_MAX, value=CUSTOM_HOURS, inputmode="numeric"),
        class_="inline",
        id="hours-label",
        hidden=True,
    )
    return [el("div", *made, class_="choices three"), hours]


def _coins(view: WakeView) -> Html:
    wallet = view.wallet
    hour, day = (sats_for(view.settings, wallet.plan_rate_usat_per_second, s, wallet.owed_usat) for s, _ in SPANS)
    rows = []
    first = True
    for coin in view.prices:
        symbol = coin.asset.symbol
        picked = el(
            "input", type="radio", name="coin", value=symbol, id=f"coin-{symbol}", disabled=not coin.is_offered,
            checked=first and coin.is_offered, data_ppm=coin.ppm_per_sat, data_wire=coin.asset.wire,
        )  # fmt: skip
        first = first and not coin.is_offered
        hour_units, day_units = coin.units(hour), coin.units(day)
        if hour_units is None or day_units is None:
            cells = [el("td", coin.why_not or "not offered now", colspan=2, class_="muted")]
        else:
            cells = [
                el("td", words.coins(symbol, hour_units), data_coin=symbol, data_span=SPANS[0][0]),
                el("td", words.coins(symbol, day_units), data_coin=symbol, data_span=SPANS[1][0]),
            ]
        rows.append(el("tr", el("th", el("label", picked, symbol), scope="row"), *cells))
    head = el("tr", el("td"), *(el("th", label, scope="col") for _, label in SPANS))
    return el("table", el("thead", head), el("tbody", *rows), class_="coins")


def _never(view: WakeView) -> Html:
    return el(
        "section",
        el("h2", "There is nothing to wake yet"),
        el("p", f"{view.name} never had a sandbox here. Only the agent itself can make one, with its own two keys:"),
        el("pre", el("code", "satbox prove && satbox create --sats 500")),
        class_="card",
    )


def trouble_page(handle: str, error: SatboxError) -> Page:
    """Why there is no agent to show: several have this name, none has it, or the handle cannot be looked up."""
    shown = handle[:100]
    if error.code == "handle_ambiguous":
        listed = error.details.get("candidates")
        candidates = [str(one) for one in listed] if isinstance(listed, list) else []
        body: tuple[Child, ...] = (
            el("h1", f"Which {shown}?"),
            el("p", "Agents can share a display name. Choose one by its address:"),
            el(
                "ul", *(el("li", el("a", one, href=f"/wake/{one}", class_="mono")) for one in candidates), class_="list"
            ),
        )
        return Page(f"Which {shown}?", body, status=300)
    if error.code == "handle_not_found":
        body = (
            el("h1", "No agent of this name"),
            el("p", "The agents' registry knows nobody called ", el("strong", shown), "."),
            _ways(),
        )
        return Page("No agent of this name", body, status=404)
    if error.code == "handle_invalid":
        return Page("Not a handle", (el("h1", "That is not a handle"), el("p", error.message), _ways()), status=404)
    body = (
        el("h1", "The agents' registry does not answer"),
        el("p", "Who this is cannot be looked up now. Try again in a moment, or use the agent's Stacks address."),
    )
    return Page("Registry unavailable", body, status=503)


def _ways() -> Html:
    return el(
        "div",
        el("p", "Agents are found by:"),
        el(
            "ul",
            el("li", "display name: ", el("code", "/wake/swift-raven")),
            el("li", "agent id: ", el("code", "/wake/17")),
            el("li", "BNS name: ", el("code", "/wake/raven.btc")),
            el("li", "Stacks or bc1 address"),
            class_="list",
        ),
        class_="note",
    )
