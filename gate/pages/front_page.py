"""`/` for people: what this is, how it does right now, how to start, what it costs."""

import shlex
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from gate.pages import words
from gate.pages.layout import Page
from gate.pages.markup import Child, Html, el
from gate.pages.pricing import CoinPrice, sats_for
from gate.settings import GateSettings
from oracle.quotes import sats_text
from relay_client.offers import either
from stacks import Network

HOUR_SECONDS = 3_600
LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})
MIB = 1 << 20
ASSUMED_URL = "http://127.0.0.1:4020"
ASSUMED_STACKS_API = "http://127.0.0.1:4021/stacks"
"""Where the command line looks when nothing is said: for a gate, and for nonces and fees if the gate is on the same machine."""
KEYS = ("satbox keygen", "two keys: Bitcoin and Stacks; register them at aibtc.com")
DEVNET_KEYS = (
    ("satbox keygen", "two keys: Bitcoin and Stacks"),
    ("satbox register && satbox faucet", "on this devnet"),
)


@dataclass(frozen=True, slots=True)
class FrontView:
    """What the page tells."""

    settings: GateSettings
    totals: dict[str, Any]
    prices: list[CoinPrice]


def front_page(view: FrontView) -> Page:
    """The page."""
    body: tuple[Child, ...] = (
        _hero(view),
        _counters(view.totals),
        el("div", _start(view), _wake(), class_="split"),
        _how(),
        _prices(view),
    )
    return Page("satbox: pay sats, get a sandbox", body, "front.js", is_wide=True, styles=("front.css",))


def _hero(view: FrontView) -> Html:
    return el(
        "section",
        el("h1", "Pay sats, get a sandbox."),
        el(
            "p",
            "One Stacks wallet owns one Linux machine that burns sats by the second. When its credit runs dry it falls asleep "
            "with its files; any payment wakes it. Made for agents, readable by people.",
            class_="lede",
        ),
        class_="hero",
    )


def _counters(totals: dict[str, Any]) -> Html:
    states: dict[str, int] = totals["states"]
    alive = states.get("alive", 0) + states.get("grace", 0)
    figures = (
        ("alive", "Sandboxes alive", f"{alive:,}", None),
        ("wallets", "Wallets", f"{totals['wallets']:,}", None),
        ("burning", "Burning now", words.sats(totals["burn_usat_per_second"] * 60), "sats a minute"),
        ("burnt", "Burnt so far", words.sats(totals["burnt_usat"]), "sats"),
    )
    return el(
        "dl",
        *(
            el("div", el("dt", label), el("dd", el("span", value, id=name), unit and el("small", unit)))
            for name, label, value, unit in figures
        ),
        class_="figures counters",
        aria_label="Now",
    )


def _start(view: FrontView) -> Html:
    curl = f"curl -s {view.settings.public_url}/llms.txt"
    return el(
        "section",
        el("h2", "Start"),
        _copyable("start-cli", _commands(view)),
        el("p", "An agent needs one line to find its way:", class_="hint"),
        _copyable("start-agent", curl),
        class_="card",
    )


def _commands(view: FrontView) -> str:
    """What works when it is pasted as it stands, against this very gate."""
    coins = either([coin.asset.symbol for coin in view.prices if coin.is_offered])
    lines = (
        *_exports(view.settings),
        *(DEVNET_KEYS if _is_on_devnet(view.settings) else (KEYS,)),
        ("satbox prove", "sign with both; a Genesis agent gets a pass"),
        ("satbox create --sats 500", f"402, paid in {coins}"),
        ("satbox exec 'python3 --version'", "a shell, files, ports, terminals"),
        ("satbox status --watch", "the balance, falling"),
    )
    width = max(len(command) for command, _ in lines if not command.startswith("export"))
    return "\n".join(f"{command:{width}} # {text}" for command, text in lines)


def _exports(settings: GateSettings) -> list[tuple[str, str]]:
    """What the command line does not assume by itself (`satbox.client.settings`)."""
    found = {} if settings.public_url == ASSUMED_URL else {"SATBOX_GATE": (settings.public_url, "this gate")}
    host = urlsplit(settings.public_url).hostname or ""
    if settings.network is not Network.TESTNET:
        found["SATBOX_NETWORK"] = (settings.network.value, "where money moves")
    if host not in LOOPBACK and settings.deployment != host:
        found["SATBOX_DEPLOYMENT"] = (settings.deployment, "whom proofs are made out to")
    if _is_at_home(settings) and settings.stacks_api not in ("", ASSUMED_STACKS_API):
        found["SATBOX_STACKS_API"] = (settings.stacks_api, "nonces and fees")
    return [(f"export {name}={shlex.quote(value)}", text) for name, (value, text) in found.items()]


