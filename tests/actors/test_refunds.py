"""Refunds in the pure core: what is given back is never more than was charged, and what is sent away never more than is there."""

from dataclasses import replace

import hypothesis.strategies as st
import pytest
from hypothesis import given, settings
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from actors.books.chain import broken_links
from actors.wallet import commands as c
from actors.wallet.bucket import check
from actors.wallet.lots import Lot, fitted, terms_of, with_lot
from actors.wallet.state import Phase
from tests.actors.harness import ADDRESS, RATE, World

SAT = 1_000_000
STRANGER = "ST15C31B8C1C11C515E244B75806BAC48D1399C775"


def parts(world: World, *payment_ids: str, fee: int = 0) -> tuple[c.ReclaimPart, ...]:
    """What a gate would have an owner sign."""
    found = []
    for lot in reversed(world.state.lots):
        terms = terms_of(lot, fee)
        if terms is not None and (not payment_ids or lot.payment_id in payment_ids):
            found.append(c.ReclaimPart(lot.payment_id, lot.origin, lot.asset, terms.atomic, fee, terms.usat))
    return tuple(found)


def reclaim(
    world: World, name: str = "rcl_1", *, fee: int = 0, of: tuple[c.ReclaimPart, ...] | None = None
) -> str | None:
    made = world.ask(c.Reclaim(name, parts(world, fee=fee) if of is None else of))
    return made.refusal.code if made.refusal else None


def asleep(*sats: int) -> World:
    """A wallet with deposits and nothing running."""
    world = World()
    world.create()
    world.ask(c.Reap())
    for number, amount in enumerate(sats):
        world.deposit(amount, f"pay_{number}")
    world.ask(c.Reap())
    world.run_effects()
    assert world.state.phase in (Phase.REAPED, Phase.NONE)
    return world


# Given back


@pytest.mark.parametrize("reason", ["node_restart", "reboot", "unknown"])
def test_the_last_minute_before_a_nodes_fault_is_given_back_once(reason: str) -> None:
    world = World().alive(500)
    world.pass_ms(200_000)
    world.lose(reason)
    world.run_effects()
    back = [entry for entry in world.entries if entry.kind == "credit_back"]
    assert [dict(entry.amounts)["burnt"] for entry in back] == [-60 * RATE]
    assert world.state.accounts.bucket == (500 - 200 + 60) * RATE
    assert world.state.phase is Phase.ALIVE
    assert "credit_back" in world.events


def test_a_short_life_is_given_back_whole_and_no_more() -> None:
    world = World().alive(500)
    world.pass_ms(7_000)
    world.lose("reboot")
    world.run_effects()
    assert world.state.accounts.burnt == 0
    assert world.state.accounts.bucket == 500 * RATE


@pytest.mark.parametrize("reason", ["exited", "oom_killed"])
def test_what_a_sandbox_does_to_itself_is_not_given_back(reason: str) -> None:
    world = World().alive(500)
    world.pass_ms(10_000)
    world.lose(reason)
    world.run_effects()
    assert world.state.accounts.burnt == 10 * RATE
    assert "credit_back" not in world.events


def test_what_was_charged_past_the_end_of_a_runtime_is_given_back() -> None:
    """Ended by somebody else while heartbeats went on: the wallet learns of it when it asks for the stop itself."""
    world = World().alive(500)
    world.pass_ms(10_000)
    (runtime_id,) = world.node.running
    del world.node.running[runtime_id]
    world.node.ended[runtime_id] = world.now_ms
    world.pass_ms(75_500)
    world.ask(c.Reap())
    assert world.state.accounts.burnt == 85_500 * RATE // 1000
    world.run_effects()
    assert world.state.accounts.burnt == 10 * RATE
    assert world.state.accounts.bucket == 490 * RATE
    assert [entry.reference for entry in world.entries if entry.kind == "credit_back"] == [runtime_id]


