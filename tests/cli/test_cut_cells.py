"""What a person sees cut says that it is cut."""

from satbox.cli.errors import DETAIL_LINES_MAX, detail_lines
from satbox.cli.short_texts import short


def test_a_cell_that_is_cut_says_so() -> None:
    assert short("abcdef", 6) == "abcdef"
    assert short("abcdefg", 6) == "abcde…"


def test_details_that_are_cut_say_so() -> None:
    lines = detail_lines("invalid_request", {"fields": [{"field": f"f{n}", "problem": "x" * 400} for n in range(20)]})
    assert len(lines) == DETAIL_LINES_MAX + 1
    assert all(line.endswith("…") for line in lines[:-1])
    assert lines[-1].startswith("... 12 more")
