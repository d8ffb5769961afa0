"""The settlement walked through every fault the devnet has, at every step, killed or cut off there.

Faults come from the devnet's own list, so a new one is in the table the day it exists. Each cell holds the same four things: the
books agree with the chain; one payment never has two credits at a time; only legal moves were made; and whoever asks again with
the same bytes hears of the same payment, going forward only.

    killed        the process dies at the step and another takes over; the client asks again
    lost reply    the process lives; whoever waited at that step hears nothing (the client, or, at an acknowledgement,
                  settlements themselves) and asks again

CI takes each fault, step and ending once, with the fault on from the start or from the step on, self-paid or sponsored, in turn;
the night takes all of them.
"""

import asyncio
import itertools
from dataclasses import dataclass, field

import pytest
from aiohttp import web
from payment_builders import NETWORK, PAY_TO, sbtc_payment
from settlement_bench import Bench, Crash

from devnet.admin_api import act
from devnet.faults import ACTS, parse_fault, variants
from operations.errors import SatboxError
from relay_client.settlements import PaymentReport
from relay_client.states import PaymentState, check_move, moves_to
from stacks import sbtc

STEPS = (
    "before_attempt",  # nothing is written yet
    "after_attempt",
    "during_call",  # the request has gone out
    "after_reply",  # read, not committed
    "after_commit",
    "before_credit",
    "after_credit",
    "before_acknowledgement",  # the wallet has the credit, the outbox does not know
    "after_acknowledgement",
)
OF_CREDITS = frozenset(STEPS[-4:])
ACKNOWLEDGEMENT = frozenset(STEPS[-2:])
ENDINGS = ("killed", "lost reply")
SERVICES = ("relay", "stacks")  # the others are no part of a settlement
FAULTS = [None, *variants(SERVICES)]
TRIES = 60
ENDS = frozenset({PaymentState.CONFIRMED, PaymentState.FAILED, PaymentState.REPLACED})


def name_of(fault: dict | None) -> str:
    return "none" if fault is None else "-".join(str(value) for value in fault.values())


CELLS = list(itertools.product(range(len(FAULTS)), range(len(STEPS)), ENDINGS))


def cell_id(cell: tuple[int, int, str]) -> str:
    return f"{name_of(FAULTS[cell[0]])} {STEPS[cell[1]]} {cell[2]}".replace(" ", "_")


PATIENCE_SECONDS = 0.5
"""An answer that comes too late on a busy machine is one more fault: what is asserted here holds for all of them."""