def test_breaking_the_protocol_from_inside_never_pays() -> None:
    world = World().alive(500)
    for _ in range(3):
        world.pass_ms(61_000)
        world.lose("protocol_broken")
        world.run_effects()
    assert world.state.accounts.burnt >= 3 * 61 * RATE * 9 // 10


def test_grace_that_a_node_cut_short_is_owed_less() -> None:
    world = World().alive(60)
    world.pass_ms(80_000)
    world.tick()
    assert world.state.phase is Phase.GRACE
    world.lose("reboot")
    world.run_effects()
    accounts = world.state.accounts
    assert accounts.owed == 0
    assert (accounts.burnt, accounts.bucket) == (20 * RATE, 40 * RATE)


def test_an_owner_who_reaps_a_lost_sandbox_still_gets_it_back() -> None:
    world = World().alive(500)
    world.pass_ms(5_000)
    world.lose("node_restart")
    world.ask(c.Reap())
    world.run_effects()
    assert world.state.phase is Phase.REAPED
    assert world.state.accounts.burnt == 0


def test_a_start_that_failed_costs_nothing() -> None:
    world = World()
    world.create()
    world.ask(c.Deposit("pay_1", ADDRESS, 100 * SAT, "tx", "sBTC", 100))
    runtime = world.state.runtime
    assert runtime is not None
    world.state = replace(
        world.state,
        runtime=replace(runtime, charged_usat=7 * SAT),
        accounts=replace(world.state.accounts, bucket=93 * SAT, burnt=7 * SAT),
    )
    world.ask(c.StartFailed(runtime.runtime_id, "boom", "it broke", retryable=False))
    assert world.state.accounts.bucket == 100 * SAT
    assert world.state.accounts.burnt == 0


# Reclaimed


def test_each_deposit_goes_back_to_its_own_origin_newest_first() -> None:
    world = asleep(100, 50)
    world.deposit(30, "pay_gift", STRANGER)
    world.ask(c.Reap())
    world.run_effects()
    before = world.state.accounts
    assert reclaim(world, fee=4) is None
    assert [p.payment_id for p in world.state.payouts] == ["pay_gift", "pay_1", "pay_0"]
    assert [p.origin for p in world.state.payouts] == [STRANGER, ADDRESS, ADDRESS]
    assert [p.atomic for p in world.state.payouts][:2] == [26, 46]
    held = sum(p.usat for p in world.state.payouts)
    assert (world.state.accounts.held, world.state.accounts.bucket) == (held, before.bucket - held)
    world.run_effects()
    assert world.sent == ["rcl_1_0", "rcl_1_1", "rcl_1_2"]
    for payout in world.state.payouts:
        for _ in range(2):
            world.ask(c.PayoutEnded(payout.payout_id, is_paid=True, txid="ab"))
    after = world.state.accounts
    assert (after.held, after.payout_fees, after.paid_out) == (0, 12 * SAT, held - 12 * SAT)
    assert list(broken_links(ADDRESS, iter(world.entries))) == []


def test_a_payout_that_failed_for_certain_comes_back_and_can_be_reclaimed_again() -> None:
    world = asleep(100)
    assert reclaim(world) is None
    assert world.state.accounts.bucket == 0
    for _ in range(2):
        world.ask(c.PayoutEnded("rcl_1_0", is_paid=False, reason="chain_abort"))
    assert world.state.accounts.bucket == 100 * SAT
    world.ask(c.Reap())
    world.run_effects()
    assert reclaim(world, "rcl_2") is None
    assert world.state.accounts.held == sum(p.usat for p in world.state.payouts) > 0


def test_the_same_reclaim_twice_moves_money_once() -> None:
    world = asleep(100)
    wanted = parts(world)
    assert reclaim(world, of=wanted) is None
    made = world.ask(c.Reclaim("rcl_1", wanted))
    assert made.is_duplicate
    assert made.refusal is None
    assert reclaim(world, "rcl_2", of=wanted) == "reclaim_deposit"
    assert len(world.state.payouts) == 1
    world.ask(c.PayoutEnded("rcl_1_0", is_paid=True))
    assert world.ask(c.Reclaim("rcl_1", wanted)).is_duplicate
    assert world.state.payouts == ()


