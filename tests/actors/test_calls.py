"""Money between wallets in the pure core: two wallets, commands lost and repeated at every step, and not a usat lost or made."""

from dataclasses import replace

import hypothesis.strategies as st
import pytest
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from actors.wallet import commands as c
from actors.wallet.bucket import check
from actors.wallet.calls import HOUR_MS, BundledOrder, LoggedOrder, Route, bundle_id, counted_wake
from actors.wallet.decide import Decision, decide, resume
from actors.wallet.state import Instant, Phase, UptimeProof, WalletPolicy, WalletState
from tests.actors.harness import STATE, World

SAT = 1_000_000
PAYER = "ST1PQHQKV0RJXZFY1DGX8MNSNYVE3VGZJSRTPGZGM"
AGENT = "ST15C31B8C1C11C515E244B75806BAC48D1399C775"
PAYEE = "ST2CY5V39NHDPWSXMW9QDT3HC3GD6Q6XX4CFRK9AG"


class Purse:
    """A wallet without a sandbox, whose marks are kept as its file keeps them."""

    def __init__(self, address: str, sats: int = 0, policy: WalletPolicy | None = None) -> None:
        self.policy = policy or WalletPolicy()
        self.state = WalletState(address)
        self.marks: set[tuple[str, str]] = set()
        self.effects: list[c.Effect] = []
        self.bundles: tuple[BundledOrder, ...] = ()
        self.wall_ms = 1_700_000_000_000
        if sats:
            self.ask(c.Deposit("pay_0", address, sats * SAT, "tx0", "sBTC", sats))

    def ask(self, command: c.Command) -> Decision:
        marks, conflict = self._marks(command)
        duplicate = any(mark in self.marks for mark in marks[:1])
        at = Instant(self.wall_ms, UptimeProof("node", "boot", self.wall_ms, self.wall_ms))
        made = decide(self.state, command, at, self.policy, is_duplicate=duplicate, conflict=conflict)
        if made.refusal is None and not duplicate:
            self.marks |= set(marks)
        self.state = STATE.validate_json(STATE.dump_json(made.state))
        self.effects += made.effects
        return made

    def _marks(self, command: c.Command) -> tuple[list[tuple[str, str]], str | None]:
        match command:
            case c.Deposit(payment_id=payment_id):
                return [("deposit", payment_id)], None
            case c.Earn(order_id=order_id):
                return [("earning", order_id)], None
            case c.PayOrder(order_id=order_id, attempt_id=attempt_id):
                used = ("order", order_id) in self.marks
                return [("attempt", attempt_id), ("order", order_id)], "order_used" if used else None
            case c.PromiseOrder(order_id=order_id, attempt_id=attempt_id, payment_id=payment_id):
                used = ("order", order_id) in self.marks
                settled = ("deposit", payment_id) in self.marks
                code = "order_used" if used else "order_settled" if settled else None
                return [("attempt", attempt_id), ("order", order_id)], code
            case _:
                return [], None

    def pay(self, order: str, sats: int, *, attempt: str | None = None) -> str | None:
        made = self.ask(c.PayOrder(order, attempt or f"{order}_1", AGENT, sats * SAT))
        return made.refusal.code if made.refusal else None

    def post(self, *orders: LoggedOrder, gate: str = "gate_a") -> str | None:
        made = self.ask(c.PostOrders(gate, orders))
        self.bundles += made.orders
        return made.refusal.code if made.refusal else None


def logged(seq: int, sats: int, payee: str = AGENT) -> LoggedOrder:
    return LoggedOrder(seq, f"ord_{seq}", payee, sats * SAT)


def deliver(payer: Purse, agent: Purse) -> None:
    """What the shell does about orders in transit."""
    for order in payer.state.transit:
        agent.ask(c.Earn(order.order_id, payer.state.address, order.usat))
    payer.ask(c.OrdersDelivered(tuple(order.order_id for order in payer.state.transit)))


def test_a_call_moves_its_price_less_the_operators_share() -> None:
    payer, agent = Purse(PAYER, 1_000), Purse(AGENT)
    payer.ask(c.Reserve("gate_a", 100 * SAT, 10 * SAT))
    assert payer.state.accounts.reserved == 100 * SAT

    assert payer.post(logged(1, 10)) is None
    assert payer.effects[-1:] == [c.DeliverOrders()]
    assert payer.state.accounts.in_transit == 10 * SAT
    deliver(payer, agent)

    assert (payer.state.accounts.bucket, payer.state.accounts.reserved) == (900 * SAT, 90 * SAT)
    assert (payer.state.accounts.in_transit, payer.state.accounts.spent) == (0, 10 * SAT)
    assert (agent.state.accounts.bucket, agent.state.accounts.call_fees) == (9_800_000, 200_000)
    assert agent.state.accounts.earnings == -10 * SAT


