"""Bring paid orders to those who earned them (`design/calls.md`).

One task for each wallet that has orders in transit. It ends when all of them have arrived and are cleared, when its copy of the
wallet is dead, or when the host closes; what is cut off is told again at the next activation, and payees know what they have
earned already. Nobody waits for a payee who cannot be reached: not the wallet's other effects, not the other payees.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from itertools import islice

from actors.hosting.actor import WalletActor
from actors.wallet.calls import Transit
from actors.wallet.commands import Earn, OrdersDelivered

log = logging.getLogger(__name__)

AT_ONCE = 256
GATHER_SECONDS = 0.05
"""How long a paid order waits for others, so that they travel together; its payer has paid for good meanwhile."""
CLEAR_SECONDS = 1.0
"""How long orders that have arrived wait for others, so that clearing them costs no commit each. A crash meanwhile tells their
payees once more, who know them.
"""
CLEAR_AGAIN_SECONDS = 5.0
RETRY_SECONDS = (0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0)
"""Pauses between tries to reach a payee; the last one repeats."""
LOOK_SECONDS = 5.0
"""How often somebody who waits looks whether its wallet is still this copy's."""

EarningSink = Callable[[str, Earn], Awaitable[None]]
"""Tells the wallet of an address what it has earned; returns once it is durable there."""


class OrderDelivery:
    """Of all wallets of one host."""

    def __init__(self, tell: EarningSink) -> None:
        self._tell = tell
        self._couriers: dict[WalletActor, tuple[_Courier, asyncio.Task[None]]] = {}
        self._is_closing = False

    def wake(self, actor: WalletActor) -> None:
        """There are orders in transit; told as often as one likes."""
        if self._is_closing or actor.is_dead:
            return
        if actor in self._couriers:
            self._couriers[actor][0].woken.set()
            return
        courier = _Courier(actor, self._tell)
        self._couriers[actor] = courier, asyncio.create_task(self._run(courier), name=f"orders {actor.address}")

    async def _run(self, courier: "_Courier") -> None:
        try:
            await courier.run()
        finally:
            del self._couriers[courier.actor]

    async def close(self) -> None:
        """End what is under way."""
        self._is_closing = True
        tasks = [task for _, task in self._couriers.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


class _Courier:
    """Of one wallet's copy."""

    def __init__(self, actor: WalletActor, tell: EarningSink) -> None:
        self.actor = actor
        self.woken = asyncio.Event()
        self._tell = tell
        self._under_way: dict[str, asyncio.Task[None]] = {}
        self._failed: dict[str, tuple[int, float]] = {}
        """Payees that were not reached: how often, and when they are tried again."""
        self._arrived: dict[str, None] = {}
        self._clear_at: float | None = None

    async def run(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            while self.actor.state.transit and not self.actor.is_dead:
                await asyncio.sleep(GATHER_SECONDS)
                self.woken.clear()
                self._send(loop.time())
                if self._clear_at is not None and self._clear_at <= loop.time():
                    await self._clear()
                await self._wait(loop.time())
        finally:
            for task in self._under_way.values():
                task.cancel()
            await asyncio.gather(*self._under_way.values(), return_exceptions=True)

    async def _wait(self, now: float) -> None:
        """Until there is something to do."""
        due = [at for _, at in self._failed.values() if at > now]
        if self._clear_at is not None:
            due.append(self._clear_at)
        try:
            async with asyncio.timeout(max(0.0, min([LOOK_SECONDS, *(at - now for at in due)]))):
                await self.woken.wait()
        except TimeoutError:
            pass

    def _send(self, now: float) -> None:
        """Set so many on their way, by payee: one who does not answer holds up those to nobody else."""
        orders = list(islice((o for o in self.actor.state.transit if self._is_owed(o, now)), AT_ONCE))
        by_payee: dict[str, list[Transit]] = {}
        for order in orders:
            by_payee.setdefault(order.payee, []).append(order)
        for payee, theirs in by_payee.items():
            self._under_way[payee] = asyncio.create_task(self._tell_all(payee, theirs), name=f"orders to {payee}")
        if len(orders) == AT_ONCE:
            self.woken.set()  # there may be more

    def _is_owed(self, order: Transit, now: float) -> bool:
        if order.order_id in self._arrived or order.payee in self._under_way:
            return False
        return order.payee not in self._failed or self._failed[order.payee][1] <= now

    async def _tell_all(self, payee: str, orders: list[Transit]) -> None:
        payer = self.actor.address
        told = await asyncio.gather(
            *(self._tell(payee, Earn(order.order_id, payer, order.usat)) for order in orders), return_exceptions=True
        )
        now = asyncio.get_running_loop().time()
        errors = [error for error in told if error is not None]
        if errors:
            tries, _ = self._failed.get(payee, (0, 0.0))
            self._failed[payee] = tries + 1, now + RETRY_SECONDS[min(tries, len(RETRY_SECONDS) - 1)]
            if tries % 10 == 0:
                log.warning("%d orders of %s to %s are told again: %s", len(errors), payer, payee, errors[0])
        else:
            self._failed.pop(payee, None)
        self._arrived.update({o.order_id: None for o, error in zip(orders, told, strict=True) if error is None})
        if self._arrived and self._clear_at is None:
            self._clear_at = now + CLEAR_SECONDS
        del self._under_way[payee]
        self.woken.set()

    async def _clear(self) -> None:
        order_ids = tuple(self._arrived)
        loop = asyncio.get_running_loop()
        try:
            await self.actor.ask(OrdersDelivered(order_ids))
        except Exception as error:  # noqa: BLE001 - whatever it was, they are to be cleared
            log.warning("orders of %s are cleared later: %s", self.actor.address, error)
            self._clear_at = loop.time() + CLEAR_AGAIN_SECONDS
            return
        for order_id in order_ids:
            del self._arrived[order_id]
        self._clear_at = loop.time() + CLEAR_SECONDS if self._arrived else None
        self.woken.set()  # this may have been all
