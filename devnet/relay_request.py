"""Reading a /settle or /verify body (x402 v2), with the relay's own refusals. [relay: endpoints/v2-helpers.ts]"""

import hashlib
import json
import re
from dataclasses import dataclass

from devnet.assets import asset_type
from devnet.records import JsonObject
from stacks.network import Network

_IDENTIFIER = re.compile(r"[A-Za-z0-9_-]{16,128}")


class Refused(Exception):  # noqa: N818 - an answer, not a fault
    """The body is refused with one of the relay's `errorReason` words, and an HTTP status."""

    def __init__(self, reason: str, status: int = 400) -> None:
        super().__init__(reason)
        self.reason, self.status = reason, status


@dataclass(frozen=True, slots=True)
class SettleRequest:
    """One payment to settle: the transaction's hex as given, what it must pay, and the caller's identifier."""

    transaction_hex: str
    pay_to: str
    amount: int
    token_type: str
    identifier: str | None
    body_hash: str


def _object(value: object, reason: str) -> JsonObject:
    if not isinstance(value, dict):
        raise Refused(reason)
    return value


def _identifier(payload: JsonObject) -> str | None:
    extensions = payload.get("extensions")
    extension = extensions.get("payment-identifier") if isinstance(extensions, dict) else None
    if extension is None:
        return None
    info = extension.get("info") if isinstance(extension, dict) else None
    identifier = info.get("id") if isinstance(info, dict) else None
    if not isinstance(identifier, str) or _IDENTIFIER.fullmatch(identifier) is None:
        raise Refused("invalid_payload")
    return identifier


def parse_settle(body: JsonObject, network: Network) -> SettleRequest:
    """The request in a body; raises Refused."""
    payload = _object(body.get("paymentPayload"), "invalid_payload")
    required = _object(body.get("paymentRequirements"), "invalid_payment_requirements")
    transaction = _object(payload.get("payload"), "invalid_payload").get("transaction")
    if not isinstance(transaction, str) or not transaction:
        raise Refused("invalid_payload")
    if required.get("scheme", "exact") != "exact":
        raise Refused("invalid_scheme")
    pay_to, amount, asset = required.get("payTo"), required.get("amount"), required.get("asset")
    if isinstance(amount, int) and not isinstance(amount, bool):
        raise Refused("invalid_transaction_state", 200)  # passes the relay's shape check and fails behind it
    if not isinstance(pay_to, str) or not isinstance(asset, str) or not isinstance(amount, str):
        raise Refused("invalid_payment_requirements")
    if not (amount.isascii() and amount.isdigit()) or len(amount) > 39 or not pay_to:
        raise Refused("invalid_payment_requirements")
    if required.get("network") != network.caip2:
        raise Refused("invalid_network")
    token_type = asset_type(asset, network)
    if token_type is None:
        raise Refused("unrecognized_asset")
    canonical = json.dumps({"paymentPayload": payload, "paymentRequirements": required}, sort_keys=True)
    digest = hashlib.sha256(canonical.encode()).hexdigest()
    return SettleRequest(transaction, pay_to, int(amount), token_type, _identifier(payload), digest)