def test_a_repetition_of_one_attempt_is_the_same_payment_and_another_use_is_refused() -> None:
    payer = Purse(PAYER, 100)
    assert payer.pay("ord_1", 10, attempt="a") is None
    assert payer.pay("ord_1", 10, attempt="a") is None
    assert payer.pay("ord_1", 10, attempt="b") == "order_used"
    assert payer.state.accounts.bucket == 90 * SAT


def test_nothing_is_paid_on_credit_or_to_oneself() -> None:
    payer = Purse(PAYER, 5)
    assert payer.pay("ord_1", 6) == "credit_insufficient"
    made = payer.ask(c.PayOrder("ord_2", "a", PAYER, SAT))
    assert made.refusal is not None
    assert made.refusal.code == "order_invalid"
    assert payer.state.accounts.bucket == 5 * SAT


def test_orders_are_posted_once_by_their_number_and_only_from_what_is_set_aside_for_their_gate() -> None:
    payer = Purse(PAYER, 100)
    payer.ask(c.Reserve("gate_a", 30 * SAT, SAT))
    payer.ask(c.Reserve("gate_b", 30 * SAT, SAT))
    assert payer.post(logged(1, 5), logged(2, 5)) is None
    assert payer.post(logged(1, 5), logged(2, 5), logged(3, 5)) is None  # an answer was lost; what is new is posted
    assert payer.post(logged(2, 5)) is None
    assert payer.state.accounts.in_transit == 15 * SAT
    assert payer.post(logged(4, 16)) == "order_invalid"
    payer.ask(c.Unreserve("gate_a"))
    assert payer.post(logged(3, 5)) is None  # from a process that was thought dead, after everything is over
    assert payer.post(logged(5, 1)) == "order_invalid"
    accounts = payer.state.accounts
    assert (accounts.bucket, accounts.reserved, accounts.in_transit) == (55 * SAT, 30 * SAT, 15 * SAT)
    payer.ask(c.Reserve("gate_a", 30 * SAT, SAT))
    assert payer.post(logged(3, 5)) is None
    assert payer.state.accounts.in_transit == 15 * SAT


def test_what_a_gate_asked_before_what_it_asked_last_changes_nothing_when_it_comes_late() -> None:
    payer = Purse(PAYER, 100)
    payer.ask(c.Unreserve("gate_a", 2))
    payer.ask(c.Reserve("gate_a", 30 * SAT, SAT, 1))  # nobody would give it back any more
    assert payer.state.accounts.reserved == 0
    payer.ask(c.Reserve("gate_a", 30 * SAT, SAT, 3))
    payer.ask(c.Unreserve("gate_a", 2))  # calls lean on it by now
    payer.ask(c.Reserve("gate_a", 90 * SAT, SAT, 3))
    assert payer.state.accounts.reserved == 30 * SAT
    payer.ask(c.Unreserve("gate_a", 4))
    assert payer.state.accounts.reserved == 0


def test_orders_that_are_posted_together_go_to_each_payee_in_one_entry_that_names_them_all() -> None:
    payer = Purse(PAYER, 100)
    payer.ask(c.Reserve("gate_a", 50 * SAT, SAT))
    orders = [logged(1, 1), logged(2, 2, PAYEE), logged(3, 3), logged(4, 4)]
    assert payer.post(*orders) is None
    mine = [orders[0], orders[2], orders[3]]
    assert [(one.order_id, one.payee, one.usat) for one in payer.state.transit] == [
        (bundle_id(mine), AGENT, 8 * SAT),
        ("ord_2", PAYEE, 2 * SAT),
    ]
    assert bundle_id(mine).startswith("calls_3_")
    assert [(one.seq, one.order_id, one.usat) for one in payer.bundles] == [(o.seq, o.order_id, o.usat) for o in mine]
    changed = [replace(mine[0], usat=2 * SAT), *mine[1:]]
    assert bundle_id(changed) != bundle_id(mine)


