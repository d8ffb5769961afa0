"""Priced answers: all of the price or nothing, once, never from time that is used already."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.wallet import commands as c
from tests.actors.harness import RATE, World


def spend(reference: str = "fee_1", sats: int = 3) -> c.Spend:
    return c.Spend(reference, sats * 1_000_000, 10**15)


def test_a_fee_leaves_the_bucket_with_an_entry_of_its_own() -> None:
    world = World().alive(100)
    world.pass_ms(10_000)

    made = world.ask(spend())

    assert made.refusal is None
    assert [(entry.kind, entry.reference) for entry in made.entries] == [
        ("charge", world.entries[-2].reference),
        ("fee", "fee_1"),
    ]
    assert world.state.accounts.bucket == 87 * RATE
    assert world.state.accounts.burnt == 13 * RATE


def test_time_that_is_used_already_is_not_spent_again() -> None:
    world = World().alive(100)
    world.pass_ms(98_000)

    refusal = world.ask(spend()).refusal

    assert refusal is not None
    assert (refusal.code, refusal.details) == ("credit_insufficient", {"missing_sats": 1})
    assert [entry.kind for entry in world.entries] == ["deposit", "charge"]


def test_nobody_spends_what_is_owed() -> None:
    world = World().alive(100)
    world.pass_ms(130_000)
    world.tick()

    refusal = world.ask(spend()).refusal

    assert refusal is not None
    assert refusal.code == "credit_insufficient"


def test_a_wallet_that_was_never_created_pays_nothing() -> None:
    refusal = World().ask(spend()).refusal

    assert refusal is not None
    assert refusal.code == "wallet_not_found"


@given(st.lists(st.integers(1, 50), max_size=20), st.integers(60, 300))
def test_fees_never_overdraw_and_books_balance(prices: list[int], sats: int) -> None:
    world = World().alive(sats)
    paid = 0
    for number, price in enumerate(prices):
        if world.ask(spend(f"fee_{number}", price)).refusal is None:
            paid += price

    accounts = world.state.accounts
    assert paid <= sats
    assert accounts.bucket == (sats - paid) * RATE
    assert -accounts.deposits == accounts.bucket + accounts.burnt


@pytest.mark.parametrize("sats", [1, 100])
def test_the_meter_explains_uptime_and_not_fees(sats: int) -> None:
    world = World().alive(500)
    world.pass_ms(5_000)
    world.ask(spend("fee_1", sats))

    charged = sum(
        -amount
        for entry in world.entries
        if entry.kind == "charge"
        for name, amount in entry.amounts
        if name == "bucket"
    )
    assert charged == sum(span.charge_usat for span in world.spans) == 5 * RATE
