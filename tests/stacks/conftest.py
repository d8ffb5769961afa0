from collections.abc import Iterator

import pytest

from tests.stacks.stacks_js import StacksJs


@pytest.fixture(scope="session")
def stacks_js() -> Iterator[StacksJs]:
    """stacks.js in one Node process for all tests."""
    oracle = StacksJs()
    try:
        yield oracle
    finally:
        oracle.close()
