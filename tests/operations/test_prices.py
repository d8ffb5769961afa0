"""Prices are whole amounts for known purposes, or they are refused where they are written down."""

from typing import Any

import pytest

from operations.catalogue import REGISTRY
from operations.prices import CHARGE_USAT_MAX, Fixed, Free, Metered, OnChain, checked_usat
from operations.purposes import PURPOSES, is_same_purpose


@pytest.mark.parametrize("usat", [-1, 0.5, "7", True, None, CHARGE_USAT_MAX + 1])
def test_what_is_no_amount_is_refused(usat: Any) -> None:
    with pytest.raises(ValueError, match="whole micro-sats"):
        checked_usat(usat)


def test_amounts_from_nothing_to_the_most() -> None:
    assert (checked_usat(0), checked_usat(CHARGE_USAT_MAX)) == (0, CHARGE_USAT_MAX)


def test_a_price_names_a_known_purpose() -> None:
    for rule in (lambda: Fixed("hats"), lambda: OnChain("hats"), lambda: Metered("hats", lambda _: 1)):
        with pytest.raises(ValueError, match="not a purpose"):
            rule()
    with pytest.raises(ValueError, match="whole micro-sats"):
        Fixed("verification", -1)


def test_every_purpose_of_a_price_is_on_the_list() -> None:
    rules = [operation.price for operation in REGISTRY.values() if not isinstance(operation.price, Free)]
    assert {rule.purpose for rule in rules} <= set(PURPOSES)
    assert {operation.name for operation in REGISTRY.values() if operation.is_on_chain} == {
        "sandbox.create", "sandbox.extend", "bucket.deposit",
    }  # fmt: skip


def test_only_what_was_recorded_so_once_answers_to_another_name() -> None:
    assert is_same_purpose("extend", "deposit")
    assert not is_same_purpose("deposit", "extend")
    assert not is_same_purpose("create", "extend")
