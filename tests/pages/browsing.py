"""A real browser, and what must never happen in it: a refused script, an error on the console, a request to somebody else."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from playwright.async_api import Browser, BrowserContext, ConsoleMessage, Page, Request, async_playwright

CHROMIUM = Path("/usr/bin/chromium")
ARGUMENTS = (
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage", "--force-color-profile=srgb",
)  # fmt: skip
SCREENSHOTS = Path(__file__).parent / "screenshots"
DESKTOP = {"width": 1180, "height": 860}
PHONE = {"width": 390, "height": 844}
PATIENCE_MS = 15_000
VIOLATIONS = """
addEventListener("securitypolicyviolation", (e) => console.error(`policy: ${e.violatedDirective} ${e.blockedURI}`));
"""


@contextlib.asynccontextmanager
async def running_browser() -> AsyncIterator[Browser]:
    """Chromium with an empty profile."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=str(CHROMIUM), args=list(ARGUMENTS))
        try:
            yield browser
        finally:
            await browser.close()


@dataclass
class Visit:
    """One visitor: a context of its own, and what went wrong in it."""

    context: BrowserContext
    page: Page
    origin: str
    faults: list[str] = field(default_factory=list)

    async def open(self, path: str) -> None:
        await self.page.goto(self.origin + path)

    async def shot(self, name: str, *, whole: bool = True) -> None:
        """A picture for people to look at."""
        SCREENSHOTS.mkdir(exist_ok=True)
        await self.page.screenshot(path=str(SCREENSHOTS / f"{name}.png"), full_page=whole, animations="disabled")

    async def text(self, selector: str) -> str:
        return (await self.page.inner_text(selector)).strip()

    async def until(self, script: str, seconds: float = 120.0) -> None:
        """Wait until an expression is true in the page. Playwright's own way has the page evaluate text, which the policy
        refuses.
        """
        try:
            async with asyncio.timeout(seconds):
                while not await self.page.evaluate(script):
                    await asyncio.sleep(0.05)
        except TimeoutError as error:
            raise AssertionError(f"never true: {script}\n{(await self.text('main'))[:1500]}") from error

    def _heard(self, message: ConsoleMessage) -> None:
        # A refusal (402 among them) is an answer; that the browser mentions it is no fault of the page.
        is_answer = message.text.startswith("Failed to load resource")
        if message.type in ("error", "warning") and not is_answer:
            self.faults.append(f"console: {message.text[:300]}")

    def _asked(self, request: Request) -> None:
        parts = urlsplit(request.url)
        if parts.scheme not in ("data", "blob") and f"{parts.scheme}://{parts.netloc}" != self.origin:
            self.faults.append(f"request to {request.url[:200]}")

    def watch(self) -> None:
        self.page.on("console", self._heard)
        self.page.on("pageerror", lambda error: self.faults.append(f"error: {error}"))
        self.page.on("request", self._asked)


@contextlib.asynccontextmanager
async def visiting(browser: Browser, origin: str, **options: Any) -> AsyncIterator[Visit]:
    """A fresh visitor. Nothing may have gone wrong by the end."""
    settings: dict[str, Any] = {"viewport": DESKTOP, "color_scheme": "light", "reduced_motion": "reduce", **options}
    context = await browser.new_context(**settings)
    context.set_default_timeout(PATIENCE_MS)
    await context.add_init_script(VIOLATIONS)
    page = await context.new_page()
    visit = Visit(context, page, origin)
    visit.watch()
    try:
        yield visit
        await asyncio.sleep(0)
        assert visit.faults == []
    finally:
        await context.close()
