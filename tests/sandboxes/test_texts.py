"""Output as text or base64, never both, and never a character cut in two by a limit or a buffer."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandboxes.texts import Characters, bytes_of, shown, text_or_base64, unfinished


@given(st.binary(max_size=200))
def test_bytes_stand_there_once(data: bytes) -> None:
    fields = text_or_base64("data", data)
    assert bytes_of(fields, "data") == data
    assert not (fields["data"] and "data_base64" in fields)
    assert shown(fields, "data") == data.decode("utf-8", "replace")


def test_bytes_that_are_no_text_do_not_grow_threefold() -> None:
    fields = text_or_base64("data", b"\xff" * 3000)
    assert fields == {"data": "", "data_base64": base64.b64encode(b"\xff" * 3000).decode()}


@pytest.mark.parametrize("character", ["a", "\u00e4", "\u20ac", "\U0001f600"])
def test_what_is_unfinished(character: str) -> None:
    whole = b"x" + character.encode()
    for cut in range(1, len(whole) + 1):
        assert unfinished(whole[:cut]) == (0 if cut in (1, len(whole)) else cut - 1)
    assert unfinished(b"\xff\xff") == 0
    assert unfinished(b"") == 0


@given(st.text(max_size=100), st.lists(st.integers(1, 7), max_size=60))
def test_text_in_pieces_stays_text(text: str, sizes: list[int]) -> None:
    data, characters, said = text.encode(), Characters(), []
    for size in [*sizes, len(data) + 1]:
        piece, data = data[:size], data[size:]
        said += [part for _, part in characters.feed("stdout", piece)]
    assert list(characters.rest()) == []
    assert "".join(part.decode() for part in said) == text


@given(st.lists(st.tuples(st.sampled_from(["stdout", "stderr"]), st.binary(min_size=1, max_size=6)), max_size=30))
def test_nothing_is_lost_of_two_streams(pieces: list[tuple[str, bytes]]) -> None:
    characters = Characters()
    said = [part for stream, data in pieces for part in characters.feed(stream, data)]
    said += characters.rest()
    assert b"".join(data for _, data in said) == b"".join(data for _, data in pieces)
    for name in ("stdout", "stderr"):
        assert b"".join(d for s, d in said if s == name) == b"".join(d for s, d in pieces if s == name)
