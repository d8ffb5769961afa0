"""Bugs planted in what paid calls cost: the till, the log of orders, the wallets' side of both. See `planted`."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from actors.hosting import marks
from actors.wallet import bucket, decide_calls
from actors.wallet import commands as c
from actors.wallet.calls import LoggedOrder
from actors.wallet.spending_keys import UNLIMITED
from gate.charging.order_file import OrderFile
from gate.charging.till import Till
from relay_client.settlements import journal, spares


def posted_number_ignored() -> None:
    """A wallet posts what a gate tells it, as often as it is told."""
    real = decide_calls._post_orders

    def post(turn: Any, command: Any) -> Any:
        turn.set(allowances=tuple(replace(one, posted_seq=0) for one in turn.state.allowances))
        return real(turn, command)

    _handle(c.PostOrders, post)


def log_not_read() -> None:
    """A gate that comes back does not look at what its log says."""
    Till._load = lambda self: None


def answered_before_logged() -> None:
    """The caller has the answer when the order is on its way to the disk."""
    real = OrderFile.write

    async def write(self: Any, held: Any, told: Any) -> LoggedOrder:
        task = asyncio.create_task(real(self, held, told))
        task.add_done_callback(lambda done: done.cancelled() or done.exception())
        await asyncio.sleep(0)
        return LoggedOrder(0, held.order_id, held.payee, held.usat)

    OrderFile.write = write


def earned_twice() -> None:
    """An earning leaves no mark."""
    real = marks.made_by
    marks.made_by = lambda command: () if isinstance(command, c.Earn) else real(command)


def late_asks_obeyed() -> None:
    """What a gate asked before what it asked last is done all the same."""
    decide_calls._is_late = lambda found, number: False


def used_orders_taken() -> None:
    """The log does not say that it had an order before."""
    OrderFile._holds = lambda self, order: True


def delivered_before_earned() -> None:
    """Orders count as delivered when they are sent."""
    from actors.hosting import order_delivery

    real = order_delivery._Courier.__init__

    def begin(self: Any, actor: Any, tell: Any) -> None:
        async def told(address: str, earning: Any) -> None:
            sent = asyncio.ensure_future(tell(address, earning))
            sent.add_done_callback(lambda done: done.cancelled() or done.exception())
            await asyncio.sleep(0)

        real(self, actor, told)

    order_delivery._Courier.__init__ = begin


def stand_ins_forgotten() -> None:
    """Nobody remembers which payments stand for earlier ones: shown again, they are sent."""
    journal.claimed = lambda db, payment_id: None


def spares_kept_for_others() -> None:
    """What is left of a failed call pays for anybody's next one."""
    spares.has_any = lambda db, origin: True
    real = spares.claim

    def claim(db: Any, payment_id: str, origin: str, usat: int, now_ms: int) -> Any:
        row = db.execute("SELECT origin FROM spares WHERE is_claimed = 0 ORDER BY at_ms LIMIT 1").fetchone()
        return real(db, payment_id, origin if row is None else row[0], usat, now_ms)

    spares.claim = claim


def caps_forgotten() -> None:
    """Any amount is set aside for a spending key."""
    decide_calls.may_set_aside = lambda turn, gate_id, has_usat, least_usat: UNLIMITED


def keys_uncounted() -> None:
    """What a spending key paid counts for nobody."""
    decide_calls.count = lambda turn, gate_id, usat: None


def all_that_was_held_is_paid() -> None:
    """What was not used is paid as well."""
    real = Till.pay
    Till.pay = lambda self, order, usat=None: real(self, order)


def operator_paid_past_the_allowance() -> None:
    """A part of what the operator is paid comes from the bucket, past what was set aside for it."""
    real = bucket.spend

    def spend(usat: int, reserved_usat: int, order_id: str, payee: str) -> Any:
        return real(usat, max(0, reserved_usat - 1), order_id, payee)

    bucket.spend = spend


def _handle(command: type, handler: Any) -> None:
    from actors.wallet import decide

    decide._HANDLERS[command] = handler


PLANTED_CALLS: dict[str, tuple[Callable[[], None], int]] = {
    "posted_number_ignored": (posted_number_ignored, 6_000),
    "log_not_read": (log_not_read, 3_000),
    "answered_before_logged": (answered_before_logged, 1_000),
    "earned_twice": (earned_twice, 3_000),
    "late_asks_obeyed": (late_asks_obeyed, 24_000),
    "used_orders_taken": (used_orders_taken, 3_000),
    "delivered_before_earned": (delivered_before_earned, 3_000),
    "stand_ins_forgotten": (stand_ins_forgotten, 6_000),
    "spares_kept_for_others": (spares_kept_for_others, 3_000),
    "caps_forgotten": (caps_forgotten, 12_000),
    "keys_uncounted": (keys_uncounted, 6_000),
    "all_that_was_held_is_paid": (all_that_was_held_is_paid, 1_000),
    "operator_paid_past_the_allowance": (operator_paid_past_the_allowance, 1_000),
}
"""As `planted.PLANTED`."""
