"""JSON that says one thing: whatever two readers could take for different things is refused."""

import json
from typing import Any


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name stands twice in one object: readers differ in which of the two they show")
    return found


def _refused(word: str) -> Any:
    raise ValueError(f"{word} is no JSON")


def exact_json(text: str | bytes) -> Any:
    """The document. Raises ValueError for what is not JSON, or has a name twice, and RecursionError."""
    return json.loads(text, object_pairs_hook=_once, parse_constant=_refused)
