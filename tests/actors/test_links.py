"""Wake links: what they open, how often, and when they open nothing any more."""

import hypothesis.strategies as st
import pytest
from hypothesis import given, settings
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from actors.wallet import commands as c
from actors.wallet import links
from actors.wallet.links import DAY_MS, WakeLink
from actors.wallet.meters import Budget
from actors.wallet.state import Phase
from tests.actors.harness import World

STRANGER = "ST2CY5V39NHDPWSXMW9QDT3HC3GD6Q6XX4CFRK9AG"
WEEK_MS = 7 * DAY_MS


def link(
    world: World, name: str = "one", scopes: tuple[str, ...] = ("wake", "topup"), wakes: int = 3, sats: int | None = None,
    lasts_ms: int = WEEK_MS,
) -> WakeLink:  # fmt: skip
    now_ms = world.instant().wall_ms
    usat = None if sats is None else sats * 1_000_000
    return WakeLink(f"wl_{name}", name, "a friend", scopes, wakes, usat, now_ms, now_ms + lasts_ms)


def given_out(world: World, **terms: object) -> WakeLink:
    made = link(world, **terms)  # type: ignore[arg-type]
    assert world.ask(c.AddLink(made)).refusal is None
    return made


def reap(world: World, *, destroy: bool = False) -> None:
    world.ask(c.Reap(destroy))
    world.run_effects()
    assert world.state.phase is Phase.REAPED


def wake(world: World, name: str = "one") -> str | None:
    """Wake by link; the refusal's code."""
    refusal = world.ask(c.WakeByLink(name)).refusal
    world.run_effects()
    return None if refusal is None else refusal.code


def top_up(world: World, payment_id: str, sats: int, name: str = "one") -> str | None:
    refusal = world.ask(c.TopUpByLink(name, payment_id, sats * 1_000_000)).refusal
    return None if refusal is None else refusal.code


@pytest.fixture
def world() -> World:
    return World(rate=1_000).alive(1_000)


def test_a_link_wakes_what_its_owner_reaped(world: World) -> None:
    given_out(world)
    reap(world)

    assert wake(world) is None
    assert world.state.phase is Phase.ALIVE
    assert world.state.links[0].wakes == 1
    assert "wake_link_used" in world.events


def test_a_wake_of_what_is_up_counts_nothing(world: World) -> None:
    given_out(world, wakes=1)
    for _ in range(5):
        assert wake(world) is None
    reap(world)
    world.ask(c.WakeByLink("one"))
    assert world.state.phase is Phase.STARTING
    for _ in range(5):
        assert world.ask(c.WakeByLink("one")).refusal is None

    starts = [effect for effect in world.effects if isinstance(effect, c.StartSandbox)]
    assert len(starts) == 1
    assert world.state.links[0].wakes == 1


def test_a_cap_is_for_a_day_and_says_until_when(world: World) -> None:
    given_out(world, wakes=2)
    for _ in range(2):
        reap(world)
        assert wake(world) is None
    reap(world)
    refusal = world.ask(c.WakeByLink("one")).refusal
    assert refusal is not None
    assert refusal.code == "wake_link_cap_reached"
    assert refusal.retry_after is not None
    world.pass_ms(refusal.retry_after * 1000 - 1_500)
    assert wake(world) == "wake_link_cap_reached"
    world.pass_ms(2_000)

    assert wake(world) is None


@pytest.mark.parametrize("why", ["unknown", "revoked", "expired", "destroyed"])
def test_what_opens_nothing_has_one_code(world: World, why: str) -> None:
    made = given_out(world, lasts_ms=3_600_000)
    reap(world, destroy=why == "destroyed")
    if why == "revoked":
        world.ask(c.RevokeLink(made.link_id))
    if why == "expired":
        world.pass_ms(3_600_000)

    assert wake(world, "two" if why == "unknown" else "one") == "wake_link_invalid"
    assert top_up(world, "pay_1", 5, "two" if why == "unknown" else "one") == "wake_link_invalid"
    assert world.state.phase is Phase.REAPED


def test_a_destroyed_wallet_gives_no_links_out_until_it_lives_again(world: World) -> None:
    reap(world, destroy=True)
    refusal = world.ask(c.AddLink(link(world))).refusal
    assert refusal is not None
    assert refusal.code == "wallet_not_found"
    world.ask(c.Wake())
    world.run_effects()

    given_out(world)


def test_a_stop_that_destroys_is_not_undone_by_a_link(world: World) -> None:
    given_out(world)
    world.ask(c.Reap(destroy=True))
    assert world.state.phase is Phase.STOPPING

    assert wake(world) == "wake_link_invalid"


def test_scopes_are_held() -> None:
    world = World(rate=1_000).alive(1_000)
    given_out(world, scopes=("topup",))
    given_out(world, name="two", scopes=("wake",))
    reap(world)

    assert wake(world, "one") == "wake_link_scope_missing"
    assert top_up(world, "pay_1", 1, "two") == "wake_link_scope_missing"