def test_orders_wait_in_their_log_while_too_many_are_in_transit() -> None:
    payer = Purse(PAYER, 100, WalletPolicy(transit_max=2))
    payer.ask(c.Reserve("gate_a", 50 * SAT, SAT))
    assert [payer.post(logged(seq, 1)) for seq in (1, 2, 3)] == [None, None, "overloaded"]
    deliver(payer, Purse(AGENT))
    assert payer.post(logged(3, 1)) is None


@pytest.mark.parametrize(("aside", "phase", "owed", "left"), [(10, Phase.GRACE, 20, 0), (50, Phase.ALIVE, 0, 20)])
def test_what_goes_back_in_grace_pays_first_for_the_time_up_to_now(
    aside: int, phase: Phase, owed: int, left: int
) -> None:
    world = World().alive(60 + aside)
    world.ask(c.Reserve("gate_a", aside * SAT, aside * SAT))
    world.pass_ms(90_000)
    world.ask(c.Unreserve("gate_a"))

    accounts = world.state.accounts
    assert (world.state.phase, accounts.debt_usat, accounts.bucket) == (phase, owed * SAT, left * SAT)


def test_a_reserve_takes_what_there_is_but_not_less_than_the_call_needs() -> None:
    payer = Purse(PAYER, 7)
    made = payer.ask(c.Reserve("gate_a", 40 * SAT, 8 * SAT))
    assert made.refusal is not None
    assert made.refusal.code == "credit_insufficient"
    assert payer.ask(c.Reserve("gate_a", 40 * SAT, 7 * SAT)).refusal is None
    assert payer.state.accounts.reserved == 7 * SAT


def test_what_was_set_aside_for_calls_that_were_not_made_can_be_sent_back_like_before() -> None:
    payer = Purse(PAYER, 100)
    payer.ask(c.Reserve("gate_a", 40 * SAT, SAT))
    assert sum(lot.left_usat for lot in payer.state.reclaimable) == 60 * SAT
    payer.post(logged(1, 10))
    payer.ask(c.Unreserve("gate_a"))
    assert payer.state.lots == payer.state.reclaimable
    assert sum(lot.left_usat for lot in payer.state.lots) == payer.state.accounts.bucket == 90 * SAT


def test_nothing_that_is_set_aside_for_calls_is_sent_back() -> None:
    payer = Purse(PAYER, 100)
    payer.ask(c.Reserve("gate_a", 40 * SAT, SAT))
    (lot,) = payer.state.lots
    whole = c.ReclaimPart(lot.payment_id, lot.origin, lot.asset, lot.atomic, 0, lot.usat)
    made = payer.ask(c.Reclaim("rec_1", (whole,)))
    assert made.refusal is not None
    assert made.refusal.code == "reclaim_changed"


def test_time_that_is_used_already_is_paid_before_anything_is_set_aside() -> None:
    world = World().alive(60)
    world.pass_ms(50_000)
    made = world.ask(c.Reserve("gate_a", 40 * SAT, 40 * SAT))
    assert made.refusal is not None
    assert made.refusal.code == "credit_insufficient"
    assert world.ask(c.Reserve("gate_a", 40 * SAT, 5 * SAT)).refusal is None
    assert (world.state.accounts.reserved, world.state.accounts.burnt) == (10 * SAT, 50 * SAT)


def test_a_promise_is_kept_when_its_payment_is_credited_and_void_when_it_fails() -> None:
    payer = Purse(PAYER)
    for name in ("pay_1", "pay_2"):
        payer.ask(c.Observe(name, PAYER, "mempool", 20 * SAT, 0, 0, wakes=False))
        payer.ask(c.PromiseOrder(f"call_{name}", f"{name}_a", name, AGENT, 20 * SAT))
    payer.ask(c.Deposit("pay_1", PAYER, 25 * SAT, "tx1", "STX", 1_000, wakes=False))
    payer.ask(c.Observe("pay_2", PAYER, "failed", 20 * SAT, 0, 0, "dropped"))

    assert [order.order_id for order in payer.state.transit] == ["call_pay_1"]
    assert payer.state.promises == ()
    assert payer.state.accounts.bucket == 5 * SAT
    assert sum(lot.left_usat for lot in payer.state.lots) <= payer.state.accounts.bucket


