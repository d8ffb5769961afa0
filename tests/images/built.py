"""One built image for all tests, kept between runs below the user's cache and keyed by what was asked for."""

import fcntl
import os
from functools import cache
from pathlib import Path

import pytest

import images

_NO_NETWORK = ("Failed to fetch", "Could not resolve", "Temporary failure", "Unable to connect", "Could not connect",
               "Cannot initiate the connection", "No route to host")  # fmt: skip


def _folder(name: str) -> Path:
    cache_home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    key = images.definition_sha256(images.load(name))[:16]
    return cache_home / "satbox-tests" / f"{name}-{key}"


@cache
def store_with(name: str) -> Path:
    """A store that holds the image; skips the test, with the reason, where it can't be built."""
    lack = images.why_not_here()
    if lack is not None:
        pytest.skip(lack)
    folder = _folder(name)
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "tests.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # other workers wait for the one that builds
        store = images.ImageStore(folder)
        if name not in store.names():
            try:
                images.build(images.load(name), store, images.host_sources(), print)
            except images.SourcesMissing as error:
                pytest.skip(str(error))
            except images.BuildFailed as error:
                if any(words in str(error) for words in _NO_NETWORK):
                    pytest.skip(f"no package archive is reached: {error}")
                raise
    return folder