def test_without_credit_the_answer_says_what_is_missing_and_counts_nothing() -> None:
    world = World().alive(100)
    given_out(world)
    world.pass_ms(95_000)
    reap(world)
    refusal = world.ask(c.WakeByLink("one")).refusal

    assert refusal is not None
    assert (refusal.code, refusal.details["missing_sats"]) == ("credit_insufficient", 55)
    assert world.state.links[0].wakes == 0


def test_a_link_is_no_way_around_the_budget_of_the_hour(world: World) -> None:
    given_out(world)
    world.ask(c.SetBudget(Budget((("clock", 1_000_000),))))
    for _ in range(4):
        world.pass_ms(900_000)
        world.tick()
        world.run_effects()
        if world.state.phase is Phase.REAPED:
            break
    assert (world.state.phase, world.state.reason) == (Phase.REAPED, "budget_reached")
    refusal = world.ask(c.WakeByLink("one")).refusal
    assert refusal is not None
    assert refusal.code == "budget_reached"
    assert refusal.retry_after is not None
    world.pass_ms(refusal.retry_after * 1000)

    assert wake(world) is None


def test_a_stop_under_way_is_waited_for(world: World) -> None:
    given_out(world)
    world.ask(c.Reap())

    assert wake(world) == "sandbox_starting"
    assert wake(world) is None


def test_a_gift_through_a_link_wakes_what_its_owner_put_to_sleep_and_another_does_not(world: World) -> None:
    given_out(world)
    reap(world)
    world.see("pay_gift", "mempool", 500, payer=STRANGER)
    world.deposit(500, "pay_gift", payer=STRANGER)
    assert world.state.phase is Phase.REAPED
    assert top_up(world, "pay_link", 500) is None
    world.see("pay_link", "mempool", 500, payer=STRANGER)

    assert world.state.phase is Phase.ALIVE


@pytest.mark.parametrize("after", ["reap", "revoke"])
def test_an_owner_who_goes_back_on_it_is_heeded(world: World, after: str) -> None:
    made = given_out(world)
    reap(world)
    assert top_up(world, "pay_link", 500) is None
    world.ask(c.Reap() if after == "reap" else c.RevokeLink(made.link_id))
    world.see("pay_link", "mempool", 500, payer=STRANGER)
    world.deposit(500, "pay_link", payer=STRANGER)

    assert world.state.phase is Phase.REAPED
    assert world.state.links[0].topped_usat == 500_000_000


def test_top_ups_count_from_when_they_are_sent_and_failed_ones_do_not(world: World) -> None:
    given_out(world, sats=100)
    assert top_up(world, "pay_1", 60) is None
    assert top_up(world, "pay_1", 60) is None
    assert top_up(world, "pay_2", 60) == "wake_link_cap_reached"
    world.ask(c.TopUpOff("pay_1"))
    assert top_up(world, "pay_2", 60) is None
    world.see("pay_2", "mempool", 60, payer=STRANGER)
    world.ask(c.Observe("pay_2", STRANGER, "failed", 60_000_000, 0, 0, "gone"))
    assert top_up(world, "pay_3", 100) is None
    world.deposit(100, "pay_3", payer=STRANGER)
    assert top_up(world, "pay_4", 1) == "wake_link_cap_reached"
    world.pass_ms(DAY_MS)

    assert top_up(world, "pay_4", 1) is None


def test_what_nobody_heard_of_for_a_day_counts_no_more(world: World) -> None:
    given_out(world, sats=100)
    assert top_up(world, "pay_lost", 100) is None
    world.pass_ms(DAY_MS)
    assert top_up(world, "pay_2", 1) == "wake_link_cap_reached"
    world.pass_ms(DAY_MS)

    assert top_up(world, "pay_2", 100) is None


def test_so_many_are_followed_at_once(world: World) -> None:
    given_out(world)
    for number in range(links.UNDER_WAY_MAX):
        assert top_up(world, f"pay_{number}", 1) is None

    assert top_up(world, "pay_more", 1) == "overloaded"


def test_there_are_only_so_many_links_and_dead_ones_make_room(world: World) -> None:
    for number in range(links.LINKS_MAX):
        given_out(world, name=f"n{number}")
    refusal = world.ask(c.AddLink(link(world, "more"))).refusal
    assert refusal is not None
    assert refusal.code == "wake_links_full"
    world.ask(c.RevokeLink("wl_n7"))
    given_out(world, name="more")

    assert len(world.state.links) == links.LINKS_MAX
    assert "wl_n7" not in {each.link_id for each in world.state.links}