def test_a_promise_on_what_is_credited_already_is_refused_so_that_it_is_paid_at_once() -> None:
    payer = Purse(PAYER, 30)
    made = payer.ask(c.PromiseOrder("call_pay_0", "a", "pay_0", AGENT, 20 * SAT))
    assert made.refusal is not None
    assert made.refusal.code == "order_settled"


def test_promises_are_bounded() -> None:
    payer = Purse(PAYER, policy=WalletPolicy(promises_max=2, promised_usat_max=100 * SAT))
    codes = []
    for number, sats in enumerate((60, 60, 40, 0, 10)):
        made = payer.ask(c.PromiseOrder(f"call_{number}", f"a{number}", f"pay_{number + 1}", AGENT, sats * SAT))
        codes.append(made.refusal and made.refusal.code)
    assert codes == [None, "order_limit", None, "order_invalid", "order_limit"]


def test_earnings_end_grace_and_pay_what_is_owed_first() -> None:
    world = World().alive(60)
    world.pass_ms(65_000)
    world.ask(c.Tick())
    assert world.state.phase is Phase.GRACE

    world.ask(c.Earn("ord_1", PAYER, 100 * SAT))
    assert world.state.phase is Phase.ALIVE
    assert world.state.accounts.owed == 0
    assert world.state.accounts.bucket == 98 * SAT - 5 * SAT


def test_money_for_something_else_wakes_nothing() -> None:
    world = World().alive(60)
    world.ask(c.Reap(reason="budget_reached"))
    world.run_effects()
    world.ask(c.Observe("pay_x", world.state.address, "mempool", 500 * SAT, 0, 0, wakes=False))
    world.ask(c.Deposit("pay_x", world.state.address, 500 * SAT, "tx", "sBTC", 500, wakes=False))
    assert world.state.phase is Phase.REAPED


def test_traffic_wakes_so_many_times_an_hour_and_never_what_a_budget_stopped() -> None:
    world = World().alive(1_000)

    def asleep(reason: str) -> None:
        world.ask(c.Reap(reason=reason))
        world.run_effects()

    codes = []
    for reason in ("requested", "requested", "budget_reached", "requested"):
        asleep(reason)
        made = world.ask(c.Wake(traffic_per_hour=2))
        codes.append(made.refusal and made.refusal.code)
        world.run_effects()
        if world.state.phase is Phase.REAPED:
            world.ask(c.Wake())
            world.run_effects()
    assert codes == [None, None, "sandbox_reaped", "traffic_wakes_limit"]


def test_an_hour_of_wakes_ends() -> None:
    hour = counted_wake(None, HOUR_MS, 1)
    assert counted_wake(hour, HOUR_MS + 1, 1) is None
    assert counted_wake(hour, 2 * HOUR_MS, 1) is not None


def test_routes_are_set_as_a_whole_and_bounded() -> None:
    world = World().alive(60)
    routes = tuple(Route(8000, f"/{number}") for number in range(33))
    made = world.ask(c.SetRoutes(routes))
    assert made.refusal is not None
    assert made.refusal.code == "routes_limit"
    world.ask(c.SetRoutes(routes[:32]))
    assert world.state.routes == routes[:32]


