"""The window over a process's output: bounded, ordered, and honest about what it lost."""

from hypothesis import given
from hypothesis import strategies as st

from sandboxes.node.process_log import PIECES_MAX, ProcessLog

writes = st.lists(st.tuples(st.sampled_from(["stdout", "stderr"]), st.binary(max_size=200)), max_size=40)


def whole(log: ProcessLog, after: int = 0, step: int = 1 << 30) -> tuple[bytes, int]:
    """All that can be read from a cursor on, in steps; and how much was lost before it."""
    data, lost = b"", 0
    while True:
        pieces, cursor, gone = log.read(after, step)
        lost += gone
        if not pieces:
            return data, lost
        data += b"".join(piece.data for piece in pieces)
        after = cursor


@given(writes, st.integers(1, 2000), st.integers(1, 500))
def test_what_is_kept_is_the_end_of_what_was_written(
    written: list[tuple[str, bytes]], bytes_max: int, step: int
) -> None:
    log = ProcessLog(bytes_max)
    for stream, data in written:
        log.append(stream, data)
    everything = b"".join(data for _stream, data in written)

    kept, lost = whole(log, 0, step)

    assert kept == everything[-bytes_max:]
    assert lost + len(kept) == len(everything) == log.end


@given(writes, st.integers(0, 3000))
def test_a_cursor_reads_on_where_it_stood(written: list[tuple[str, bytes]], after: int) -> None:
    log = ProcessLog(1 << 20)
    for stream, data in written:
        log.append(stream, data)
    everything = b"".join(data for _stream, data in written)

    data, lost = whole(log, min(after, log.end), 7)

    assert (data, lost) == (everything[after:], 0)


@given(writes, st.integers(1, 500))
def test_streams_stay_apart(written: list[tuple[str, bytes]], step: int) -> None:
    log = ProcessLog(1 << 20)
    for stream, data in written:
        log.append(stream, data)

    for name in ("stdout", "stderr"):
        pieces, _cursor, _lost = log.read(0, 1 << 20)
        assert b"".join(p.data for p in pieces if p.stream == name) == b"".join(d for s, d in written if s == name)


@given(writes, st.binary(min_size=1, max_size=3), st.integers(0, 500))
def test_text_is_found_where_it_is(written: list[tuple[str, bytes]], text: bytes, after: int) -> None:
    log = ProcessLog(1 << 20)
    for stream, data in written:
        log.append(stream, data)
    everything = b"".join(data for _stream, data in written)
    expected = everything.find(text, after)

    assert log.find(text, after) == (None if expected < 0 else expected + len(text))


def test_bytes_from_both_streams_in_turn_cost_a_bounded_number_of_pieces() -> None:
    log = ProcessLog(1 << 20)
    for number in range(20_000):
        log.append(("stdout", "stderr")[number % 2], b"x")

    pieces, cursor, lost = log.read(0, 1 << 20)

    assert len(pieces) == PIECES_MAX
    assert (cursor, lost) == (20_000, 20_000 - PIECES_MAX)
