"""Gates as far as money goes: each has the real till on the real log of orders, and finishes what dead gates left behind."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Protocol

from actors.system import ActorSystem, Transport
from actors.wallet.calls import OPERATOR
from actors.wallet.commands import PayOrder, PromiseOrder
from gate.charging.adoption import adopt
from gate.charging.bill import Bill
from gate.charging.charge import Charge
from gate.charging.order_folder import OrderFolder
from gate.charging.till import Till
from gate.charging.used_orders import ANSWERED_WITHIN_MS
from gate.parts.orders import Held
from operations.errors import SatboxError
from simulator.call_auditor import CallAuditor
from simulator.disk import Disk
from simulator.log_disk import DiskOrderLog
from simulator.network import LostError, Process
from simulator.times import Times
from simulator.virtual_loop import Incarnation

LEAVES_IN_SECONDS = 5.0


class Ground(Transport, Protocol):
    """What gates stand on; see `simulator.service.Service`."""

    times: Times
    disk: Disk

    def kill(self, place: Process, back_in: float | None) -> None:
        """End a process; a watchdog starts it again after a while."""


class Gates:
    """The tills of all gates, by the gate's name, each with the life that it belongs to."""

    def __init__(self, service: Ground, folder: Path, auditor: CallAuditor) -> None:
        self._service = service
        self._folder = folder
        self._auditor = auditor
        self._tills: dict[str, tuple[Incarnation, Till, str]] = {}
        self._attempts = 0

    async def live(self, place: Process, life: Incarnation) -> None:
        """What a gate does beside answering."""
        times, system = self._service.times, ActorSystem(self._service)
        logs = OrderFolder(self._folder, times.wall_ms, partial(DiskOrderLog, self._service.disk, self._auditor))
        orders = logs.free_slot()
        till = Till(system, times, orders)
        self._tills[place.name] = life, till, orders.gate_id
        await asyncio.gather(till.run(), adopt(system, times, logs))

    def leave(self, place: Process, back_in: float) -> None:
        """A gate ends in good order, and is restarted."""
        life, till, _ = self._tills.pop(place.name, (None, None, ""))
        if life is None or till is None or life.is_dead or place.life is not life:
            return

        async def end() -> None:
            with contextlib.suppress(Exception):
                await till.close(LEAVES_IN_SECONDS)
            loop = asyncio.get_running_loop()
            contextvars.Context().run(loop.call_soon, self._service.kill, place, back_in)

        life.run(end(), "leaving")

    def _till(self, place: Process) -> tuple[Incarnation, Till, str]:
        life, till, slot = self._tills.get(place.name, (None, None, ""))
        if till is None or life is None or life.is_dead:
            raise LostError(place.name)
        return life, till, slot

    async def call(
        self, place: Process, order: Held, work_seconds: float, status: int, leaves_after: float,
        used_usat: int | None = None,
    ) -> None:  # fmt: skip
        """One paid call at this gate: `status` is what the server inside answers after a while, `leaves_after` how long the
        caller waits, `used_usat` what it cost in the end (None: all that was held). As `gate.proxy` does it.
        """
        life, till, slot = self._till(place)
        if self._service.times.wall_ms() > order.expires_ms - ANSWERED_WITHIN_MS:
            raise SatboxError("order_expired")
        shown = self._auditor.shown(life, slot, order)

        async def settle(_: int, usat: int) -> Mapping[str, str]:
            try:
                await till.pay(order, usat)
            except SatboxError as error:
                if error.funds_moved is False:
                    shown.is_over(unpaid=error.code != "order_used")
                raise
            finally:
                shown.is_holding = False  # it is in the log, or given up; a later look asks the log
            shown.answered(usat)
            return {}

        async def release() -> None:
            till.release(order)
            shown.is_over(unpaid=True)

        async with asyncio.timeout(leaves_after):
            try:
                await till.hold(order)
            except BaseException as error:
                shown.is_over(unpaid=not (isinstance(error, SatboxError) and error.code == "order_used"))
                raise
            shown.held()
            purpose = order.payee.removeprefix(OPERATOR) if order.payee.startswith(OPERATOR) else "call"
            charge = Charge(Bill(order.payee, order.payee, purpose, "GET /", order.usat), order.payer, settle, release)
            try:
                await asyncio.sleep(work_seconds)
                await charge.settle(status, used_usat)
            finally:
                await charge.release()

    async def call_on_chain(self, place: Process, order: Held, payment_id: str) -> None:
        """A call that depends on a payment: promised until it confirms, paid at once after that."""
        life, _, _ = self._till(place)
        self._attempts += 1
        attempt_id = f"{place.name}.{self._attempts}"
        system = ActorSystem(self._service)
        if await system.has_order(order.payer, order.order_id):
            raise SatboxError("order_used")
        try:
            await system.pay(order.payer, PromiseOrder(order.order_id, attempt_id, payment_id, order.payee, order.usat))
        except SatboxError as error:
            if error.code != "order_settled":
                raise
            await system.pay(order.payer, PayOrder(order.order_id, attempt_id, order.payee, order.usat))
        if not life.is_dead:
            self._auditor.answered_on_chain(order)
