"""Spending keys at the gate: whom one speaks for, and whether it may buy this. Caps of time are the wallet's to hold."""

import hashlib
import re
import secrets

from actors.view import View
from actors.wallet.calls import OPERATOR
from actors.wallet.spending_keys import SpendingKey, by_token
from gate.charging.bill import Bill
from gate.ports import Services
from operations.errors import SatboxError

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
    """Whether a bearer token is meant as an API key."""
    return token.startswith(PREFIX)


async def key_holder(services: Services, token: str) -> tuple[View, SpendingKey]:
    """The wallet and the key of a token. Raises spending_key_invalid, alike for one that never was, is over or was revoked."""
    read = _TOKEN.fullmatch(token)
    if read is None:
        raise SatboxError("spending_key_invalid")
    view = await services.views.get(read.group(1))
    key = by_token(view.state.keys, token_hash(token))
    if key is None or not key.is_good(services.clock.wall_ms()):
        raise SatboxError("spending_key_invalid")
    return view, key


def check_key(key: SpendingKey, bill: Bill, wall_ms: int) -> None:
    """Whether a key may buy this at all: what it is for, whom it may pay, and how much in one call. Raises spending_key_invalid,
    spending_key_scope, spending_cap.
    """
    if not key.is_good(wall_ms):
        raise SatboxError("spending_key_invalid", funds_moved=False)
    if key.scopes and bill.purpose not in key.scopes:
        told = {"scope": bill.purpose, "has": list(key.scopes)}
        raise SatboxError("spending_key_scope", details=told, funds_moved=False)
    if key.payees and not bill.payee.startswith(OPERATOR) and bill.payee not in key.payees:
        raise SatboxError("spending_key_scope", details={"payee": bill.payee}, funds_moved=False)
    most = key.caps.call_usat
    if most is not None and bill.usat > most:
        details = {
            "key_id": key.key_id, "cap": "sats_per_call", "cap_usat": most, "asked_usat": bill.usat, "spent_usat": 0,
            "resets_at": None,
        }  # fmt: skip
        raise SatboxError("spending_cap", details=details, funds_moved=False)