def test_a_link_is_revoked_once_and_only_if_it_is_there(world: World) -> None:
    made = given_out(world)
    assert world.ask(c.RevokeLink(made.link_id)).is_changed
    assert not world.ask(c.RevokeLink(made.link_id)).is_changed
    refusal = world.ask(c.RevokeLink("wl_other")).refusal

    assert refusal is not None
    assert refusal.code == "wake_link_not_found"


def test_a_restart_keeps_them(world: World) -> None:
    given_out(world)
    world.lose()
    world.run_effects()

    assert len(world.state.links) == 1


@given(st.integers(0, 10**15))
def test_midnight_is_at_most_a_day_off_and_then_counts_begin_anew(wall_ms: int) -> None:
    seconds = links.seconds_to_midnight(wall_ms)

    assert 0 < seconds <= 86_400
    assert links.day_of(wall_ms + seconds * 1000) == links.day_of(wall_ms) + 1
    assert links.day_of(wall_ms + seconds * 1000 - 1000) == links.day_of(wall_ms)


class LinkMachine(RuleBasedStateMachine):
    """One link among reaps, payments and days, against a model that counts by itself."""

    def __init__(self) -> None:
        super().__init__()
        self.world = World(rate=1_000).alive(100_000)
        self.link = given_out(self.world, wakes=2, sats=50, lasts_ms=30 * DAY_MS)
        self.started: dict[int, int] = {}
        self.sent: dict[str, tuple[int, int]] = {}
        self.credited: dict[str, tuple[int, int, int]] = {}
        self.is_over = False
        self.number = 0

    def today(self) -> int:
        return links.day_of(self.world.instant().wall_ms)

    @rule(ms=st.integers(1, 40_000_000))
    def time_passes(self, ms: int) -> None:
        self.world.pass_ms(ms)
        self.world.tick()

    @rule(destroy=st.booleans())
    def reap(self, destroy: bool) -> None:
        self.world.ask(c.Reap(destroy))
        self.world.run_effects()
        self.is_over = self.is_over or destroy

    @rule()
    def owner_wakes(self) -> None:
        self.world.ask(c.Wake())
        self.world.run_effects()

    @rule(times=st.integers(1, 4))
    def wake(self, times: int) -> None:
        before = self.world.state.phase
        refusals = [self.world.ask(c.WakeByLink("one")).refusal for _ in range(times)]
        starts = sum(isinstance(effect, c.StartSandbox) for effect in self.world.effects)
        self.world.run_effects()
        assert starts <= (1 if before is Phase.REAPED else 0)
        self.started[self.today()] = self.started.get(self.today(), 0) + starts
        if self.is_over or self.link.expires_wall_ms <= self.world.instant().wall_ms:
            assert {refusal and refusal.code for refusal in refusals} == {"wake_link_invalid"}

    @rule(sats=st.integers(1, 40))
    def pay(self, sats: int) -> None:
        self.number += 1
        payment_id = f"pay_{self.number}"
        if top_up(self.world, payment_id, sats) is None:
            self.sent[payment_id] = (sats, self.today())

    @precondition(lambda self: self.sent)
    @rule(data=st.data(), is_paid=st.booleans(), again=st.booleans())
    def it_ends(self, data: st.DataObject, is_paid: bool, again: bool) -> None:
        payment_id = data.draw(st.sampled_from(sorted(self.sent)))
        sats, day = self.sent.pop(payment_id)
        if is_paid:
            self.world.deposit(sats, payment_id, payer=STRANGER)
            is_known = day >= self.today() - 1
            self.credited[payment_id] = (sats, day, self.today() if is_known else -1)
        for _ in range(1 + again):
            self.world.ask(c.TopUpOff(payment_id))

    @invariant()
    def no_day_has_more_than_its_cap(self) -> None:
        assert all(count <= 2 for count in self.started.values())
        today = self.today()
        sent = [sats for sats, day in self.sent.values() if day == today]
        arrived = [sats for sats, day, _ in self.credited.values() if day == today]
        assert sum(sent) + sum(arrived) <= 50

    @invariant()
    def the_link_counts_what_the_model_counts(self) -> None:
        if self.is_over or not self.world.state.links:
            return
        kept = links.on_day(self.world.state.links[0], self.world.instant().wall_ms)
        assert kept.wakes == self.started.get(self.today(), 0)
        assert kept.topped_usat == 1_000_000 * sum(s for s, _, day in self.credited.values() if day == self.today())
        due = {p for p, (_, day) in self.sent.items() if day >= self.today() - 1}
        assert {each.payment_id for each in kept.under_way} == due

    @invariant()
    def a_destroyed_lifetime_has_no_links(self) -> None:
        if self.is_over and self.world.state.phase is Phase.REAPED:
            assert self.world.state.links == ()


TestLinks = LinkMachine.TestCase
TestLinks.settings = settings(max_examples=80, stateful_step_count=40, deadline=None)
