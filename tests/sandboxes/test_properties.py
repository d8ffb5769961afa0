"""Rules that hold for any input: frames, and the capacity book."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from sandboxes.node.capacity import CapacityBook
from sandboxes.protocol import NoCapacity, Reservation
from sandboxes.supervisor import frames

NAMES = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=20)
FIELDS = st.lists(st.tuples(NAMES, st.binary(max_size=200)), max_size=20)
FRAMES = st.lists(st.tuples(st.integers(0, 255), st.binary(max_size=500)), max_size=20)


@given(FIELDS)
def test_fields_come_back_as_they_went(fields: frames.Fields) -> None:
    assert frames.unpack_fields(frames.pack_fields(fields)) == fields


@given(st.binary(max_size=300))
def test_any_bytes_are_fields_or_refused(payload: bytes) -> None:
    with contextlib.suppress(frames.FrameError):
        fields = frames.unpack_fields(payload)
        assert frames.pack_fields(fields) == payload


@given(FIELDS, st.data())
def test_fields_cut_anywhere_are_refused_or_fewer(fields: frames.Fields, data: st.DataObject) -> None:
    whole = frames.pack_fields(fields)
    cut = data.draw(st.integers(0, len(whole)))
    try:
        found = frames.unpack_fields(whole[:cut])
    except frames.FrameError:
        return
    assert found == fields[: len(found)]
    assert frames.pack_fields(found) == whole[:cut]


@given(FRAMES, st.lists(st.integers(1, 700), max_size=60))
def test_frames_come_back_however_they_are_cut(sent: list[tuple[int, bytes]], cuts: list[int]) -> None:
    stream = b"".join(frames.pack(kind, payload) for kind, payload in sent)
    decoder, got, at = frames.Decoder(), [], 0
    for size in [*cuts, len(stream)]:
        got += decoder.feed(stream[at : at + size])
        at += size
    got += decoder.feed(stream[at:])

    assert got == sent


@given(st.lists(st.binary(max_size=100), max_size=30))
def test_a_decoder_holds_no_more_than_one_frame(pieces: list[bytes]) -> None:
    decoder = frames.Decoder()
    with contextlib.suppress(frames.FrameError):
        for piece in pieces:
            decoder.feed(piece)
            assert len(decoder._buffer) <= frames.HEADER_BYTES + frames.FRAME_BYTES_MAX


@given(st.integers(frames.FRAME_BYTES_MAX + 1, 0xFFFF_FFFF), st.integers(0, 255))
def test_a_frame_over_the_limit_is_refused_by_its_header(size: int, kind: int) -> None:
    with pytest.raises(frames.FrameError):
        frames.Decoder().feed(size.to_bytes(4, "big") + bytes([kind]))


ADDRESSES = st.sampled_from(["SP1", "SP2", "SP3", "SP4"])
TOTALS = {"nano": 2, "small": 1}
CLASSES = st.sampled_from(list(TOTALS))
HOLDERS = st.sampled_from(["pay_1", "pay_2"])


class Book(RuleBasedStateMachine):
    """A model that keeps who runs and who holds a reservation until when."""

    def __init__(self) -> None:
        super().__init__()
        self.now_ms = 0
        self.book = CapacityBook(TOTALS, lambda: self.now_ms)
        self.running: dict[str, str] = {}
        self.kept: dict[tuple[str, str], tuple[str, int]] = {}
        self.number = 0

    def live(self, size_class: str) -> set[str]:
        """The addresses that have room of a class, however many hold it."""
        return {owner for (owner, _), (name, until) in self.kept.items() if name == size_class and until > self.now_ms}

    def drop(self, address: str) -> None:
        self.kept = {key: one for key, one in self.kept.items() if key[0] != address}

    def room(self, size_class: str, address: str) -> bool:
        used = sum(name == size_class for name in self.running.values())
        return used + len(self.live(size_class) - {address}) < TOTALS[size_class]

    @rule(address=ADDRESSES, size_class=CLASSES, seconds=st.integers(1, 5), holder=HOLDERS)
    def reserve(self, address: str, size_class: str, seconds: int, holder: str) -> None:
        has_room = self.room(size_class, address)
        try:
            self.book.reserve(Reservation(address, size_class, seconds, holder))
        except NoCapacity:
            assert not has_room
            return
        assert has_room
        self.kept[address, holder] = (size_class, self.now_ms + seconds * 1000)

    @rule(address=ADDRESSES, size_class=CLASSES)
    def take(self, address: str, size_class: str) -> None:
        has_room = self.room(size_class, address)
        self.number += 1
        try:
            self.book.take(str(self.number), size_class, address)
        except NoCapacity:
            assert not has_room
            return
        assert has_room
        self.running[str(self.number)] = size_class
        self.drop(address)

    @rule(address=ADDRESSES, holder=HOLDERS)
    def release(self, address: str, holder: str) -> None:
        self.book.release(address, holder)
        self.kept.pop((address, holder), None)

    @rule()
    def end_oldest(self) -> None:
        if self.running:
            runtime_id = next(iter(self.running))
            self.book.give_back(runtime_id)
            self.book.give_back(runtime_id)
            del self.running[runtime_id]

    @rule(seconds=st.integers(1, 4))
    def wait(self, seconds: int) -> None:
        self.now_ms += seconds * 1000

    @invariant()
    def counts_agree_and_never_pass_the_total(self) -> None:
        for name, counts in self.book.capacity().classes.items():
            assert counts.used == sum(running == name for running in self.running.values())
            assert counts.reserved == len(self.live(name))
            assert counts.used + counts.reserved <= counts.total


TestBook = Book.TestCase
