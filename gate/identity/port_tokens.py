"""Tokens that open a port of a sandbox to their holders."""

import hashlib
import hmac

from actors.wallet.state import ExposedPort

TOKEN_HEADER = "X-Satbox-Token"  # noqa: S105 - a header's name
TOKEN_QUERY = "satbox_token"  # noqa: S105 - a query word


def token_hash(token: str) -> str:
    """The hash that is stored for a token: a reader of the wallet's file can't use it."""
    return hashlib.sha256(token.encode()).hexdigest()


def open_until(exposed: tuple[ExposedPort, ...], port: int, token: str, wall_ms: int) -> int | None:
    """Until when (milliseconds of the wall clock) a token opens a port; None when it does not."""
    return hash_open_until(exposed, port, token_hash(token), wall_ms)


def hash_open_until(exposed: tuple[ExposedPort, ...], port: int, digest: str, wall_ms: int) -> int | None:
    """The same by a token's hash."""
    found = [
        each.expires_wall_ms
        for each in exposed
        if each.port == port and each.expires_wall_ms > wall_ms and hmac.compare_digest(each.token_hash, digest)
    ]
    return max(found, default=None)
