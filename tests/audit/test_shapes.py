"""Every posting of the bucket has its row in the table of shapes, and nothing else passes for an entry."""

import inspect
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.wallet import bucket
from actors.wallet.bucket import Posting
from actors.wallet.decide_disputes import STEP
from actors.wallet.shapes import DISPUTE_STEPS, SHAPES, shape_fault

POSTINGS = [
    function
    for _, function in inspect.getmembers(bucket, inspect.isfunction)
    if inspect.signature(function).return_annotation in (Posting, "Posting")
]


def arguments(function: Any, usat: int, other: int) -> dict[str, Any]:
    """Amounts for every parameter; a second amount is at most below the first."""
    names = inspect.signature(function).parameters
    given: dict[str, Any] = {}
    for name in names:
        if name == "usat":
            given[name] = usat
        elif name == "fee_usat":
            given[name] = other % usat
        elif name == "reserved_usat":
            given[name] = min(other, usat)
        else:
            given[name] = other if name.endswith("_usat") else "reference"
    return given


@given(st.integers(1, 10**12), st.integers(0, 10**12))
def test_every_posting_has_its_shape(usat: int, other: int) -> None:
    kinds = set()
    for function in POSTINGS:
        posting = function(**arguments(function, usat, other))
        assert shape_fault(posting.kind, posting.amounts) is None, function
        kinds.add(posting.kind)
    assert kinds | {"fee"} == set(SHAPES)  # journals of before have fees; nothing posts one now
    assert set(STEP.values()) == DISPUTE_STEPS


@pytest.mark.parametrize(
    ("kind", "amounts"),
    [
        ("hello", {"write_offs": -5, "bucket": 5}),
        ("deposit", {"write_offs": -5, "bucket": 5}),
        ("deposit", {"deposits": 5, "bucket": -5}),
        ("credit_back", {"burnt": 5, "owed": 0, "bucket": -5}),
        ("charge", {"bucket": 0, "owed": 0, "burnt": 0}),
        ("fee", {"bucket": -5, "burnt": 5, "owed": 0}),
        ("dispute_upheld", {"credits": -5, "bucket": 5}),
        ("credit", {}),
    ],
)
def test_what_nothing_posts_is_told(kind: str, amounts: dict[str, int]) -> None:
    assert shape_fault(kind, tuple(amounts.items())) is not None