def test_hostile_reclaims_are_refused() -> None:
    world = asleep(100)
    (part,) = parts(world)
    assert reclaim(world, of=(replace(part, payment_id="pay_other"),)) == "reclaim_deposit"
    assert reclaim(world, of=(replace(part, origin=STRANGER),)) == "reclaim_deposit"
    assert reclaim(world, of=(replace(part, asset="STX"),)) == "reclaim_deposit"
    assert reclaim(world, of=(part, part)) == "reclaim_deposit"
    assert reclaim(world, of=(replace(part, usat=part.usat + SAT),)) == "reclaim_changed"
    assert reclaim(world, of=(replace(part, atomic=part.atomic + 1),)) == "reclaim_changed"
    assert reclaim(world, of=(replace(part, fee_atomic=part.fee_atomic + 1),)) == "reclaim_changed"
    assert world.state.payouts == ()
    assert world.state.accounts.held == 0


def test_nothing_is_reclaimed_while_it_burns_or_is_owed() -> None:
    world = World().alive(100)
    assert reclaim(world) == "reclaim_running"
    world.ask(c.Reap())
    assert reclaim(world) == "reclaim_running"
    world.run_effects()
    assert reclaim(world) is None
    world = World().alive(60)
    world.pass_ms(200_000)
    world.tick()
    assert world.state.phase is Phase.REAPED
    assert reclaim(world, of=(c.ReclaimPart("pay_first", ADDRESS, "sBTC", 1, 0, SAT),)) == "reclaim_owing"


def test_a_crash_at_any_step_leaves_the_payout_to_be_told() -> None:
    world = asleep(100)
    reclaim(world)
    world.crash()
    assert world.effects == [c.SendPayout("rcl_1_0")]
    world.run_effects()
    world.crash()
    assert world.effects == []
    assert world.state.accounts.held == world.state.payouts[0].usat


def test_old_money_is_spent_first() -> None:
    world = World().alive(100)
    world.deposit(50, "pay_second")
    world.pass_ms(120_000)
    world.ask(c.Reap())
    world.run_effects()
    assert [(lot.payment_id, lot.left_usat) for lot in world.state.lots] == [("pay_second", 30 * SAT)]


def test_gifts_of_a_sat_push_no_deposit_out() -> None:
    world = asleep(100)
    for number in range(world.policy.lots_max + 5):
        world.deposit(1, f"pay_gift_{number}", STRANGER)
    assert "pay_0" in {lot.payment_id for lot in world.state.lots}
    assert len(world.state.lots) == world.policy.lots_max


# Rules


LOTS = st.lists(st.integers(1, 10**9), max_size=8)


@given(LOTS, st.integers(0, 5 * 10**9))
def test_lots_never_exceed_the_bucket_and_lose_the_oldest_first(lefts: list[int], bucket: int) -> None:
    lots = tuple(Lot(f"pay_{n}", ADDRESS, "sBTC", 1, left, left) for n, left in enumerate(lefts))
    after = fitted(lots, bucket)
    assert sum(lot.left_usat for lot in after) == min(sum(lefts), bucket)
    whole = [lot for lot in after if lot in lots]
    assert whole == list(lots[len(lots) - len(whole) :])
    assert len(after) - len(whole) <= 1


@given(st.integers(1, 10**15), st.integers(1, 10**15), st.integers(0, 10**15), st.integers(0, 10**6))
def test_what_arrives_is_never_worth_more_than_what_leaves(atomic: int, usat: int, spent: int, fee: int) -> None:
    lot = Lot("pay", ADDRESS, "STX", atomic, usat, max(1, usat - spent))
    terms = terms_of(lot, fee)
    if terms is None:
        return
    assert 0 < terms.usat <= lot.left_usat
    assert 0 < terms.atomic <= atomic
    assert (terms.atomic + fee) * usat <= terms.usat * atomic
    assert 0 <= terms.fee_usat < terms.usat


