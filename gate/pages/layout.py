"""What all pages share: head, header, footer, and the policy under which a browser shows them."""

from dataclasses import dataclass

from aiohttp import web

from gate.pages.assets import Assets
from gate.pages.markup import Attribute, Child, Html, doctype, el

POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self'",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'self'",
        "frame-ancestors 'none'",
    )
)
HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": POLICY,
    "Cross-Origin-Opener-Policy": "same-origin-allow-popups",  # wallets open windows and answer them
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}


@dataclass(frozen=True, slots=True)
class Page:
    """One page: its title, what is in it, and which module makes it live. `data` goes to the module as data attributes."""

    title: str
    body: tuple[Child, ...]
    module: str | None = None
    data: tuple[tuple[str, Attribute], ...] = ()
    is_wide: bool = False
    styles: tuple[str, ...] = ()
    status: int = 200


def page_response(assets: Assets, page: Page) -> web.Response:
    """A page as an answer."""
    return web.Response(
        text=doctype(_root(assets, page)), content_type="text/html", status=page.status, headers=HEADERS
    )


def _root(assets: Assets, page: Page) -> Html:
    styles = ("style.css", *page.styles)
    data = {f"data_{name}": value for name, value in page.data}
    return el(
        "html",
        el(
            "head",
            el("meta", charset="utf-8"),
            el("meta", name="viewport", content="width=device-width, initial-scale=1"),
            el("meta", name="color-scheme", content="light dark"),
            el("meta", name="referrer", content="no-referrer"),
            el("title", page.title),
            el("link", rel="icon", href=assets.url("mark.svg"), type="image/svg+xml"),
            [el("link", rel="stylesheet", href=assets.url(name)) for name in styles],
            page.module and el("script", type="module", src=assets.url(page.module)),
        ),
        el(
            "body",
            el("a", "Skip to content", class_="skip", href="#main"),
            _header(assets),
            el("main", *page.body, id="main", class_="wide" if page.is_wide else None, **data),
            _footer(assets),
        ),
        lang="en",
    )


def _header(assets: Assets) -> Html:
    return el(
        "header",
        el(
            "div",
            el(
                "a",
                el("img", src=assets.url("mark.svg"), alt="", width=22, height=22),
                "satbox",
                href="/",
                class_="mark",
            ),
            el(
                "nav",
                el("a", "Prices", href="/#prices"),
                el("a", "Dashboard", href="/dashboard"),
                el("a", "For agents", href="/llms.txt"),
                aria_label="Site",
            ),
            class_="bar",
        ),
    )


def _footer(assets: Assets) -> Html:
    return el(
        "footer",
        el(
            "div",
            el("span", "Pay sats, get a sandbox."),
            el("a", "OpenAPI", href="/openapi.json"),
            el("a", "Health", href="/health"),
            el("a", "Licences", href=assets.url("LICENCES.txt")),
            class_="bar",
        ),
    )
