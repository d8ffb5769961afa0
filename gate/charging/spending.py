"""Whether a spending key may buy this. Caps over time are the wallet's to hold."""

from actors.wallet.calls import OPERATOR
from actors.wallet.decide_keys import capped
from actors.wallet.spending_keys import Left, SpendingKey, left
from gate.charging.bill import Bill
from operations.errors import SatboxError


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
        details = capped(key.key_id, Left(most, "sats_per_call", most), bill.usat)
        raise SatboxError("spending_cap", details=details, funds_moved=False)
    # By what was spent until now. The wallet decides; but what is set aside already would outlive a cap that was lowered.
    now = left(key, 0, wall_ms)
    if now.usat < bill.usat:
        raise SatboxError("spending_cap", details=capped(key.key_id, now, bill.usat), funds_moved=False)
