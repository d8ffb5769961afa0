import contextlib
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Browser

from operations.errors import SatboxError
from satbox.settings import LifecycleSection
from tests.pages.browsing import CHROMIUM, Visit, running_browser, visiting
from tests.sandboxes.running_node import HAS_REAL_NODE
from tests.service.running_service import Owner, RunningService

Visitor = Callable[..., AbstractAsyncContextManager[Visit]]


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def browser() -> AsyncIterator[Browser]:
    """One browser; each visitor has a context of its own in it."""
    if not CHROMIUM.exists():
        pytest.skip(f"needs {CHROMIUM}: tests/pages/install")
    async with running_browser() as made:
        yield made


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def service(browser: Browser) -> AsyncIterator[RunningService]:
    """A running service that the tests of a module share. Grace is short, so that falling asleep is quick."""
    if not HAS_REAL_NODE:
        pytest.skip("needs root and bubblewrap")
    made = RunningService(
        lifecycle=LifecycleSection(grace_seconds=1, grace_cap_seconds=120, wake_minimum_seconds=2),
    )
    try:
        await made.start()
        yield made
    finally:
        await made.remove()


@pytest_asyncio.fixture(loop_scope="session")
async def owner(service: RunningService) -> AsyncIterator[Owner]:
    """A fresh agent; its sandbox is given up afterwards."""
    made = await service.agent()
    yield made
    await service.heal()
    with contextlib.suppress(SatboxError):
        await made.client.sandbox_reap(destroy=True)
    await made.client.close()


@pytest.fixture
def visitor(browser: Browser, service: RunningService) -> Visitor:
    """A fresh visitor of the service's gate."""

    def visit(**options: Any) -> AbstractAsyncContextManager[Visit]:
        return visiting(browser, service.gate_url, **options)

    return visit
