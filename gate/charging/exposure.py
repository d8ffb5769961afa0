"""What sellers have given away on payments that are not confirmed: bounded for each seller, whatever number of payers.

Payers are made for nothing, and a limit for each of them limits nobody. So the calls of one seller that were answered on
payments in the mempool may amount to a fixed sum: payments under way, and those that failed within the last day. Beyond it
calls wait for their confirmation. One gate's, in memory: a restart forgets it.
"""

from collections import OrderedDict
from collections.abc import Awaitable, Callable

from actors.clock import Clock
from relay_client.settlements import PaymentReport
from relay_client.states import PaymentState

FAILED_COUNTS_MS = 86_400_000
PAYMENTS_MAX = 256
"""Followed for one seller."""
LOOKS_MAX = 16
LOOK_PAUSE_MS = 500
"""How many payments are asked for when there is no room, and how often: each is a hop."""


class Exposure:
    """One gate's."""

    def __init__(self, report: Callable[[str], Awaitable[PaymentReport | None]], clock: Clock, limit_usat: int) -> None:
        self._report = report
        self._clock = clock
        self._limit_usat = limit_usat
        self._open: dict[str, OrderedDict[str, tuple[int, int]]] = {}
        self._looked_ms: dict[str, int] = {}

    async def take(self, payee: str, payment_id: str, usat: int) -> bool:
        """Whether one more call may be answered before it is paid. Counts it, once by its payment."""
        if self._fits(payee, payment_id, usat):
            return True
        await self._look(payee)
        return self._fits(payee, payment_id, usat)

    def _fits(self, payee: str, payment_id: str, usat: int) -> bool:
        open_ = self._open.get(payee, OrderedDict())
        if payment_id in open_:
            return True
        if len(open_) >= PAYMENTS_MAX or sum(each for each, _ in open_.values()) + usat > self._limit_usat:
            return False
        self._open.setdefault(payee, open_)[payment_id] = (usat, self._clock.monotonic_ms())
        return True

    async def _look(self, payee: str) -> None:
        """Forget those that are paid by now. The ones asked for go to the end, so that the next look asks for others."""
        now_ms, open_ = self._clock.monotonic_ms(), self._open.get(payee)
        looked_ms = self._looked_ms.get(payee)
        if open_ is None or (looked_ms is not None and now_ms - looked_ms < LOOK_PAUSE_MS):
            return
        self._looked_ms[payee] = now_ms
        for payment_id in list(open_)[:LOOKS_MAX]:
            report = await self._report(payment_id)
            entry = open_.get(payment_id)
            is_paid = report is not None and report.state is PaymentState.CONFIRMED
            if entry is None:
                continue
            if is_paid or now_ms - entry[1] > FAILED_COUNTS_MS:
                self.give_back(payee, payment_id)
            else:
                open_.move_to_end(payment_id)

    def give_back(self, payee: str, payment_id: str) -> None:
        """The call failed, or is paid: its seller has given nothing away."""
        open_ = self._open.get(payee)
        if open_ is not None and open_.pop(payment_id, None) is not None and not open_:
            del self._open[payee]
            self._looked_ms.pop(payee, None)
