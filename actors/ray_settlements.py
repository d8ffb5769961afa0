"""Settlements wherever they run on Ray: which process has a payer's payments, and how it is asked.

Payers are sharded by sha256 of their address over `settlements-0` .. `settlements-<k-1>`, each with a file of its own.
"""

import asyncio
import hashlib
import time
from collections import Counter

from actors.ray_call import NamedActors, packed
from actors.sponsoring import Sponsoring
from actors.wallet.state import Payout
from relay_client.payouts import PayoutOrder, PayoutReport
from relay_client.settlements import PaymentReport, Presentation

PAYOUTS = "settlements-0"
"""The process that runs the one payout queue: one key, one sequence of nonces."""


class RaySettlements:
    """Settlements wherever they run."""

    def __init__(self, count: int = 1) -> None:
        self._count = count
        self._actors = NamedActors()
        self._sponsoring = Sponsoring(lambda: self._actors.call(self.names()[0], "can_sponsor"), time.monotonic)

    def names(self) -> list[str]:
        """The actors that run."""
        return [f"settlements-{k}" for k in range(self._count)]

    def _name(self, payer: str) -> str:
        return f"settlements-{int.from_bytes(hashlib.sha256(payer.encode()).digest()[:4], 'big') % self._count}"

    async def present(self, presentation: Presentation) -> PaymentReport:
        """Settle a verified payment."""
        report: PaymentReport = await self._actors.call(
            self._name(presentation.payment.origin), "present", packed(presentation)
        )
        return report

    async def recall(self, presentation: Presentation) -> PaymentReport | None:
        """What `present` would answer for bytes presented before."""
        report: PaymentReport | None = await self._actors.call(
            self._name(presentation.payment.origin), "recall", packed(presentation)
        )
        return report

    async def claim_spare(self, presentation: Presentation, usat: int) -> PaymentReport | None:
        """The earlier payment that a new one stands for; None when it must be sent."""
        report: PaymentReport | None = await self._actors.call(
            self._name(presentation.payment.origin), "claim_spare", packed(presentation), usat
        )
        return report

    async def keep_spare(self, payer: str, payment_id: str) -> None:
        """The call of this payment failed."""
        await self._actors.call(self._name(payer), "keep_spare", payment_id)

    async def drop_spare(self, payer: str, payment_id: str) -> None:
        """Its money is used up."""
        await self._actors.call(self._name(payer), "drop_spare", payment_id)

    async def is_told(self, payer: str, payment_id: str) -> bool:
        """Whether its wallet has heard all there is of it."""
        return bool(await self._actors.call(self._name(payer), "is_told", payment_id))

    async def report(self, payment_id: str) -> PaymentReport | None:
        """A payment by its id, whichever shard has it."""
        for name in self.names():
            report: PaymentReport | None = await self._actors.call(name, "report", payment_id)
            if report is not None:
                return report
        return None

    async def can_sponsor(self) -> bool:
        """Whether the relay pays fees for others now."""
        return await self._sponsoring.get()

    async def states(self) -> dict[str, int]:
        """Payments by state, all shards together."""
        together: Counter[str] = Counter()
        for told in await asyncio.gather(*(self._actors.call(name, "states") for name in self.names())):
            together.update(told)
        return dict(together)

    async def record_loss(self, payment_id: str, payer: str, usat: int) -> None:
        """Tell the payer's shard of a start on credit that was never paid."""
        await self._actors.call(self._name(payer), "record_loss", payment_id, usat)

    async def payout_submit(self, address: str, payout: Payout) -> None:
        """Hand a wallet's payout to the queue, once by its id."""
        order = PayoutOrder(
            payout.payout_id, address, payout.origin, payout.asset, payout.atomic, payout.usat, payout.fee_usat
        )
        await self._actors.call(PAYOUTS, "payout_submit", packed(order))

    async def payouts_of(self, address: str) -> list[PayoutReport]:
        """A wallet's payouts, newest first."""
        found: list[PayoutReport] = await self._actors.call(PAYOUTS, "payouts_of", address)
        return found

    async def payouts_unfinished(self) -> list[PayoutReport]:
        """All that are not over, oldest first."""
        found: list[PayoutReport] = await self._actors.call(PAYOUTS, "payouts_unfinished")
        return found

    async def payout_approve(self, payout_id: str) -> PayoutReport:
        """The operator lets one pass."""
        report: PayoutReport = await self._actors.call(PAYOUTS, "payout_approve", payout_id)
        return report

    async def payout_deny(self, payout_id: str) -> PayoutReport:
        """The operator does not."""
        report: PayoutReport = await self._actors.call(PAYOUTS, "payout_deny", payout_id)
        return report
