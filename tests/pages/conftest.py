from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Browser

from satbox.settings import LifecycleSection
from tests.pages.browsing import CHROMIUM, Visit, running_browser, visiting
from tests.service.running_service import Owner, RunningService, fresh_owner, running

Visitor = Callable[..., AbstractAsyncContextManager[Visit]]


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def browser() -> AsyncIterator[Browser]:
    """One browser; each visitor has a context of its own in it."""
    if not CHROMIUM.exists():
        pytest.skip(f"needs {CHROMIUM}: tests/pages/install")
    async with running_browser() as made:
        yield made


@pytest_asyncio.fixture(scope="package", loop_scope="session")
async def service(browser: Browser) -> AsyncIterator[RunningService]:
    """A running service that the tests of a module share. Grace is short, so that falling asleep is quick."""
    lifecycle = LifecycleSection(grace_seconds=1, grace_cap_seconds=120, wake_minimum_seconds=2)
    async with running(lifecycle=lifecycle) as made:
        yield made


@pytest_asyncio.fixture(loop_scope="session")
async def owner(service: RunningService) -> AsyncIterator[Owner]:
    """A fresh agent."""
    async with fresh_owner(service) as made:
        yield made


@pytest.fixture
def visitor(browser: Browser, service: RunningService) -> Visitor:
    """A fresh visitor of the service's gate."""

    def visit(**options: Any) -> AbstractAsyncContextManager[Visit]:
        return visiting(browser, service.gate_url, **options)

    return visit
