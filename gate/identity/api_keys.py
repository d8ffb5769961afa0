"""API keys and the key of a sandbox: whose they are, and for which wallet they act."""

import hashlib
import re
import secrets

from actors.view import View
from actors.wallet.spending_keys import SELF, SpendingKey, by_token, find
from gate.parts.services import Services
from operations.errors import SatboxError
from sandboxes.self_tokens import PREFIX as SELF_PREFIX
from sandboxes.self_tokens import read_self_token

PREFIX = "sb_"
"""How API keys begin."""
_TOKEN = re.compile(r"sb_(S[0-9A-Z]{27,41})_[A-Za-z0-9_-]{43}", re.ASCII)


def new_token(address: str) -> str:
    """An API key of a wallet. It names the wallet, so that every gate knows whom to ask; 256 random bits say that it is good."""
    return f"{PREFIX}{address}_{secrets.token_urlsafe(32)}"


def token_hash(token: str) -> str:
    """What is kept of a key."""
    return hashlib.sha256(token.encode()).hexdigest()


def is_api_key(token: str) -> bool:
    """Whether a bearer token is meant as an API key, or says for which sandbox somebody calls."""
    return token.startswith((PREFIX, SELF_PREFIX))


async def key_holder(services: Services, token: str) -> tuple[View, SpendingKey]:
    """The wallet and the key of a token. Raises spending_key_invalid, alike for one that never was, is over or was revoked, and
    runtime_gone for a sandbox that is not its wallet's any more.
    """
    if token.startswith(SELF_PREFIX):
        return await _sandbox(services, token)
    read = _TOKEN.fullmatch(token)
    if read is None:
        raise SatboxError("spending_key_invalid")
    view = await services.views.get(read.group(1))
    key = by_token(view.state.keys, token_hash(token))
    if key is None or not key.is_good(services.clock.wall_ms()):
        raise SatboxError("spending_key_invalid")
    return view, key


async def _sandbox(services: Services, token: str) -> tuple[View, SpendingKey]:
    own = read_self_token(services.settings.self_key, token)
    if own is None:
        raise SatboxError("spending_key_invalid")
    address, runtime_id = own
    view = await services.views.get(address)
    runtime, key = view.state.runtime, find(view.state.keys, SELF)
    if runtime is None or runtime.runtime_id != runtime_id:
        raise SatboxError("runtime_gone", details={"runtime_id": runtime_id})
    assert key is not None
    return view, key
