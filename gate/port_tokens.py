"""Tokens that open a port of a sandbox to whoever holds them."""

import hashlib
import hmac

from actors.wallet.state import Exposure

TOKEN_HEADER = "X-Satbox-Token"  # noqa: S105 - a header's name
TOKEN_QUERY = "satbox_token"  # noqa: S105 - a query word


def token_hash(token: str) -> str:
    """How a token is kept: whoever reads the wallet's file can't use it."""
    return hashlib.sha256(token.encode()).hexdigest()


def without_token(raw_query: str) -> str:
    """A query without the token's pair; everything else stays byte for byte."""
    pairs = raw_query.split("&") if raw_query else []
    return "&".join(pair for pair in pairs if pair.partition("=")[0] != TOKEN_QUERY)


def is_open(exposed: tuple[Exposure, ...], port: int, token: str, wall_ms: int) -> bool:
    """Whether a token opens a port now."""
    digest = token_hash(token)
    return any(
        each.port == port and each.expires_wall_ms > wall_ms and hmac.compare_digest(each.token_hash, digest)
        for each in exposed
    )
