"""One call by a stranger: who it is, which route it falls under, and how its payment ends with the call.

`Guest` is what the proxy carries through a call: it settles when the server inside has answered, and releases when it has not.
"""

import asyncio
import base64
import contextlib
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import structlog

from actors.requests import Purse
from actors.view import iso
from actors.wallet.calls import Route
from actors.wallet.commands import PayOrder, PromiseOrder
from gate.calls.exposure import Exposure
from gate.calls.order_log import Held
from gate.calls.till import UNPAID, Till
from gate.payment_status import status_url
from gate.ports import Services
from operations.errors import SatboxError
from relay_client.models import SettleResult, encode_header
from relay_client.settlements import PaymentReport

RECEIPT_HEADER = "X-Satbox-Receipt"
"""A receipt as a header's text: base64url of its canonical JSON; `satbox verify receipt` takes it as it is."""
PAYMENT_HEADER, STATUS_HEADER = "X-Satbox-Payment", "X-Satbox-Payment-Status"
"""Which payment a call came with, and where to ask after it: on answers of the server inside, which have no body of ours."""
CREDITED_HEADER = "X-Satbox-Credited"
"""Whose bucket the payment of a failed call is in."""
KEEP_SECONDS_MAX = 2.0
REFUSED = UNPAID | {"order_used", "order_settled", "payment_failed"}
"""By the payer's wallet: this call was not paid. Of any other error nobody can tell whether the payment came before it."""
log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Call:
    """What is called: the resource as orders name it, and the wallet that it belongs to."""

    payee: str
    port: int
    method: str
    resource: str
    route: Route
    route_number: int

    @property
    def usat(self) -> int:
        """Its price."""
        return self.route.sats * 1_000_000


@dataclass(slots=True)
class Guest:
    """A caller who was let in. `payer` is proven by a signature when there is one."""

    call: Call
    payer: str | None = None
    settle_payment: Callable[[int], Awaitable[Mapping[str, str]]] | None = None
    release_payment: Callable[[], Awaitable[None]] | None = None
    unserved_headers: Mapping[str, str] = field(default_factory=dict)
    """What goes along with an answer that is not charged."""
    is_settled: bool = field(default=False, init=False)
    is_paid: bool = field(default=False, init=False)

    async def settle(self, status: int) -> Mapping[str, str]:
        """The server inside has answered with `status`: pay, or do not; headers for the caller. What raises here reaches
        the caller in place of the answer.
        """
        if self.settle_payment is None:
            return {}
        if status >= 500:
            await self.release()
            return self.unserved_headers
        self.is_settled = True
        try:
            headers = await self.settle_payment(status)
            self.is_paid = True
            return headers
        except SatboxError as error:
            if error.code not in REFUSED:
                error.funds_moved = "unknown"
            raise
        except Exception as error:
            log.exception("a payment may or may not be made", payee=self.call.payee, payer=self.payer)
            raise SatboxError("internal", funds_moved="unknown") from error

    async def release(self) -> None:
        """The call has failed: nobody pays for it."""
        if not self.is_settled and self.release_payment is not None:
            self.is_settled = True
            await self.release_payment()


def by_order(services: Services, till: Till, call: Call, held: Held) -> Guest:
    """A guest who pays from a bucket."""

    async def settle(status: int) -> Mapping[str, str]:
        logged = await till.pay(held)
        return _paid_headers(services, call, held.payer, held.order_id, {"order_seq": str(logged.seq)}, status)

    async def release() -> None:
        till.release(held)

    return Guest(call, held.payer, settle, release)


def by_payment(
    services: Services, till: Till, exposure: Exposure, call: Call, report: PaymentReport, attempt_id: str
) -> Guest:
    """A guest who paid on chain, into their own bucket; the call is paid from there, now or when it confirms."""
    order_id = f"call_{report.payment_id}"

    async def release() -> None:
        """The call failed: what was paid for it may pay for the payer's next one. Should this not be written down, the same
        payment still pays when it is shown again.
        """
        till.forget(order_id)
        exposure.give_back(call.payee, report.payment_id)
        with contextlib.suppress(SatboxError, TimeoutError):
            async with asyncio.timeout(KEEP_SECONDS_MAX):
                await services.settlements.keep_spare(report.payer, report.payment_id)

    async def settle(status: int) -> Mapping[str, str]:
        payer = report.payer
        try:
            purse = await pay(payer)
        except SatboxError as error:
            if error.code in UNPAID:
                await release()
            if error.code in REFUSED:
                error.funds_moved = report.funds_moved  # on chain, into the payer's own bucket
            raise
        with contextlib.suppress(SatboxError, TimeoutError):  # it has paid; left there it would refuse one payment
            async with asyncio.timeout(KEEP_SECONDS_MAX):
                await services.settlements.drop_spare(payer, report.payment_id)
        place: dict[str, str | int] = {"journal_head": purse.head, "journal_seq": purse.seq}
        return _paid_headers(services, call, payer, order_id, place, status, report)

    async def pay(payer: str) -> Purse:
        try:
            promise = PromiseOrder(order_id, attempt_id, report.payment_id, call.payee, call.usat)
            return await services.system.pay(payer, promise)
        except SatboxError as error:
            if error.code != "order_settled":
                raise
        return await services.system.pay(payer, PayOrder(order_id, attempt_id, call.payee, call.usat))

    # What became of the payment is said on every answer, also where the server inside failed and nothing is charged.
    settled = SettleResult(
        success=True, payer=report.payer, transaction=report.txid or "", network=services.settings.network.caip2
    )
    unserved = {**_names(services, report), "payment-response": encode_header(settled), CREDITED_HEADER: report.payer}
    return Guest(call, report.payer, settle, release, unserved)


def _names(services: Services, report: PaymentReport) -> dict[str, str]:
    return {PAYMENT_HEADER: report.payment_id, STATUS_HEADER: status_url(services, report.payment_id)}


def _paid_headers(
    services: Services,
    call: Call,
    payer: str,
    order_id: str,
    place: Mapping[str, str | int],
    status: int,
    report: PaymentReport | None = None,
) -> dict[str, str]:
    network = services.settings.network.caip2
    statement: dict[str, Any] = {
        "kind": "call",
        "deployment": services.settings.deployment,
        "network": network,
        "order_id": order_id,
        "payer": payer,
        "payee": call.payee,
        "usat": str(call.usat),
        "resource": call.resource,
        "answered": status,
        "payment_id": None if report is None else report.payment_id,
        "payment_status": "settled" if report is None else report.state.value,
        **place,
        "issued_at": iso(services.clock.wall_ms()),
    }
    transaction = order_id if report is None else report.txid or ""
    result = SettleResult(success=True, payer=payer, transaction=transaction, network=network)
    names = {} if report is None else _names(services, report)
    return {
        **names,
        "payment-response": encode_header(result),
        RECEIPT_HEADER: base64.urlsafe_b64encode(services.receipts.sign_text(statement)).decode(),
    }
