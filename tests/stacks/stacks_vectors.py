"""Vectors made by independent implementations, and a reader for Clarity text."""

import json
import re
from pathlib import Path

from stacks.c32 import Principal
from stacks.clarity import (
    Bool,
    Buffer,
    ClarityValue,
    Int,
    List,
    NoneValue,
    ResponseErr,
    ResponseOk,
    Some,
    StringAscii,
    StringUtf8,
    Tuple,
    UInt,
    principal_value,
)

_FOLDER = Path(__file__).parent.parent / "vectors"
_TOKENS = re.compile(r'u?"[^"]*"|[()]|[^\s()]+')


def load(name: str) -> list[dict[str, object]]:
    return json.loads((_FOLDER / f"{name}.json").read_text())


def parse_clarity(text: str) -> ClarityValue:
    """The value that `to_text` would print as `text`."""
    tokens = _TOKENS.findall(text)
    value, rest = _value(tokens)
    assert not rest
    return value


def _value(tokens: list[str]) -> tuple[ClarityValue, list[str]]:
    head, rest = tokens[0], tokens[1:]
    if head != "(":
        return _atom(head), rest
    word, rest = rest[0], rest[1:]
    if word == "tuple":
        entries = []
        while rest[0] == "(":
            item, after = _value(rest[2:])
            entries.append((rest[1], item))
            assert after[0] == ")"
            rest = after[1:]
        return Tuple(tuple(entries)), rest[1:]
    items = []
    while rest[0] != ")":
        item, rest = _value(rest)
        items.append(item)
    if word == "list":
        return List(tuple(items)), rest[1:]
    return {"ok": ResponseOk, "err": ResponseErr, "some": Some}[word](items[0]), rest[1:]


def _atom(token: str) -> ClarityValue:
    if token in ("true", "false"):
        return Bool(token == "true")
    if token == "none":
        return NoneValue()
    if token.startswith("u") and token[1:].isdigit():
        return UInt(int(token[1:]))
    if token.lstrip("-").isdigit():
        return Int(int(token))
    if token.startswith("0x"):
        return Buffer(bytes.fromhex(token[2:]))
    if token.startswith('u"'):
        return StringUtf8(token[2:-1])
    if token.startswith('"'):
        return StringAscii(token[1:-1])
    return principal_value(Principal.parse(token))
