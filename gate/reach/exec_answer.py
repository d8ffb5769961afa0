"""A command's result as an answer: a short one as a model, a long one written in slices, so that its outputs are held once."""

import base64
import codecs
import json
from collections.abc import Iterator, Mapping

from gate.wire.outcomes import Whole
from operations.commands import ExecResult
from sandboxes.texts import text_or_base64

SHORT_BYTES = 1 << 18
SLICE_BYTES = 3 << 15  # divides by three: base64 of slices is base64 of the whole


def answered(result: ExecResult, output: Mapping[str, bytearray]) -> ExecResult | Whole:
    """The answer; `result` has no outputs yet."""
    if sum(map(len, output.values())) <= SHORT_BYTES:
        texts: dict[str, str] = {}
        for name, data in output.items():
            texts |= text_or_base64(name, bytes(data))
        return result.model_copy(update=texts)
    return Whole(pieces(result, output), sum(map(len, output.values())))


def pieces(result: ExecResult, output: Mapping[str, bytearray]) -> Iterator[bytes]:
    """The model's JSON, its outputs in slices."""
    rest = result.model_dump_json(exclude={name + end for name in output for end in ("", "_base64")})
    yield b"{"
    for name, data in output.items():
        if _is_text(data):
            yield f'"{name}":"'.encode()
            yield from _text(data)
            yield f'","{name}_base64":null,'.encode()
        else:
            yield f'"{name}":"","{name}_base64":"'.encode()
            for at in range(0, len(data), SLICE_BYTES):
                yield base64.b64encode(memoryview(data)[at : at + SLICE_BYTES])
            yield b'",'
    yield rest[1:].encode()


def _is_text(data: bytearray) -> bool:
    try:
        for _piece in _text(data):
            continue
    except UnicodeDecodeError:
        return False
    return True


def _text(data: bytearray) -> Iterator[bytes]:
    decoder = codecs.getincrementaldecoder("utf-8")()
    for at in range(0, len(data), SLICE_BYTES):
        text = decoder.decode(bytes(data[at : at + SLICE_BYTES]), final=at + SLICE_BYTES >= len(data))
        yield json.dumps(text, ensure_ascii=False)[1:-1].encode()
