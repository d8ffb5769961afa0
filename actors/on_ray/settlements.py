"""Settlements and the payout queue, wherever they run on Ray. One process has all payments: what may be granted before money is
final is bounded over all of them (`design/payments.md`), and one key pays out in one sequence of nonces.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from actors.on_ray.call import NamedActors, packed
from actors.on_ray.sponsoring import Sponsoring
from actors.wallet.state import Payout

if TYPE_CHECKING:  # hosts tell settlements of payouts and losses, and need nothing that settles
    from relay_client.payouts import PayoutReport
    from relay_client.settlements import PaymentReport, Presentation

SETTLEMENTS = "settlements-0"
"""The process, and the name of its file."""


class RaySettlements:
    """Settlements wherever they run."""

    def __init__(self) -> None:
        self._actors = NamedActors()
        self._sponsoring = Sponsoring(lambda: self._actors.call(SETTLEMENTS, "can_sponsor"), time.monotonic)

    async def present(self, presentation: Presentation) -> PaymentReport:
        """Settle a verified payment."""
        report: PaymentReport = await self._actors.call(SETTLEMENTS, "present", packed(presentation))
        return report

    async def recall(self, presentation: Presentation) -> PaymentReport | None:
        """What `present` would answer for bytes presented before."""
        report: PaymentReport | None = await self._actors.call(SETTLEMENTS, "recall", packed(presentation))
        return report

    async def claim_spare(self, presentation: Presentation, usat: int) -> PaymentReport | None:
        """The earlier payment that a new one stands for; None when it must be sent."""
        report: PaymentReport | None = await self._actors.call(SETTLEMENTS, "claim_spare", packed(presentation), usat)
        return report

    async def keep_spare(self, payer: str, payment_id: str) -> None:
        """The call of this payment failed."""
        await self._actors.call(SETTLEMENTS, "keep_spare", payment_id)

    async def drop_spare(self, payer: str, payment_id: str) -> None:
        """Its money is used up."""
        await self._actors.call(SETTLEMENTS, "drop_spare", payment_id)

    async def is_told(self, payer: str, payment_id: str) -> bool:
        """Whether its wallet has heard all there is of it."""
        return bool(await self._actors.call(SETTLEMENTS, "is_told", payment_id))

    async def report(self, payment_id: str) -> PaymentReport | None:
        """A payment by its id."""
        report: PaymentReport | None = await self._actors.call(SETTLEMENTS, "report", payment_id)
        return report

    async def can_sponsor(self) -> bool:
        """Whether the relay pays fees for others now."""
        return await self._sponsoring.get()

    async def states(self) -> dict[str, int]:
        """Payments by state."""
        states: dict[str, int] = await self._actors.call(SETTLEMENTS, "states")
        return states

    async def record_loss(self, payment_id: str, payer: str, usat: int) -> None:
        """Tell of a start on credit that was never paid."""
        await self._actors.call(SETTLEMENTS, "record_loss", payment_id, usat)

    async def payout_submit(self, address: str, payout: Payout) -> None:
        """Hand a wallet's payout to the queue, once by its id."""
        from relay_client.payouts import PayoutOrder  # with all that pays: loaded where something is paid out

        order = PayoutOrder(
            payout.payout_id, address, payout.origin, payout.asset, payout.atomic, payout.usat, payout.fee_usat
        )
        await self._actors.call(SETTLEMENTS, "payout_submit", packed(order))

    async def payouts_of(self, address: str) -> list[PayoutReport]:
        """A wallet's payouts, newest first."""
        found: list[PayoutReport] = await self._actors.call(SETTLEMENTS, "payouts_of", address)
        return found

    async def payouts_unfinished(self) -> list[PayoutReport]:
        """All that are not over, oldest first."""
        found: list[PayoutReport] = await self._actors.call(SETTLEMENTS, "payouts_unfinished")
        return found

    async def payout_approve(self, payout_id: str) -> PayoutReport:
        """The operator lets one pass."""
        report: PayoutReport = await self._actors.call(SETTLEMENTS, "payout_approve", payout_id)
        return report

    async def payout_deny(self, payout_id: str) -> PayoutReport:
        """The operator does not."""
        report: PayoutReport = await self._actors.call(SETTLEMENTS, "payout_deny", payout_id)
        return report
