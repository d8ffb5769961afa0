"""What the gate takes for granted of a `DisputeIndex`."""

from collections.abc import Callable
from pathlib import Path

import pytest

from gate.parts.dispute_file import DisputeFile
from gate.parts.dispute_index import DisputeIndex, DisputeRow

INDEXES: dict[str, Callable[[Path], DisputeIndex]] = {"file": lambda folder: DisputeFile(folder / "disputes.sqlite")}


@pytest.fixture(params=INDEXES)
def index(request: pytest.FixtureRequest, tmp_path: Path) -> DisputeIndex:
    return INDEXES[request.param](tmp_path)


def test_what_waits_comes_oldest_first_and_in_pages(index: DisputeIndex) -> None:
    for number, at_ms in ((1, 30), (2, 10), (3, 10), (4, 20)):
        index.add(f"dsp_{number}", f"ST{number}", at_ms)
    assert [row.dispute_id for row in index.waiting(10)] == ["dsp_2", "dsp_3", "dsp_4", "dsp_1"]
    assert index.waiting(2) == [DisputeRow("dsp_2", "ST2", 10), DisputeRow("dsp_3", "ST3", 10)]
    assert [row.dispute_id for row in index.waiting(2, (10, "dsp_3"))] == ["dsp_4", "dsp_1"]


def test_one_that_is_over_waits_no_more_and_keeps_its_owner(index: DisputeIndex) -> None:
    index.add("dsp_1", "ST1", 1)
    index.add("dsp_1", "ST2", 2)  # again, with other words
    index.close("dsp_1")
    assert (index.address_of("dsp_1"), index.waiting(10)) == ("ST1", [])


def test_one_that_never_came_to_be_is_gone(index: DisputeIndex) -> None:
    index.add("dsp_1", "ST1", 1)
    index.remove("dsp_1")
    index.remove("dsp_1")
    assert (index.address_of("dsp_1"), index.waiting(10)) == (None, [])