class TwoWallets(RuleBasedStateMachine):
    """Orders between two wallets, in any order, with every message lost or told twice."""

    def __init__(self) -> None:
        super().__init__()
        self.payer, self.agent = Purse(PAYER, 50), Purse(AGENT)
        self.orders = 0
        self.deposited = 50 * SAT
        self.paid: dict[str, int] = {}
        self.settled: dict[str, int] = {}
        """Those that lean on a payment."""
        self.logs: dict[str, list[LoggedOrder]] = {"a": [], "b": []}
        self.posted = {"a": 0, "b": 0}

    @rule(sats=st.integers(1, 30), least=st.integers(1, 30), gate=st.sampled_from("ab"))
    def reserve(self, sats: int, least: int, gate: str) -> None:
        self.payer.ask(c.Reserve(gate, sats * SAT, least * SAT))

    @rule(gate=st.sampled_from("ab"))
    def unreserve(self, gate: str) -> None:
        """A gate does so when it has posted everything."""
        if not self.unposted(gate):
            self.payer.ask(c.Unreserve(gate))

    @rule(prices=st.lists(st.integers(1, 10), min_size=1, max_size=4), gate=st.sampled_from("ab"))
    def call(self, prices: list[int], gate: str) -> None:
        """Calls are paid at a gate, from what is set aside for it and not spent there."""
        for sats in prices:
            found = [one.usat for one in self.payer.state.allowances if one.gate_id == gate]
            if sum(found) - sum(one.usat for one in self.unposted(gate)) >= sats * SAT:
                self.orders += 1
                self.logs[gate].append(logged(self.orders, sats))
                self.paid[f"ord_{self.orders}"] = sats * SAT

    @precondition(lambda self: any(self.logs.values()))
    @rule(gate=st.sampled_from("ab"), first=st.integers(0, 20), count=st.integers(1, 8), is_answered=st.booleans())
    def post(self, gate: str, first: int, count: int, is_answered: bool) -> None:
        """What is not posted, from the first on; or once more what is, by somebody who should be dead."""
        begin = min(first, self.posted[gate])
        orders = self.logs[gate][begin : begin + count]
        assert self.payer.post(*orders, gate=gate) is None
        if is_answered:
            self.posted[gate] = max(self.posted[gate], begin + len(orders))

    def unposted(self, gate: str) -> list[LoggedOrder]:
        return self.logs[gate][self.posted[gate] :]

    @rule(sats=st.integers(1, 20), times=st.integers(1, 3))
    def pay(self, sats: int, times: int) -> None:
        self.orders += 1
        order = f"call_{self.orders}"
        for _ in range(times):
            if self.payer.pay(order, sats) is None:
                self.paid[order] = self.settled[order] = sats * SAT

    @precondition(lambda self: self.settled)
    @rule(data=st.data())
    def use_again(self, data: st.DataObject) -> None:
        order = data.draw(st.sampled_from(sorted(self.settled)))
        assert self.payer.pay(order, 1, attempt="another") == "order_used"

    @rule(sats=st.integers(1, 20), credited=st.booleans(), promised_first=st.booleans())
    def promise(self, sats: int, credited: bool, promised_first: bool) -> None:
        self.orders += 1
        payment, order = f"pay_{self.orders}", f"call_pay_{self.orders}"
        promise = c.PromiseOrder(order, f"{order}_1", payment, AGENT, sats * SAT)
        is_promised = promised_first and self.payer.ask(promise).refusal is None
        if credited:
            self.payer.ask(c.Deposit(payment, PAYER, sats * SAT, f"tx{payment}", "sBTC", sats, wakes=False))
            self.deposited += sats * SAT
            if is_promised:
                self.paid[order] = self.settled[order] = sats * SAT
        else:
            self.payer.ask(c.Observe(payment, PAYER, "failed", sats * SAT, 0, 0, "dropped"))

    @rule(told=st.integers(0, 8), acknowledged=st.booleans())
    def deliver(self, told: int, acknowledged: bool) -> None:
        orders = self.payer.state.transit[:told]
        for order in orders:
            self.agent.ask(c.Earn(order.order_id, PAYER, order.usat))
        if acknowledged:
            self.payer.ask(c.OrdersDelivered(tuple(order.order_id for order in orders)))

    @rule(ms=st.integers(1, 10_000))
    def pass_time(self, ms: int) -> None:
        self.payer.wall_ms += ms
        self.payer.ask(c.Look())

    @invariant()
    def nothing_is_lost_or_made(self) -> None:
        payer, agent = self.payer.state.accounts, self.agent.state.accounts
        check(payer)
        check(agent)
        assert -payer.deposits == self.deposited
        unposted = sum(
            one.usat
            for gate, orders in self.logs.items()
            for one in orders
            if one.seq > sum(a.posted_seq for a in self.payer.state.allowances if a.gate_id == gate)
        )
        assert payer.in_transit + payer.spent + unposted == sum(self.paid.values())
        assert unposted <= payer.reserved
        assert payer.spent <= -agent.earnings <= payer.in_transit + payer.spent
        assert payer.reserved == sum(one.usat for one in self.payer.state.allowances)
        assert payer.in_transit == sum(one.usat for one in self.payer.state.transit)
        assert bool(self.payer.state.transit) == (c.DeliverOrders() in resume(self.payer.state))

    def teardown(self) -> None:
        for gate, orders in self.logs.items():
            assert self.payer.post(*orders, gate=gate) is None
        deliver(self.payer, self.agent)
        assert -self.agent.state.accounts.earnings == sum(self.paid.values()) == self.payer.state.accounts.spent


TestTwoWallets = TwoWallets.TestCase
TestTwoWallets.settings = settings(max_examples=100, stateful_step_count=30, deadline=None)
