"""Spending keys in the pure core: whatever gates ask, at whatever time, no cap is passed and no usat is lost."""

from dataclasses import replace

import hypothesis.strategies as st
import pytest
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from actors.wallet import commands as c
from actors.wallet import spending_keys as keys
from actors.wallet.bucket import check
from actors.wallet.calls import LoggedOrder, operator_for
from actors.wallet.spending_keys import DAY_MS, HOUR_MS, KEYS_MAX, SELF, Caps, SpendingKey
from tests.actors.test_calls import AGENT, PAYER, SAT, Purse

OPERATOR = operator_for("verification")
GATE = "gate_1/key_a"


def payer(caps: Caps, sats: int = 1_000) -> Purse:
    made = Purse(PAYER, sats)
    assert made.ask(c.PutKey(SpendingKey("key_a", caps=caps))).refusal is None
    return made


def reserve(purse: Purse, usat: int, least: int, gate: str = GATE) -> c.Refusal | None:
    return purse.ask(c.Reserve(gate, usat, least)).refusal


def test_what_the_operator_is_paid_has_arrived_at_once() -> None:
    purse = Purse(PAYER, 100)
    assert reserve(purse, 50 * SAT, 5 * SAT, "gate_1") is None
    orders = [LoggedOrder(1, "chg_1", OPERATOR, 5 * SAT), LoggedOrder(2, "chg_2", OPERATOR, 2 * SAT)]
    assert purse.post(*orders, gate="gate_1") is None
    accounts = purse.state.accounts
    assert (accounts.burnt, accounts.reserved, accounts.in_transit, accounts.spent) == (7 * SAT, 43 * SAT, 0, 0)
    assert purse.state.transit == ()
    assert [one.order_id for one in purse.bundles] == ["chg_1", "chg_2"]
    assert purse.post(*orders, gate="gate_1") is None, "told again, nothing is posted again"
    assert purse.state.accounts == accounts


