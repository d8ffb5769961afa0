"""Compressed bodies for the gate's own routes: inflated however they are cut up, and refused when they are not what they say."""

import gzip
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gate.wire.content_encoding import PIECE_BYTES_MAX, Inflater
from operations.errors import SatboxError

PACK = {"": bytes, "identity": bytes, "gzip": gzip.compress, "GZIP ": gzip.compress, "deflate": zlib.compress}


def inflated(packed: bytes) -> bytes:
    inflater = Inflater("gzip")
    data = b"".join(inflater.feed(packed))
    inflater.end()
    return data


@given(st.sampled_from(sorted(PACK)), st.binary(max_size=300), st.integers(1, 900), st.integers(1, 50_000))
def test_a_body_is_what_was_packed_however_it_is_cut(encoding: str, data: bytes, times: int, cut: int) -> None:
    packed = PACK[encoding](data * times)
    inflater = Inflater(encoding)
    pieces = [piece for at in range(0, len(packed), cut) for piece in inflater.feed(packed[at : at + cut])]
    inflater.end()
    assert b"".join(pieces) == data * times
    assert all(len(piece) <= PIECE_BYTES_MAX for piece in pieces)


@pytest.mark.parametrize(
    "packed",
    [b"none", gzip.compress(b"x" * 99)[:-1], gzip.compress(b"x") + b"more", gzip.compress(b"x") * 2],
    ids=["broken", "cut", "followed by more", "twice"],  # the bytes hold the time, which differs between test processes
)
def test_what_is_broken_cut_short_or_followed_by_more_is_refused(packed: bytes) -> None:
    with pytest.raises(SatboxError, match="invalid_request"):
        inflated(packed)


@pytest.mark.parametrize("encoding", ["br", "zstd", "gzip, gzip", "x" * 500])
def test_another_encoding_is_refused_by_its_name(encoding: str) -> None:
    with pytest.raises(SatboxError) as caught:
        Inflater(encoding)
    assert encoding[:40] in caught.value.message
