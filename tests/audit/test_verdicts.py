"""An upheld dispute is put right once, by its own amount, and only then."""

import json
from dataclasses import replace
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


@pytest.mark.parametrize(("burnt", "is_off"), [(13, True), (14, False)])
def test_verdicts_about_use_give_back_no_more_than_was_burnt(burnt: int, is_off: bool) -> None:
    def about(dispute_id: str, entry: Entry) -> Entry:
        words = {**json.loads(entry.reference or ""), "dispute_id": dispute_id, "about": {"kind": "exec"}}
        return replace(entry, reference=json.dumps(words))

    charge = Entry(0, 0, "charge", "rt", (("bucket", -burnt), ("owed", 0), ("burnt", burnt)), 0, "", "")
    entries = [charge]
    for number, dispute_id in enumerate(("dsp_1", "dsp_2")):
        seq = 3 * number
        given = replace(credit(3 + seq, 7), reference=dispute_id)
        entries += [about(dispute_id, OPENED), about(dispute_id, UPHELD), given]
    assert ("journal 6" in findings(*entries)) == is_off