def test_no_more_is_set_aside_than_the_caps_leave() -> None:
    purse = payer(Caps(day_usat=10 * SAT))
    assert reserve(purse, 500 * SAT, 8 * SAT) is None
    assert purse.state.accounts.reserved == 8 * SAT, "ahead of need, an eighth of what is left at most"
    refused = reserve(purse, 500 * SAT, 3 * SAT, "gate_2/key_a")
    assert refused is not None
    assert refused.code == "spending_cap"
    assert (refused.details["cap"], refused.details["cap_usat"]) == ("sats_per_day", 10 * SAT)
    assert refused.details["resets_at"] == (purse.wall_ms // DAY_MS + 1) * DAY_MS // 1000
    assert purse.state.accounts.reserved == 8 * SAT, "nothing is held"
    assert reserve(purse, 500 * SAT, 0) is None
    assert purse.state.accounts.reserved == 8 * SAT, "asked again, no more is set aside ahead"
    assert reserve(purse, 500 * SAT, 3 * SAT, "gate_1") is None, "the owner's own calls have no cap"


def test_an_hour_is_over_and_what_is_set_aside_still_counts() -> None:
    purse = payer(Caps(hour_usat=10 * SAT))
    assert reserve(purse, 6 * SAT, 6 * SAT) is None
    assert purse.post(LoggedOrder(1, "chg_1", AGENT, 5 * SAT), gate=GATE) is None
    assert reserve(purse, 9 * SAT, 6 * SAT) is not None
    purse.wall_ms += HOUR_MS
    assert reserve(purse, 10 * SAT, 10 * SAT) is None
    assert reserve(purse, 11 * SAT, 11 * SAT) is not None


def test_a_clock_that_is_set_back_begins_no_new_hour() -> None:
    purse = payer(Caps(hour_usat=10 * SAT))
    assert reserve(purse, 10 * SAT, 10 * SAT) is None
    assert purse.post(LoggedOrder(1, "chg_1", AGENT, 10 * SAT), gate=GATE) is None
    purse.wall_ms -= 3 * HOUR_MS
    assert reserve(purse, SAT, SAT) is not None


def test_a_revoked_key_pays_what_it_has_bought_and_nothing_more() -> None:
    purse = payer(Caps())
    assert reserve(purse, 10 * SAT, 5 * SAT) is None
    assert purse.ask(c.RevokeKey("key_a")).refusal is None
    assert purse.post(LoggedOrder(1, "chg_1", AGENT, 5 * SAT), gate=GATE) is None
    refused = reserve(purse, 20 * SAT, 20 * SAT)
    assert refused is not None
    assert refused.code == "spending_key_invalid"
    assert purse.ask(c.Unreserve(GATE, 7)).refusal is None
    assert (purse.state.accounts.reserved, purse.state.allowances) == (0, ())
    assert purse.post(LoggedOrder(1, "chg_1", AGENT, 5 * SAT), gate=GATE) == "order_invalid"
    assert purse.state.accounts.in_transit == 5 * SAT


@pytest.mark.parametrize("is_revoked", [True, False])
def test_keys_that_are_gone_leave_nothing_in_their_wallet(is_revoked: bool) -> None:
    purse = payer(Caps())
    for number in range(50):
        key_id = f"key_{number}"
        purse.ask(c.PutKey(SpendingKey(key_id, expires_wall_ms=purse.wall_ms + 10)))
        assert reserve(purse, SAT, SAT, f"gate_1/{key_id}") is None
        assert purse.ask(c.Unreserve(f"gate_1/{key_id}", 7)).refusal is None
        if is_revoked:
            purse.ask(c.RevokeKey(key_id))
        purse.wall_ms += 10
    assert len(purse.state.allowances) <= 1
    assert reserve(purse, SAT, SAT, "gate_1/key_0") is not None


@pytest.mark.parametrize("expires", [1, 1_700_000_000_000])
def test_an_expired_key_pays_nothing(expires: int) -> None:
    purse = Purse(PAYER, 100)
    purse.ask(c.PutKey(SpendingKey("key_a", expires_wall_ms=expires)))
    refused = reserve(purse, SAT, SAT)
    assert refused is not None
    assert refused.code == "spending_key_invalid"


def test_there_are_so_many_keys_and_expired_ones_make_room() -> None:
    purse = Purse(PAYER, 100)
    for number in range(KEYS_MAX):
        assert purse.ask(c.PutKey(SpendingKey(f"key_{number}", expires_wall_ms=purse.wall_ms + 10))).refusal is None
    refused = purse.ask(c.PutKey(SpendingKey("key_z"))).refusal
    assert refused is not None
    assert refused.code == "spending_keys_full"
    purse.wall_ms += 10
    assert purse.ask(c.PutKey(SpendingKey("key_z"))).refusal is None
    assert [one.key_id for one in purse.state.keys] == ["key_z"]


def test_one_address_signs_for_one_key() -> None:
    purse = Purse(PAYER, 100)
    purse.ask(c.PutKey(SpendingKey("key_a", signer=AGENT)))
    purse.ask(c.PutKey(SpendingKey("key_b", signer=AGENT)))
    found = keys.by_signer(purse.state.keys, AGENT)
    assert found is not None
    assert (found.key_id, len(purse.state.keys)) == ("key_b", 1)


def test_the_sandbox_itself_has_a_key_with_a_cap_and_keeps_its_count() -> None:
    purse = Purse(PAYER, 1_000)
    assert reserve(purse, 200 * SAT, 200 * SAT, "gate_1/self") is None
    assert purse.post(LoggedOrder(1, "chg_1", AGENT, 150 * SAT), gate="gate_1/self") is None
    refused = reserve(purse, 60 * SAT, 60 * SAT, "gate_1/self")
    assert refused is not None
    assert refused.code == "spending_cap"
    purse.state = replace(purse.state, is_planned=True)
    assert purse.ask(c.PutKey(SpendingKey(SELF, caps=Caps(day_usat=160 * SAT)))).refusal is None
    assert keys.left(purse.state.keys[0], 0, purse.wall_ms).usat == 10 * SAT
    revoked = purse.ask(c.RevokeKey(SELF)).refusal
    assert revoked is not None, "or its caps and its count would start over"
    assert keys.left(purse.state.keys[0], 0, purse.wall_ms).usat == 10 * SAT


class Spending(RuleBasedStateMachine):
    """Gates set aside, pay and give back for one key, over hours and days."""

    def __init__(self) -> None:
        super().__init__()
        self.caps = Caps(hour_usat=7 * SAT, day_usat=20 * SAT, total_usat=45 * SAT)
        self.purse = payer(self.caps)
        self.paid: list[tuple[int, int]] = []
        self.seq = 0

    def aside(self, gate: str) -> int:
        return sum(one.usat for one in self.purse.state.allowances if one.gate_id == gate)

    @rule(gate=st.sampled_from(["gate_1/key_a", "gate_2/key_a"]), least=st.integers(1, 9), ahead=st.integers(0, 50))
    def set_aside(self, gate: str, least: int, ahead: int) -> None:
        least_usat = self.aside(gate) + least * SAT // 2
        reserve(self.purse, least_usat + ahead * SAT, least_usat, gate)

    @rule(gate=st.sampled_from(["gate_1/key_a", "gate_2/key_a"]), part=st.integers(1, 4))
    def pay(self, gate: str, part: int) -> None:
        usat = self.aside(gate) // part
        if usat:
            self.seq += 1
            assert self.purse.post(LoggedOrder(self.seq, f"chg_{self.seq}", OPERATOR, usat), gate=gate) is None
            self.paid.append((self.purse.wall_ms, usat))

    @rule(gate=st.sampled_from(["gate_1/key_a", "gate_2/key_a"]))
    def give_back(self, gate: str) -> None:
        self.purse.ask(c.Unreserve(gate))

    @rule(minutes=st.integers(1, 700))
    def time_passes(self, minutes: int) -> None:
        self.purse.wall_ms += minutes * 60_000

    @invariant()
    def no_cap_is_passed(self) -> None:
        aside = self.purse.state.accounts.reserved
        now_ms = self.purse.wall_ms
        for period_ms, most in ((HOUR_MS, 7), (DAY_MS, 20), (1 << 60, 45)):
            by_period: dict[int, int] = {}
            for at_ms, usat in self.paid:
                by_period[at_ms // period_ms] = by_period.get(at_ms // period_ms, 0) + usat
            assert max(by_period.values(), default=0) <= most * SAT
            assert by_period.get(now_ms // period_ms, 0) + aside <= most * SAT
        check(self.purse.state.accounts)
        assert self.purse.state.accounts.burnt == sum(usat for _, usat in self.paid)


TestSpending = Spending.TestCase
TestSpending.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
