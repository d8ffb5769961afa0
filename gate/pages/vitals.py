"""How a wallet does, as several pages show it."""

from gate.pages import words
from gate.pages.markup import Html, el
from gate.pages.wallets import PublicWallet


def vitals(wallet: PublicWallet, last_seen: str) -> Html:
    """State, balance, runway, rate and when it was last seen; the ids are what modules keep fresh."""
    return el(
        "section",
        el(
            "div",
            el("span", class_="dot", data_state=wallet.state, id="dot"),
            el("strong", words.STATES[wallet.state], id="state"),
            el("span", wallet.sentence, id="sentence", class_="muted"),
            class_="state",
            role="status",
        ),
        el(
            "dl",
            _figure("Balance", el("span", words.sats(wallet.balance_usat), id="balance"), "sats"),
            _figure(
                "Runway",
                el("span", runway(wallet), id="runway"),
                "at its usual rate",
            ),
            _burns(wallet),
            _figure("Last seen", el("span", last_seen, id="seen"), None),
            class_="figures",
        ),
        _owed(wallet),
        class_="card",
        aria_label="State",
    )


def _figure(label: str, value: Html, unit: str | None) -> Html:
    return el("div", el("dt", label), el("dd", value, unit and el("small", unit)))


def _burns(wallet: PublicWallet) -> Html:
    """What it burns as it is now; one that does not run, what it will."""
    now = wallet.rate_usat_per_second
    amount = words.sats((now or wallet.plan_rate_usat_per_second) * 3_600)
    unit = "sats an hour" if now else "sats an hour when it runs"
    value = el("dd", el("span", amount, id="burns"), el("small", unit, id="burns-unit"))
    return el("div", el("dt", "Burns"), value)


def runway(wallet: PublicWallet) -> str:
    """How long the credit lasts, in words."""
    if wallet.grace_seconds_left is not None and not wallet.is_held_by_payment:
        return words.duration(wallet.grace_seconds_left)
    return "—" if wallet.seconds_left is None else words.duration(wallet.seconds_left)


def _owed(wallet: PublicWallet) -> Html:
    text = f"It owes {words.sats(wallet.owed_usat)} sats for its last minutes; they come first out of the next payment."
    return el("p", text, class_="hint", id="owed", hidden=wallet.owed_usat == 0)
