"""Orders in transit on one host: every payee that can be reached is told, whatever the others and the sandboxes do."""

import asyncio
import contextlib
import secrets
from collections.abc import AsyncIterator, Callable
from pathlib import Path

from actors.clock import SystemClock
from actors.hosting.host import WalletHost
from actors.hosting.host_settings import HostSettings
from actors.hosting.order_delivery import AT_ONCE, EarningSink
from actors.stores.wallet_file import WalletFile
from actors.stores.wallet_folder import WalletFolder, wallet_path
from actors.stores.wallets import Batch
from actors.wallet import commands as c
from actors.wallet.state import Phase, Plan, WalletState
from sandboxes.clock import boottime_ms
from sandboxes.protocol import Runtime, StartRequest
from sandboxes.simulated import SimulatedNode
from storage.errors import UnavailableError

SAT = 1_000_000
PAYER, PAYEE, BROKEN = "STDELIVERYPAYER", "STDELIVERYPAYEE", "STDELIVERYBROKEN"


class SlowNode(SimulatedNode):
    """Takes starts and answers them when it is let."""

    answers: asyncio.Event

    async def start(self, request: StartRequest) -> Runtime:
        await self.answers.wait()
        return await super().start(request)


@contextlib.asynccontextmanager
async def hosting(
    home: Path,
    node: SimulatedNode | None = None,
    tell: EarningSink | None = None,
    open_store: Callable[[Path, str], WalletFile] = WalletFile,
) -> AsyncIterator[WalletHost]:
    async def no_loss(payment_id: str, payer: str, usat: int) -> None:
        await asyncio.sleep(0)

    host = WalletHost(
        HostSettings(home), WalletFolder(home, open_store), node or SimulatedNode(boottime_ms), SystemClock(),
        lambda: f"rt_{secrets.token_hex(8)}",
        no_loss, tell_earning=tell,
    )  # fmt: skip
    await host.start()
    try:
        yield host
    finally:
        await host.close()


async def fill(host: WalletHost, sats: int) -> None:
    await host.ask(PAYER, c.Deposit("pay_1", PAYER, sats * SAT, "tx1", "sBTC", wakes=False))


async def pay(host: WalletHost, number: int, payee: str = PAYEE) -> None:
    view = await host.ask(PAYER, c.PayOrder(f"ord_{number}", f"a{number}", payee, SAT))
    assert view.refusal is None


async def until(host: WalletHost, address: str, is_so: Callable[[WalletState], bool]) -> WalletState:
    view = await host.ask(address, c.Look())
    async with asyncio.timeout(120):
        while not is_so(view.state):
            view = await host.wait(address, view.state.version, 5)
    return view.state


def couriers() -> list[str]:
    return [task.get_name() for task in asyncio.all_tasks() if task.get_name().startswith("orders ")]


async def never(address: str, earning: c.Earn) -> None:
    await asyncio.Event().wait()


async def test_a_payee_that_cannot_be_read_holds_up_neither_other_payees_nor_the_payers_sandbox(tmp_path: Path) -> None:
    path = wallet_path(tmp_path, BROKEN)
    path.parent.mkdir(parents=True)
    path.write_bytes(b"this is no database" * 100)
    async with hosting(tmp_path) as host:
        await host.ask(PAYER, c.Prepare("create", Plan("nano"), 1))
        await host.ask(PAYER, c.Deposit("pay_1", PAYER, 100 * SAT, "tx1", "sBTC"))
        await until(host, PAYER, lambda state: state.phase is Phase.ALIVE)
        await pay(host, 0, BROKEN)
        for number in range(1, 6):
            await pay(host, number)
        await host.ask(PAYER, c.Reap())

        await until(host, PAYER, lambda state: state.phase is Phase.REAPED)
        await until(host, PAYEE, lambda state: -state.accounts.earnings == 5 * SAT)
        state = await until(host, PAYER, lambda state: len(state.transit) == 1)
        assert state.transit[0].payee == BROKEN
        path.unlink()  # mended
        await until(host, BROKEN, lambda state: -state.accounts.earnings == SAT)
        await until(host, PAYER, lambda state: not state.transit)


async def test_a_payee_that_never_answers_holds_up_nobody(tmp_path: Path) -> None:
    earned: list[str] = []

    async def tell(address: str, earning: c.Earn) -> None:
        if address == BROKEN:
            await never(address, earning)
        earned.append(earning.order_id)

    async with hosting(tmp_path, tell=tell) as host:
        await fill(host, 600)
        await asyncio.gather(*(pay(host, number, BROKEN) for number in range(AT_ONCE + 10)))
        await asyncio.gather(*(pay(host, 1_000 + number) for number in range(3)))
        state = await until(host, PAYER, lambda state: len(state.transit) == AT_ONCE + 10)
        assert {order.payee for order in state.transit} == {BROKEN}
    assert sorted(earned) == [f"ord_{1_000 + number}" for number in range(3)]
    assert couriers() == []


async def test_orders_do_not_wait_for_a_sandbox_that_does_not_start(tmp_path: Path) -> None:
    node = SlowNode(boottime_ms)
    node.answers = asyncio.Event()
    async with hosting(tmp_path, node) as host:
        await host.ask(PAYER, c.Prepare("create", Plan("nano"), 1))
        await host.ask(PAYER, c.Deposit("pay_1", PAYER, 100 * SAT, "tx1", "sBTC"))
        await until(host, PAYER, lambda state: state.phase is Phase.STARTING)
        await pay(host, 0)
        await until(host, PAYEE, lambda state: -state.accounts.earnings == SAT)
        node.answers.set()
        await until(host, PAYER, lambda state: state.phase is Phase.ALIVE)


async def test_more_orders_than_travel_at_once_all_arrive_after_a_restart(tmp_path: Path) -> None:
    count = 2 * AT_ONCE + 50
    async with hosting(tmp_path, tell=never) as host:
        await fill(host, 1_000)
        await asyncio.gather(*(pay(host, number) for number in range(count)))
        assert len((await host.ask(PAYER, c.Look())).state.transit) == count
    assert couriers() == []

    async with hosting(tmp_path) as host:
        await until(host, PAYEE, lambda state: -state.accounts.earnings == count * SAT)
        state = await until(host, PAYER, lambda state: not state.transit)
        assert (state.accounts.spent, state.accounts.in_transit) == (count * SAT, 0)
        async with asyncio.timeout(120):
            while couriers():
                await asyncio.sleep(0)


async def test_a_wallet_whose_copy_died_with_orders_in_transit_is_taken_up_again(tmp_path: Path) -> None:
    failures: list[str] = []

    class FailsToClear(WalletFile):
        """The disk fails the first commit that clears orders."""

        def commit(self, batch: Batch) -> None:
            if self.state.transit and not batch.state.transit and not failures:
                failures.append("disk")
                raise UnavailableError("disk I/O error")
            super().commit(batch)

    async with hosting(tmp_path, open_store=FailsToClear) as host:
        await fill(host, 10)
        await pay(host, 0)
        actor = host.residents.actors[PAYER]
        async with asyncio.timeout(120):
            while actor.state.transit and not actor.is_dead:
                await actor.wait_change(actor.state.version, 5)
            while PAYER not in host.residents.actors:  # nobody asks for it
                await asyncio.sleep(0.01)
        await until(host, PAYER, lambda state: not state.transit)
        assert failures == ["disk"]
        assert -(await host.ask(PAYEE, c.Look())).state.accounts.earnings == SAT