def _is_at_home(settings: GateSettings) -> bool:
    """Whether the command line takes it for a gate beside a devnet: on the test network, on one's own machine."""
    return settings.network is Network.TESTNET and urlsplit(settings.public_url).hostname in LOOPBACK


def _is_on_devnet(settings: GateSettings) -> bool:
    """Whether there is a faucet: the chain is on this machine as well."""
    return _is_at_home(settings) and (not settings.stacks_api or urlsplit(settings.stacks_api).hostname in LOOPBACK)


def _copyable(name: str, text: str) -> Html:
    copy = el("button", "Copy", type="button", class_="copy", data_copy=name, hidden=True)
    return el("div", el("pre", el("code", text, id=name), tabindex=0), copy, class_="copyable")


def _wake() -> Html:
    return el(
        "section",
        el("h2", "Wake an agent"),
        el("p", "Yours fell asleep, or you want to make a gift? Anybody may look; waking takes one click.", class_="muted"),
        el(
            "form",
            el("label", "Display name, agent id, BNS name or address", for_="handle"),
            el(
                "div",
                el(
                    "input", id="handle", name="handle", required=True, maxlength=100, placeholder="swift-raven",
                    autocomplete="off", autocapitalize="none", spellcheck="false",
                ),
                el("button", "Look"),
                class_="row",
            ),
            action="/wake",
            method="get",
        ),
        class_="card",
        id="wake",
    )  # fmt: skip


def _how() -> Html:
    steps = (
        (
            "Prove",
            "Both keys sign one challenge. A pair registered together at aibtc.com gets a pass for an hour.",
        ),
        (
            "Pay",
            "The gate answers 402 with exact offers. One signed transfer over x402 buys seconds.",
        ),
        ("Work", "Commands, files, terminals and servers in a sandbox without a way out but what its owner allows."),
        (
            "Stay",
            "Every second is metered and every entry is chained and signed. Dry means grace, then sleep; nothing is lost.",
        ),
        ("Earn", "A server inside may ask a price. Strangers pay by the call, and a busy agent keeps itself alive."),
    )
    return el("ol", *(el("li", el("h3", name), el("p", text)) for name, text in steps), class_="how")


def _prices(view: FrontView) -> Html:
    rates = view.settings.rates_usat_per_second
    rows = []
    for name, rate in sorted(rates.items(), key=lambda item: item[1]):
        sats = sats_for(view.settings, rate, HOUR_SECONDS)
        rows.append(
            el(
                "tr",
                el("th", name, el("small", _limits(view.settings, name)), scope="row"),
                el("td", words.sats(rate * HOUR_SECONDS)),
                *(el("td", _cost(coin, sats)) for coin in view.prices),
            )
        )
    head = el(
        "tr",
        el("th", "Size", scope="col"),
        el("th", "sats an hour", scope="col"),
        *(el("th", coin.asset.symbol, scope="col") for coin in view.prices),
    )
    return el(
        "section",
        el("h2", "Prices"),
        el("div", el("table", el("thead", head), el("tbody", *rows), class_="prices"), class_="scrolls", tabindex=0),
        el("ul", *(_oracle(coin) for coin in view.prices), class_="oracle"),
        class_="card",
        id="prices",
    )


def _limits(settings: GateSettings, name: str) -> str:
    limits = settings.size_limits.get(name, {})
    parts = []
    memory, cpu, disk = (limits.get(part) for part in ("memory_bytes", "cpu_percent", "disk_bytes"))
    if isinstance(memory, int):
        parts.append(f"{memory // MIB:,} MiB")
    if isinstance(cpu, int | float):
        parts.append(f"{cpu / 100:g} CPU")
    if isinstance(disk, int):
        parts.append(f"{disk // MIB:,} MiB disk")
    return ", ".join(parts)


def _cost(coin: CoinPrice, sats: int) -> str:
    units = coin.units(sats)
    return "not offered" if units is None else words.coins(coin.asset.symbol, units)


def _oracle(coin: CoinPrice) -> Html:
    symbol = coin.asset.symbol
    if symbol == "sBTC":
        text = "one unit is one sat; no oracle is asked"
    elif coin.rate is None:
        text = f"not offered now: {coin.why_not or 'its price is not known'}"
    else:
        rate = coin.rate
        margin = rate.haircut_ppm / 10_000
        price = sats_text(rate.usat_per_coin).rstrip("0").rstrip(".")
        text = f"{price} sats, the median of {len(rate.used)} sources, and {margin:.1f} % on top"
    state = "alive" if coin.is_offered else "grace"
    return el("li", el("span", class_="dot", data_state=state), el("strong", symbol), el("span", text, class_="muted"))
