"""A wallet against a model that keeps its own books: whatever the order, money is conserved and time is honest."""

import hypothesis.strategies as st
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from actors.books.chain import broken_links
from actors.wallet import commands as c
from actors.wallet.bucket import check
from actors.wallet.links import SCOPES, WakeLink
from actors.wallet.meters import Budget, Reading
from actors.wallet.state import Phase
from tests.actors.harness import ADDRESS, World

STRANGER = "ST2CY5V39NHDPWSXMW9QDT3HC3GD6Q6XX4CFRK9AG"


class WalletMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.world = World()
        self.confirmed: dict[str, int] = {}
        self.reversed: dict[str, int] = {}
        self.payments = 0

    @rule()
    def create(self) -> None:
        self.world.create()

    @rule(sats=st.integers(1, 2_000))
    def pay_confirmed(self, sats: int) -> None:
        self.payments += 1
        self._credit(f"pay_{self.payments}", sats)

    def _credit(self, payment_id: str, sats: int) -> None:
        before = self.world.state
        self.world.deposit(sats, payment_id)
        self.confirmed.setdefault(payment_id, sats)
        if before.phase is Phase.ALIVE:
            assert self.world.state.phase in (Phase.ALIVE, Phase.GRACE, Phase.STARTING, Phase.REAPED)

    @precondition(lambda self: self.confirmed)
    @rule(data=st.data())
    def replay(self, data: st.DataObject) -> None:
        payment_id = data.draw(st.sampled_from(sorted(self.confirmed)))
        self.world.deposit(self.confirmed[payment_id], payment_id)

    @precondition(lambda self: set(self.confirmed) - set(self.reversed))
    @rule(data=st.data())
    def reorg(self, data: st.DataObject) -> None:
        payment_id = data.draw(st.sampled_from(sorted(set(self.confirmed) - set(self.reversed))))
        self.reversed[payment_id] = self.confirmed[payment_id]
        self.world.ask(c.Reverse(payment_id, self.confirmed[payment_id] * 1_000_000))
        self.world.run_effects()

    @rule(
        sats=st.integers(1, 2_000),
        state=st.sampled_from(["queued", "broadcasting", "mempool"]),
        age_ms=st.integers(0, 20_000),
    )
    def pay_pending(self, sats: int, state: str, age_ms: int) -> None:
        self.payments += 1
        self.world.see(f"pay_{self.payments}", state, sats, age_ms=age_ms)

    @precondition(lambda self: self.world.state.pending)
    @rule(data=st.data(), state=st.sampled_from(["mempool", "confirmed", "failed", "replaced"]))
    def pending_moves(self, data: st.DataObject, state: str) -> None:
        pending = data.draw(st.sampled_from(self.world.state.pending))
        sats = pending.expected_usat // 1_000_000
        if state == "confirmed":
            self._credit(pending.payment_id, sats)
        else:
            self.world.see(pending.payment_id, state, sats)

    @rule(ms=st.integers(1, 400_000))
    def time_passes(self, ms: int) -> None:
        self.world.pass_ms(ms)

    @rule()
    def alarm(self) -> None:
        self.world.tick()

    @rule()
    def crash(self) -> None:
        self.world.crash()
        self.world.run_effects()

    @rule()
    def sandbox_dies(self) -> None:
        self.world.lose()
        self.world.run_effects()

    @rule(destroy=st.booleans())
    def reap(self, destroy: bool) -> None:
        self.world.ask(c.Reap(destroy))
        self.world.run_effects()

    @rule()
    def wake(self) -> None:
        self.world.ask(c.Wake())
        self.world.run_effects()

    @rule(revoke=st.booleans())
    def link(self, revoke: bool) -> None:
        now_ms, known = self.world.instant().wall_ms, {each.link_id for each in self.world.state.links}
        if revoke or "wl_1" in known:
            self.world.ask(c.RevokeLink("wl_1"))
        elif not known:
            made = WakeLink("wl_1", "hash", "", SCOPES, 2, 10**9, now_ms, now_ms + 10**9)
            self.world.ask(c.AddLink(made))

    @rule()
    def wake_by_link(self) -> None:
        self.world.ask(c.WakeByLink("hash"))
        self.world.run_effects()

    @rule(sats=st.integers(1, 800), credited=st.booleans())
    def pay_by_link(self, sats: int, credited: bool) -> None:
        self.payments += 1
        payment_id = f"pay_{self.payments}"
        if self.world.ask(c.TopUpByLink("hash", payment_id, sats * 1_000_000)).refusal is None:
            self.world.see(payment_id, "mempool", sats, payer=STRANGER)
            if credited:
                self._credit(payment_id, sats)

    @rule()
    def restore(self) -> None:
        self.world.ask(c.Restore("e" * 64))
        self.world.run_effects()

    @rule(pause=st.booleans(), run=st.booleans())
    def pause(self, pause: bool, run: bool) -> None:
        self.world.ask(c.Pause(pause))
        if run:
            self.world.run_effects()

    @rule(more=st.integers(0, 10**9), told=st.sampled_from(["now", "twice", "late", "not"]))
    def uses_egress(self, more: int, told: str) -> None:
        for runtime_id in list(self.world.node.running):
            before = self.world.node.egress.get(runtime_id, 0)
            self.world.node.egress[runtime_id] = before + more
            counts = {"now": [more], "twice": [more, more], "late": [more, 0], "not": []}[told]
            for count in counts:
                reading = Reading("egress", before + count, self.world.now_ms)
                self.world.ask(c.Readings(runtime_id, (reading,)))
                self.world.run_effects()

    @rule(caps=st.lists(st.tuples(st.sampled_from(["total", "clock", "egress"]), st.integers(0, 10**10)), max_size=2))
    def budget(self, caps: list[tuple[str, int]]) -> None:
        self.world.ask(c.SetBudget(Budget(tuple(sorted(dict(caps).items())))))
        self.world.run_effects()

    @rule(rate=st.integers(0, 3_000_000))
    def rate(self, rate: int) -> None:
        self.world.ask(c.SetRate(rate))

    @invariant()
    def books_balance(self) -> None:
        accounts = self.world.state.accounts
        check(accounts)
        paid_in = (sum(self.confirmed.values()) - sum(self.reversed.values())) * 1_000_000
        assert -accounts.deposits == paid_in
        assert paid_in == accounts.burnt + accounts.bucket - accounts.debt_usat + accounts.write_offs

    @invariant()
    def charges_are_spans(self) -> None:
        given_back = sum(
            e_usat for e in self.world.entries if e.kind == "credit_back" for _, e_usat in e.amounts if e_usat > 0
        )
        spans = sum(span.charge_usat for span in self.world.spans)
        assert self.world.state.accounts.burnt == spans + self._metered_usat() - given_back

    def _metered_usat(self) -> int:
        return sum(dict(e.amounts)["burnt"] for e in self.world.entries if e.kind == "meter")

    @invariant()
    def no_meter_bills_more_than_was_counted(self) -> None:
        assert self._metered_usat() * 1_000_000 <= 50_000 * sum(self.world.node.egress.values())

    @invariant()
    def spans_never_overlap_and_lie_within_proven_uptime(self) -> None:
        last: dict[str, int] = {}
        for span in self.world.spans:
            assert span.from_ms >= last.get(span.runtime_id, 0)
            assert span.from_ms < span.to_ms <= self.world.node.ended.get(span.runtime_id, self.world.now_ms)
            last[span.runtime_id] = span.to_ms

    @invariant()
    def a_frozen_sandbox_pays_the_paused_rate(self) -> None:
        state = self.world.state
        if state.runtime is not None and state.runtime.is_paused:
            assert state.burn_usat_per_second == -(-state.rate_usat_per_second * 25 // 100)
            assert self.world.node.paused[state.runtime.runtime_id][0] or state.wants_pause is False
        else:
            assert state.burn_usat_per_second == state.rate_usat_per_second

    @invariant()
    def the_chain_holds(self) -> None:
        assert list(broken_links(ADDRESS, iter(self.world.entries))) == []
        assert self.world.state.head == (self.world.entries[-1].hash if self.world.entries else "0" * 64)

    @invariant()
    def links_stay_within_their_caps(self) -> None:
        for link in self.world.state.links:
            under_way = sum(each.usat for each in link.under_way if each.day == link.day)
            assert link.wakes <= 2
            assert under_way <= 10**9

    @invariant()
    def nothing_runs_unowned(self) -> None:
        owned = self.world.state.runtime.runtime_id if self.world.state.runtime else None
        assert set(self.world.node.running) <= {owned}

    @invariant()
    def a_running_phase_has_a_runtime_and_a_resting_one_has_none(self) -> None:
        state = self.world.state
        running = state.phase in (Phase.STARTING, Phase.ALIVE, Phase.GRACE, Phase.STOPPING)
        assert running == (state.runtime is not None)
        assert (state.phase is Phase.GRACE) == (state.grace is not None)
        assert (state.phase is Phase.STOPPING) == (state.stop is not None)

    def teardown(self) -> None:
        """Liveness: left alone for an hour without payments, nothing runs unpaid."""
        self.world.ask(c.SetRate(1_000_000))
        for _ in range(5):
            self.world.pass_ms(3_600_000)
            self.world.tick()
        if self.world.state.phase is not Phase.ALIVE:
            assert not self.world.node.running


TestWallet = WalletMachine.TestCase
TestWallet.settings = settings(max_examples=120, stateful_step_count=40, deadline=None)