@dataclass
class Walk:
    """One cell of the table."""

    bench: Bench
    fault: dict | None
    step: str
    ending: str
    at_step: bool
    sponsored: bool
    is_reached: bool = False
    is_credit_due: bool = False
    cut: asyncio.Event = field(default_factory=asyncio.Event)
    heard: list[PaymentReport] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.tx = sbtc_payment(sponsored=self.sponsored)
        self.bench.at_step = self._reach

    def _reach(self, step: str) -> None:
        self.is_credit_due = self.is_credit_due or step == "after_credit"
        if self.is_reached or step != self.step:
            return
        if step in ACKNOWLEDGEMENT and not self.is_credit_due:
            return  # it is the credit's acknowledgement that is meant, not an observation's
        self.is_reached = True
        if self.at_step:
            self._misbehave()
        if self.ending == "killed":
            raise Crash(step)
        self.cut.set()
        if step == "before_acknowledgement":
            raise ConnectionError("the wallet's reply got lost")

    def _misbehave(self) -> None:
        if self.fault is None:
            return
        world = self.bench.world
        if self.fault["kind"] not in ACTS:
            world.faults.add(parse_fault({**self.fault, "count": 2}))
            return
        pending = next(iter(world.chain.pending), None)
        try:
            act(world, {**self.fault, "txid": pending})
        except web.HTTPBadRequest:
            assert pending is None  # nothing in the mempool to drop

    async def _ask(self) -> PaymentReport | None:
        """Present the payment; None when the reply got lost on its way."""
        asking, cut = asyncio.create_task(self.bench.present(self.tx)), asyncio.create_task(self.cut.wait())
        try:
            done, _ = await asyncio.wait({asking, cut}, return_when=asyncio.FIRST_COMPLETED)
            if cut in done:
                self.cut.clear()
                return None
            return asking.result()
        finally:
            cut.cancel()
            asking.cancel()
            await asyncio.gather(asking, cut, return_exceptions=True)

    async def go(self) -> PaymentReport:
        """Present until the payment is over, then until the books are closed."""
        if not self.at_step:
            self._misbehave()
        report: PaymentReport | None = None
        for _ in range(TRIES):
            try:
                report = await self._ask()
                if report is not None:
                    self.heard.append(report)
                    if report.state in ENDS:
                        break
                await self.bench.pass_time(2, step_seconds=2, mining=True)
            except Crash:
                await self.bench.restart()
        assert report is not None, "nobody ever answered"
        await self._close(report.payment_id)
        return await self._last(report.payment_id)

    async def _close(self, payment_id: str) -> None:
        """Let the books come to agree with the chain, and see that they stay so."""
        for _ in range(TRIES):
            try:
                await self.bench.pass_time(10, step_seconds=5, mining=True)
                if self._is_balanced() and await self._undelivered() == 0:
                    break
            except Crash:
                await self.bench.restart()
        await self.bench.pass_time(90, step_seconds=5, mining=True)
        assert self._is_balanced(), (self.bench.wallets.credits, self.bench.wallets.reversals)
        assert await self._undelivered() == 0
        assert self.is_reached or (self.step in OF_CREDITS and not self.bench.wallets.credits), (
            "the step was never reached"
        )

    def _is_balanced(self) -> bool:
        received = self.bench.world.chain.ledger.balance(PAY_TO, sbtc(NETWORK).asset_id)
        return self.credited_usat() == received * 1_000_000

    def credited_usat(self) -> int:
        wallets = self.bench.wallets
        taken = sum(reversal.usat for reversal in wallets.reversals.values())
        return sum(credit.usat for credit in wallets.credits.values()) - taken

    async def _undelivered(self) -> int:
        query = "SELECT count(*) FROM outbox WHERE acknowledged_at_ms IS NULL"
        (number,) = await self.bench.store.run(lambda db: db.execute(query).fetchone())
        return number

    async def _last(self, payment_id: str) -> PaymentReport:
        report = await self.bench.settlements.report(payment_id)
        assert report is not None
        return report


async def walk(cell: Walk) -> PaymentReport:
    report = await cell.go()
    assert cell.credited_usat() in (0, 250_000_000)
    assert cell.credited_usat() == report.credited_usat
    # The client that asks again: the same payment, never backwards, and at the end the same words each time.
    assert {heard.payment_id for heard in cell.heard} == {report.payment_id}
    for before, after in itertools.pairwise([*cell.heard, report]):
        moves_to(before.state, after.state)
    assert [await cell.bench.present(cell.tx) for _ in range(2)] == [report, report]
    with pytest.raises(SatboxError, match="payment_target_conflict"):
        await cell.bench.present(cell.tx, purpose="extend")
    states = [PaymentState(state) for state, _, _ in await cell.bench.settlements.history(report.payment_id)]
    assert states[0] is PaymentState.QUEUED
    for before, after in itertools.pairwise(states):
        check_move(before, after)
    return report


@pytest.mark.parametrize("cell", CELLS, ids=cell_id)
async def test_no_cell_of_the_table_loses_or_doubles_a_sat(bench, cell):
    fault, step, ending = FAULTS[cell[0]], STEPS[cell[1]], cell[2]
    turn = cell[0] + cell[1] + ENDINGS.index(ending)
    is_act = fault is not None and fault["kind"] in ACTS
    await walk(Walk(bench, fault, step, ending, at_step=is_act or turn % 2 == 0, sponsored=turn // 2 % 2 == 0))


@pytest.mark.nightly
@pytest.mark.parametrize("at_step", [False, True])
@pytest.mark.parametrize("sponsored", [False, True])
@pytest.mark.parametrize("cell", CELLS, ids=cell_id)
async def test_no_cell_of_the_whole_table_loses_or_doubles_a_sat(bench, cell, at_step, sponsored):
    fault, step, ending = FAULTS[cell[0]], STEPS[cell[1]], cell[2]
    if fault is not None and fault["kind"] in ACTS and not at_step:
        pytest.skip("an act happens at a moment")
    await walk(Walk(bench, fault, step, ending, at_step=at_step, sponsored=sponsored))


def test_the_table_has_every_fault_of_the_devnet():
    from devnet.faults import KINDS, MODES

    listed = {(fault["kind"], fault.get("mode", "")) for fault in FAULTS if fault is not None}
    switches = {(kind, mode) for kind in KINDS for mode in MODES.get(kind, ("",))}
    assert listed == switches | {(kind, "") for kind in ACTS}
