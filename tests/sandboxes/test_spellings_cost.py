"""What a stranger's text costs to look through: bounded by its length, however it is written."""

import pytest

from gate.proxy.credentials import Credentials
from operations.errors import SatboxError
from sandboxes.egress.redaction import REDACTED, Redactor
from sandboxes.spellings import CHARS_MAX, CharacterBudget, holds

CHARS = 60_000
NESTED = r" %41 \u0041 &amp; =41=41=41=41=41=41"
BODIES = {"letters": "a" * CHARS, "digits": "4" * CHARS, "words": "4444444444444444444444444 " * (CHARS // 26)}


@pytest.mark.parametrize("body", BODIES)
def test_the_spellings_of_a_text_are_looked_through_up_to_a_number_of_characters(body: str) -> None:
    seen = 0

    def count(text: str) -> bool:
        nonlocal seen
        seen += len(text)
        return False

    assert holds(BODIES[body] + NESTED, count, 24)
    # Each spelling, and what its words decode to at the places where they may begin.
    assert seen <= 16 * (CHARS + CHARS_MAX)


def test_what_is_too_much_to_look_through_counts_as_one_that_holds_it() -> None:
    text = BODIES["letters"] + NESTED
    assert Credentials().are_in(text)
    assert Redactor("Bearer sk-live-abcdefghijklmnop")(text) == REDACTED


@pytest.mark.parametrize("text", ["a=1&b=%20x" * 400, "%41" * 2_000, "x" * CHARS, '{"a":"b\\u0041"}' * 300])
def test_what_is_long_and_harmless_passes(text: str) -> None:
    assert not Credentials().are_in(text)
    assert Redactor("Bearer sk-live-abcdefghijklmnop")(text) == text


HEADERS = 16


@pytest.mark.parametrize("body", BODIES)
def test_the_texts_of_one_head_have_one_limit_together(body: str) -> None:
    """A head of many headers costs no more to look through than one of a single header."""
    text, room, seen = BODIES[body][: CHARS // HEADERS] + NESTED, CharacterBudget(), 0

    def count(spelling: str) -> bool:
        nonlocal seen
        seen += len(spelling)
        return False

    for number in range(HEADERS):
        holds(f"{number} {text}", count, 24, room)
    assert seen <= 16 * (CHARS + CHARS_MAX)


def test_what_comes_after_too_much_is_left_out_with_it_and_plain_text_is_not() -> None:
    spent = [(f"x-{number}", BODIES["digits"][: CHARS // HEADERS] + NESTED) for number in range(HEADERS)]
    fields = [*spent, ("x-late", "a%20b"), ("x-plain", "plain")]

    passed = dict(Credentials().stripped(fields))
    redacted = dict(Redactor("Bearer sk-live-abcdefghijklmnop").fields(fields))

    assert "x-late" not in passed
    assert redacted["x-late"] == REDACTED
    assert (passed["x-plain"], redacted["x-plain"]) == ("plain", "plain")


def test_a_query_that_takes_too_much_is_refused_and_never_cut() -> None:
    query = "&".join(f"p{number}={BODIES['digits'][:2_000]}{NESTED.replace('&', '%26')}" for number in range(30))
    with pytest.raises(SatboxError) as refused:
        Credentials().stripped_target(f"/?{query}&late=a%20b")
    assert refused.value.code == "invalid_request"
