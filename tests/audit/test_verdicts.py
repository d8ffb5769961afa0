"""An upheld dispute is put right once, by its own amount, and only then."""

import json
from typing import Any

import pytest

from actors.wallet.journal import Entry
from satbox.audit.disputes import Verdicts


def step(seq: int, state: str, **words: Any) -> Entry:
    return Entry(seq, 0, f"dispute_{state}", json.dumps({"dispute_id": "dsp_1", **words}), (), 0, "", "")


def credit(seq: int, usat: int) -> Entry:
    return Entry(seq, 0, "credit", "dsp_1", (("credits", -usat), ("bucket", usat)), 0, "", "")


OPENED = step(1, "opened", usat_max=10)
UPHELD = step(2, "upheld", usat=7)


def findings(*entries: Entry) -> list[str]:
    found: list[str] = []
    verdicts = Verdicts(lambda place, rule, what: found.append(place))
    for entry in entries:
        verdicts.take(entry)
    verdicts.settle()
    return found


@pytest.mark.parametrize(
    "entries",
    [
        (OPENED, UPHELD, credit(3, 7)), (OPENED,), (OPENED, step(2, "answered"), step(3, "denied")),
        (OPENED, step(2, "upheld", usat=0)),
    ],
)  # fmt: skip
def test_disputes_that_go_as_they_should(entries: tuple[Entry, ...]) -> None:
    assert findings(*entries) == []


@pytest.mark.parametrize(
    ("entries", "place"),
    [
        ((OPENED, UPHELD), "journal"),
        ((OPENED, UPHELD, credit(3, 8)), "journal 3"),
        ((OPENED, UPHELD, credit(3, 7), credit(4, 7)), "journal 4"),
        ((OPENED, step(2, "upheld", usat=11), credit(3, 11)), "journal 2"),
        ((OPENED, step(2, "denied", usat=3), credit(3, 3)), "journal 2"),
        ((UPHELD, credit(3, 7)), "journal 2"),
        ((OPENED, OPENED), "journal 1"),
        ((OPENED, UPHELD, credit(3, 7), step(4, "denied")), "journal 4"),
        ((credit(1, 5),), "journal 1"),
        ((step(1, "opened"),), "journal 1"),
    ],
)
def test_disputes_that_do_not(entries: tuple[Entry, ...], place: str) -> None:
    assert place in findings(*entries)
