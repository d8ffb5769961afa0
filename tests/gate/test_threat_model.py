"""The threat model names tests that exist, and has a word on every letter of STRIDE for every part."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "design" / "threat-model.md").read_text()
PARTS = ("Payments", "Gate", "Proxy", "Oracle", "Sandbox", "Operator")
NAMED = sorted(set(re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", PAGE)))


def rows(part: str) -> list[list[str]]:
    section = PAGE.split(f"\n## {part}\n", 1)[1].split("\n## ", 1)[0]
    lines = [line.strip("|").split("|") for line in section.splitlines() if re.match(r"\| [STRIDE ]+ \|", line)]
    return [[cell.strip() for cell in line] for line in lines]


@pytest.mark.parametrize(("path", "name"), NAMED, ids=[name for _, name in NAMED])
def test_every_test_the_page_names_exists(path: str, name: str) -> None:
    assert re.search(rf"^(async )?def {name}\(", (ROOT / path).read_text(), re.MULTILINE)


@pytest.mark.parametrize("part", PARTS)
def test_every_part_has_every_letter(part: str) -> None:
    assert {letter for row in rows(part) for letter in row[0].split()} == set("STRIDE")


@pytest.mark.parametrize("part", PARTS)
def test_every_row_has_a_threat_a_mitigation_and_a_test_or_says_that_it_has_none(part: str) -> None:
    for row in rows(part):
        _, threat, mitigation, test = row
        assert threat
        if test == "none":
            assert "**no test**" in mitigation or "**missing**" in mitigation or threat.startswith("none"), row
        else:
            assert mitigation
            assert re.fullmatch(r"`tests/[\w/]+\.py::\w+`", test), row
