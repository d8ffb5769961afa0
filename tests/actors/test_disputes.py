"""Disputes in the pure core: each step is in the chain, a verdict is given once, and nobody gets more than was taken."""

from hypothesis import given
from hypothesis import strategies as st

from actors.books.chain import broken_links
from actors.wallet import commands as c
from actors.wallet.decide_disputes import STEP
from actors.wallet.state import Phase
from tests.actors.harness import ADDRESS, World

SAT = 1_000_000


def dispute(world: World, name: str = "dsp_1", usat_max: int = 3 * SAT) -> str | None:
    made = world.ask(c.OpenDispute(name, {"seq": 1}, "caf\u00e9 \u2615 was closed", usat_max, 1, 2))
    return made.refusal.code if made.refusal else None


def test_together_verdicts_give_back_no_more_than_use_cost() -> None:
    """Five receipts about the same seconds, each for all of them."""
    world = used()
    for number in range(5):
        about: dict[str, str | int] = {"receipt_sha256": f"{number}", "kind": "exec"}
        world.ask(c.OpenDispute(f"dsp_{number}", about, "slow", world.state.accounts.burnt, 1, 2))
    burnt = world.state.accounts.burnt
    assert verdict(world, burnt, "dsp_0") is None
    assert [verdict(world, burnt, f"dsp_{number}") for number in range(1, 5)] == ["dispute_amount"] * 4
    assert -world.state.accounts.credits == world.state.put_right_usat == burnt
    assert verdict(world, 0, "dsp_1", upheld=False) is None


def verdict(world: World, usat: int, name: str = "dsp_1", *, upheld: bool = True) -> str | None:
    made = world.ask(c.DecideDispute(name, upheld, usat, "so it is"))
    return made.refusal.code if made.refusal else None


def used() -> World:
    world = World().alive(100)
    world.pass_ms(4_000)
    world.ask(c.Checkpoint())
    return world


def test_a_verdict_for_the_owner_credits_once() -> None:
    world = used()
    before = world.state.accounts
    assert dispute(world) is None
    assert world.ask(c.AnswerDispute("dsp_1", "we look")).refusal is None
    assert verdict(world, 2 * SAT) is None
    assert world.state.accounts.bucket == before.bucket + 2 * SAT
    assert world.state.accounts.credits == -2 * SAT
    for again in (verdict(world, 2 * SAT), verdict(world, 0, upheld=False)):
        assert again == "dispute_state"
    assert world.state.accounts.credits == -2 * SAT
    assert [e.kind for e in world.entries if e.kind in STEP.values()] == [
        "dispute_opened", "dispute_answered", "dispute_upheld",
    ]  # fmt: skip
    assert list(broken_links(ADDRESS, iter(world.entries))) == []


def test_steps_move_nothing_and_carry_their_words_in_ascii() -> None:
    world = used()
    before = world.state.accounts
    dispute(world)
    verdict(world, 0, upheld=False)
    assert world.state.accounts == before
    steps = [entry for entry in world.entries if entry.kind in STEP.values()]
    assert all(entry.amounts == () and (entry.reference or "").isascii() for entry in steps)
    assert "caf\\u00e9" in str(steps[0].reference)


def test_nobody_gets_more_than_was_taken_nor_opens_without_end() -> None:
    world = used()
    dispute(world)
    assert verdict(world, 3 * SAT + 1) == "dispute_amount"
    for number in range(2, 2 + world.policy.disputes_max - 1):
        assert dispute(world, f"dsp_{number}") is None
    assert dispute(world, "dsp_more") == "dispute_limit"
    assert verdict(world, 3 * SAT) is None
    assert dispute(world, "dsp_more") is None


def test_what_is_put_right_pays_arrears_first_and_ends_grace() -> None:
    world = used()
    dispute(world)
    world.pass_ms(98_000)
    world.tick()
    assert world.state.phase is Phase.GRACE
    assert verdict(world, 3 * SAT) is None
    assert world.state.phase is Phase.ALIVE
    assert (world.state.accounts.owed, world.state.accounts.bucket) == (0, SAT)


def test_a_wallet_that_was_never_here_disputes_nothing() -> None:
    assert dispute(World()) == "wallet_not_found"


@given(st.lists(st.tuples(st.sampled_from(["open", "answer", "uphold", "deny"]), st.integers(0, 3)), max_size=30))
def test_credits_are_the_sum_of_verdicts_each_given_once(steps: list[tuple[str, int]]) -> None:
    world, credited = used(), {}
    opened: set[str] = set()
    for what, number in steps:
        name = f"dsp_{number}"
        match what:
            case "open" if name not in opened:
                opened.add(name)
                dispute(world, name)
            case "answer":
                world.ask(c.AnswerDispute(name, "text"))
            case "uphold" if verdict(world, number * SAT, name) is None:
                assert name not in credited
                credited[name] = number * SAT
            case "deny" if verdict(world, 0, name, upheld=False) is None:
                assert name not in credited
                credited[name] = 0
            case _:
                pass
    assert -world.state.accounts.credits == sum(credited.values())
    assert credited.keys() <= opened
