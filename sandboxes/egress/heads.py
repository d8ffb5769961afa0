"""Heads of HTTP/1.1 messages (RFC 9112), read strictly: what two readers could take for two things is refused. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum

_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,256}")
_VALUE = re.compile(r"[\t\x20-\x7e\x80-\xff]*")
_TARGET = re.compile(r"[\x21-\x7e]{1,16384}")
_LENGTH = re.compile(r"[0-9]{1,15}")
_STATUS_LINE = re.compile(r"HTTP/1\.([01]) ([1-9][0-9]{2})(?: ([\t\x20-\x7e\x80-\xff]*))?")

HOP_BY_HOP = frozenset(
    {
        "connection", "keep-alive", "proxy-connection", "proxy-authenticate", "proxy-authorization", "te", "trailer",
        "transfer-encoding", "upgrade", "content-length", "expect",
    }
)  # fmt: skip
"""Hop-by-hop fields. `content-length` is written again with the body."""

Fields = list[tuple[str, str]]


class HeadInvalid(ValueError):  # noqa: N818 - reads as what happened
    """Not a head, or one that could be read in two ways."""


class Framing(Enum):
    """How a body's end is marked."""

    NONE = "none"
    LENGTH = "length"
    CHUNKED = "chunked"
    CLOSE = "close"


@dataclass(frozen=True, slots=True)
class Body:
    """A body's framing; `length` with LENGTH."""

    framing: Framing
    length: int = 0


@dataclass(frozen=True, slots=True)
class RequestHead:
    """A request's line and fields, as sent."""

    method: str
    target: str
    minor: int
    fields: Fields


@dataclass(frozen=True, slots=True)
class AnswerHead:
    """An answer's line and fields, as sent."""

    status: int
    reason: str
    minor: int
    fields: Fields


def _lines(data: bytes, fields_max: int) -> tuple[str, Fields]:
    if not data.endswith(b"\r\n\r\n"):
        raise HeadInvalid("no end of head")
    first, *rest = data[:-4].decode("latin-1").split("\r\n")
    if len(rest) > fields_max:
        raise HeadInvalid(f"more than {fields_max} header fields")
    fields: Fields = []
    for line in rest:
        name, colon, value = line.partition(":")
        value = value.strip(" \t")
        # A name with a space before its colon, a folded line, a bare CR or LF: each has smuggled requests somewhere.
        if not colon or not _TOKEN.fullmatch(name) or not _VALUE.fullmatch(value):
            raise HeadInvalid("a header field is malformed")
        fields.append((name, value))
    return first, fields


def read_request(data: bytes, fields_max: int) -> RequestHead:
    """A request head, with its blank line. Raises HeadInvalid."""
    first, fields = _lines(data, fields_max)
    words = first.split(" ")
    if len(words) != 3 or words[2] not in ("HTTP/1.1", "HTTP/1.0"):
        raise HeadInvalid("not an HTTP/1.1 request line")
    method, target, version = words
    if not _TOKEN.fullmatch(method) or not _TARGET.fullmatch(target):
        raise HeadInvalid("not an HTTP/1.1 request line")
    if len(values(fields, "host")) > 1:
        raise HeadInvalid("more than one Host")
    return RequestHead(method, target, int(version[-1]), fields)


def read_answer(data: bytes, fields_max: int) -> AnswerHead:
    """An answer's head, with its blank line. Raises HeadInvalid."""
    first, fields = _lines(data, fields_max)
    match = _STATUS_LINE.fullmatch(first)
    if match is None:
        raise HeadInvalid("not an HTTP/1.1 status line")
    return AnswerHead(int(match[2]), match[3] or "", int(match[1]), fields)


def values(fields: Fields, name: str) -> list[str]:
    """The values of a field, each as often as it was sent."""
    return [value for each, value in fields if each.lower() == name]


def request_body(head: RequestHead) -> Body:
    """How the request's body ends. Raises HeadInvalid when that is not said once and clearly."""
    body = _framing(head.fields, head.minor)
    return Body(Framing.NONE) if body is None else body


def answer_body(head: AnswerHead, method: str) -> Body:
    """How the answer's body ends (RFC 9112, 6.3). Raises HeadInvalid."""
    body = _framing(head.fields, head.minor)
    if method == "HEAD" or head.status in (204, 304) or head.status < 200:
        return Body(Framing.NONE)
    return Body(Framing.CLOSE) if body is None else body


def _framing(fields: Fields, minor: int) -> Body | None:
    lengths, codings = values(fields, "content-length"), values(fields, "transfer-encoding")
    if codings:
        if lengths or minor == 0 or len(codings) > 1 or codings[0].lower() != "chunked":
            raise HeadInvalid("a body's end is told in a way that can be read differently")
        return Body(Framing.CHUNKED)
    if not lengths:
        return None
    if len(lengths) > 1 or not _LENGTH.fullmatch(lengths[0]):
        raise HeadInvalid("a body's end is told in a way that can be read differently")
    return Body(Framing.LENGTH, int(lengths[0]))


def end_to_end(fields: Fields, without: Iterable[str] = ()) -> Fields:
    """The fields that travel on: not those between neighbours, nor those that Connection names, nor `without`."""
    named = {word.strip().lower() for value in values(fields, "connection") for word in value.split(",")}
    dropped = HOP_BY_HOP | named | {name.lower() for name in without}
    return [(name, value) for name, value in fields if name.lower() not in dropped]


def framing_fields(body: Body) -> Fields:
    """How a body's end is marked when it is forwarded."""
    if body.framing is Framing.LENGTH:
        return [("Content-Length", str(body.length))]
    return [("Transfer-Encoding", "chunked")] if body.framing is Framing.CHUNKED else []


def write_head(first: str, fields: Fields) -> bytes:
    """A head as bytes."""
    return "".join((first, "\r\n", *(f"{name}: {value}\r\n" for name, value in fields), "\r\n")).encode("latin-1")