def test_a_deposit_of_unknown_units_can_not_be_sent_back() -> None:
    assert with_lot((), Lot("pay", ADDRESS, "sBTC", 0, 5, 5), 3) == ()


class RefundMachine(RuleBasedStateMachine):
    """Deposits, life, losses, reorganisations and reclaims in any order, against a count of units on chain."""

    def __init__(self) -> None:
        super().__init__()
        self.world = World()
        self.world.create()
        self.money_in: dict[str, int] = {}
        self.out: dict[str, int] = {}
        self.fees = 0
        self.names = 0

    @rule(sats=st.integers(1, 500), payer=st.sampled_from([ADDRESS, STRANGER]))
    def pay(self, sats: int, payer: str) -> None:
        self.names += 1
        self.money_in[f"pay_{self.names}"] = sats
        self.world.deposit(sats, f"pay_{self.names}", payer)

    @rule(ms=st.integers(1, 200_000))
    def live(self, ms: int) -> None:
        self.world.pass_ms(ms)
        self.world.tick()

    @rule(reason=st.sampled_from(["exited", "reboot", "protocol_broken", "node_restart"]))
    def lose(self, reason: str) -> None:
        self.world.lose(reason)
        self.world.run_effects()

    @rule()
    def reap(self) -> None:
        self.world.ask(c.Reap())
        self.world.run_effects()

    @rule()
    def wake(self) -> None:
        self.world.ask(c.Wake())
        self.world.run_effects()

    @rule(fee=st.integers(0, 5), data=st.data())
    def take_back(self, fee: int, data: st.DataObject) -> None:
        self.names += 1
        offered = parts(self.world, fee=fee)
        if offered:
            chosen = data.draw(st.lists(st.sampled_from(offered), min_size=1, max_size=3, unique=True))
            reclaim(self.world, f"rcl_{self.names}", of=tuple(chosen))

    @rule()
    def crash(self) -> None:
        self.world.crash()
        self.world.run_effects()

    @precondition(lambda self: self.world.state.payouts)
    @rule(data=st.data(), is_paid=st.booleans())
    def payout_ends(self, data: st.DataObject, is_paid: bool) -> None:
        payout = data.draw(st.sampled_from(self.world.state.payouts))
        if is_paid:
            self.out[payout.payment_id] = self.out.get(payout.payment_id, 0) + payout.atomic
            self.fees += payout.fee_usat
        for _ in range(2):
            self.world.ask(c.PayoutEnded(payout.payout_id, is_paid=is_paid))

    @invariant()
    def books_balance(self) -> None:
        accounts = self.world.state.accounts
        check(accounts)
        assert -accounts.deposits == sum(self.money_in.values()) * SAT
        assert accounts.paid_out == sum(self.out.values()) * SAT
        assert accounts.payout_fees == self.fees
        assert accounts.held == sum(payout.usat for payout in self.world.state.payouts)

    @invariant()
    def nothing_goes_back_twice(self) -> None:
        assert all(sats <= self.money_in[payment_id] for payment_id, sats in self.out.items())
        assert sum(lot.left_usat for lot in self.world.state.lots) <= self.world.state.accounts.bucket

    @invariant()
    def no_more_is_given_back_than_was_charged(self) -> None:
        charged: dict[str, int] = {}
        for entry in self.world.entries:
            if entry.kind in ("charge", "credit_back"):
                runtime_id = entry.reference or ""
                charged[runtime_id] = charged.get(runtime_id, 0) + dict(entry.amounts)["burnt"]
                assert charged[runtime_id] >= 0
        backs = [entry.reference for entry in self.world.entries if entry.kind == "credit_back"]
        assert len(backs) == len(set(backs))


TestRefundMachine = RefundMachine.TestCase
TestRefundMachine.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
