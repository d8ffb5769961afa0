"""JSON schemas as every tool client reads them.

Clients hand tool schemas to models whose APIs know only a part of JSON Schema (as a rule OpenAPI 3.0's): they refuse `anyOf` with
null, `exclusiveMinimum` as a number, and properties without a type. The gate judges arguments by the whole schema anyway.
"""

from typing import Any


def plain(schema: dict[str, Any]) -> dict[str, Any]:
    """A schema without what some clients refuse: optional fields have their one type and no null, bounds include their ends,
    enumerations name their type. Says the same of every value but null, and of a number that equals an open bound.
    """
    kept = {name: value for name, value in schema.items() if name != "title"}
    chosen = [option for option in kept.get("anyOf", ()) if option != {"type": "null"}]
    if len(chosen) == 1:
        del kept["anyOf"]
        kept = {**chosen[0], **kept}
        kept.pop("title", None)
    if kept.get("default", 0) is None:
        del kept["default"]
    for open_bound, bound, step in (("exclusiveMinimum", "minimum", 1), ("exclusiveMaximum", "maximum", -1)):
        if open_bound in kept:
            value = kept.pop(open_bound)
            kept[bound] = value + step if kept.get("type") == "integer" else value
    if "enum" in kept and "type" not in kept and all(isinstance(value, str) for value in kept["enum"]):
        kept["type"] = "string"
    for name in ("items", "additionalProperties"):
        if isinstance(kept.get(name), dict):
            kept[name] = plain(kept[name])
    if "properties" in kept:
        kept["properties"] = {name: plain(value) for name, value in kept["properties"].items()}
    return kept
