"""What a sandbox refuses, in words that name what it is about."""

from __future__ import annotations

import contextlib
import posixpath
from collections.abc import Iterator, Mapping

from sandboxes.node.connection import GuestRefused

WORKSPACE = "/workspace"
SHOWN_CHARACTERS_MAX = 300


@contextlib.contextmanager
def naming(content: Mapping[str, object]) -> Iterator[None]:
    """A refusal of a request on files names a path: the one in its folder that the guest named, else the request's own."""
    try:
        yield
    except GuestRefused as error:
        paths = [str(content[name]) for name in ("path", "target") if content.get(name)]
        if paths and not any(posixpath.join(WORKSPACE, path) in error.message for path in paths):
            error.message = f"{' to '.join(_shown(path) for path in paths)}: {error.message}"
        raise


def _shown(path: str) -> str:
    return path if len(path) <= SHOWN_CHARACTERS_MAX else f"...{path[-SHOWN_CHARACTERS_MAX:]}"
