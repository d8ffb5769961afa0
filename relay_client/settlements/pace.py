"""When to look at a payment again, and what is remembered between two looks. It may all be lost: rows decide, this only paces."""

import random

from relay_client.settlements.policy import SECOND_MS, SettlementPolicy, backoff_ms
from relay_client.settlements.records import Payment
from relay_client.settlements.schedule import SettlementClock
from relay_client.states import PaymentState


class Pace:
    """By payment id. Times are of the wall clock, but for those before which nobody is asked again, which no step may move."""

    def __init__(self, clock: SettlementClock, policy: SettlementPolicy, rng: random.Random) -> None:
        self._clock = clock
        self._policy = policy
        self._rng = rng
        self.looked_ms: dict[str, int] = {}
        self.told_ms: dict[str, int] = {}
        self.rebroadcast_ms: dict[str, int] = {}
        self._tries: dict[str, int] = {}
        self._watched: dict[str, int] = {}
        self._not_before_ms: dict[str, int] = {}

    def pause(self, payment: Payment) -> int:
        """How long until a payment is looked at again: soon at first, then ever more rarely."""
        policy, tries = self._policy, self._tries.get(payment.payment_id, 0)
        self._tries[payment.payment_id] = tries + 1
        match payment.state:
            case PaymentState.QUEUED | PaymentState.BROADCASTING:
                first, most, growth = policy.resend_first_ms, policy.resend_max_ms, 2.0
            case PaymentState.MEMPOOL:
                first, most, growth = policy.poll_first_ms, policy.poll_max_ms, policy.poll_growth
            case _ if payment.credited_usat:
                return policy.recheck_ms
            case _:
                first, most, growth = policy.watch_first_ms, policy.watch_max_ms, 2.0
        return backoff_ms(first, most, growth, tries, self._rng.random())

    def come_again_after(self, payment_id: str, seconds: int | None) -> None:
        """The relay says when: not earlier, and up to a quarter later, so that those it put off do not all come at once."""
        if seconds is not None:
            pause_ms = seconds * SECOND_MS * (1 + 0.25 * self._rng.random())
            self._not_before_ms[payment_id] = self._clock.monotonic_ms() + int(pause_ms)

    def come_at_once(self, payment_id: str) -> None:
        """What the relay said of when is over."""
        self._not_before_ms.pop(payment_id, None)

    def is_due(self, payment_id: str) -> bool | None:
        """Whether the time that the relay named has come; None when it named none."""
        not_before_ms = self._not_before_ms.get(payment_id)
        return None if not_before_ms is None else self._clock.monotonic_ms() >= not_before_ms

    def watched_again(self, payment_id: str) -> int:
        """How often a payment that was given up has been looked at."""
        looks = self._watched[payment_id] = self._watched.get(payment_id, 0) + 1
        return looks

    def set_back(self, payment_id: str, now_ms: int) -> None:
        """Forget what is still to come: the wall clock was set back."""
        for memory in (self.looked_ms, self.told_ms, self.rebroadcast_ms):
            if memory.get(payment_id, 0) > now_ms:
                del memory[payment_id]

    def forget(self, payment_id: str) -> None:
        """There is nothing more to see."""
        for memory in (
            self.looked_ms, self.told_ms, self.rebroadcast_ms, self._tries, self._watched, self._not_before_ms,
        ):  # fmt: skip
            memory.pop(payment_id, None)
