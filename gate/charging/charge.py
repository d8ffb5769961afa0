"""Money that is held for one bill: settled for what was used, or released. The first of the two stands.

When `settle` returns, what was used is paid, durably. When nobody can tell whether it is, the error says so
(`funds_moved` is "unknown"): unknown is not failure, and it is never billed twice.
"""

import base64
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import structlog

from actors.view import iso
from actors.wallet.spending_keys import address_of, key_of
from gate.charging.allowances import UNPAID
from gate.charging.bill import Bill
from gate.parts.services import Services
from gate.payments.status import status_url
from operations.errors import SatboxError
from relay_client.models import SettleResult, encode_header
from relay_client.settlements import PaymentReport

RECEIPT_HEADER = "X-Satbox-Receipt"
"""A receipt as a header's text: base64url of its canonical JSON; `satbox verify receipt` takes it as it is."""
CHARGE_HEADER = "X-Satbox-Charge"
"""What was paid, in micro-sats."""
PAYMENT_HEADER, STATUS_HEADER = "X-Satbox-Payment", "X-Satbox-Payment-Status"
"""Which payment a call came with, and where to ask after it: on answers of the server inside, which have no body of ours."""
REFUSED = UNPAID | {"order_used", "order_settled", "payment_failed"}
"""By the payer's wallet: this was not paid. Of any other error nobody can tell whether the payment came before it."""
log = structlog.get_logger()

Settling = Callable[[int, int], Awaitable[Mapping[str, str]]]
"""Pays: what the answer's status was, and how many micro-sats were used; returns headers for the caller."""


@dataclass(slots=True)
class Charge:
    """One bill, held. `payer` is the account that pays: an address, or `ADDRESS/key_...`."""

    bill: Bill
    payer: str
    settle_payment: Settling
    release_payment: Callable[[], Awaitable[None]]
    unserved_headers: Mapping[str, str] = field(default_factory=dict)
    """What goes along with an answer that is not charged."""
    is_settled: bool = field(default=False, init=False)
    is_paid: bool = field(default=False, init=False)

    async def settle(self, status: int, usat: int | None = None) -> Mapping[str, str]:
        """The work is done, or cut off: pay for what was used, all of the bill when `usat` is not said. Never more than is held:
        what an estimate was short of is the seller's loss, and is logged. Headers for the caller.
        """
        used = self.bill.usat if usat is None else usat
        if used > self.bill.usat:
            log.warning("used more than was held", purpose=self.bill.purpose, used_usat=used, held_usat=self.bill.usat)
            used = self.bill.usat
        if status >= 500 or used <= 0:
            await self.release()
            return self.unserved_headers
        if self.is_settled:
            return {}
        self.is_settled = True
        try:
            headers = await self.settle_payment(status, used)
            self.is_paid = True
            return headers
        except SatboxError as error:
            if error.code not in REFUSED:
                error.funds_moved = "unknown"
            raise
        except Exception as error:
            log.exception("a payment may or may not be made", payee=self.bill.payee, payer=self.payer)
            raise SatboxError("internal", funds_moved="unknown") from error

    async def release(self) -> None:
        """It failed, or was never begun: nobody pays for it. Does nothing after it was settled."""
        if not self.is_settled:
            self.is_settled = True
            await self.release_payment()


def payment_names(services: Services, report: PaymentReport) -> dict[str, str]:
    """Headers that name a payment, and where to ask after it."""
    return {PAYMENT_HEADER: report.payment_id, STATUS_HEADER: status_url(services, report.payment_id)}


def paid_headers(
    services: Services,
    bill: Bill,
    payer: str,
    order_id: str,
    place: Mapping[str, str | int],
    status: int,
    usat: int,
    report: PaymentReport | None = None,
) -> dict[str, str]:
    """What an answer that was paid for says: the amount, the x402 outcome and the operator's receipt."""
    network, address = services.settings.network.caip2, address_of(payer)
    statement: dict[str, Any] = {
        "kind": "call",
        "deployment": services.settings.deployment,
        "network": network,
        "order_id": order_id,
        "payer": address,
        "payee": bill.payee,
        "usat": str(usat),
        "resource": bill.resource,
        "answered": status,
        "payment_id": None if report is None else report.payment_id,
        "payment_status": "settled" if report is None else report.state.value,
        **place,
        "issued_at": iso(services.clock.wall_ms()),
    }
    if key_of(payer):
        statement["key_id"] = key_of(payer)
    transaction = order_id if report is None else report.txid or ""
    result = SettleResult(success=True, payer=address, transaction=transaction, network=network)
    names = {} if report is None else payment_names(services, report)
    return {
        **names,
        CHARGE_HEADER: str(usat),
        "payment-response": encode_header(result),
        RECEIPT_HEADER: base64.urlsafe_b64encode(services.receipts.sign_text(statement)).decode(),
    }
