"""Spending keys as people read them."""

from typing import Any

from satbox.cli.short_texts import date_of, short, time_text

NAME_CHARS_MAX = 12
USAT_PER_SAT = 1_000_000


def _sats(usat: int) -> str:
    whole, rest = divmod(usat, USAT_PER_SAT)
    return f"{whole:,}.{rest:06d}".rstrip("0").rstrip(".")


def key_row(key: dict[str, Any]) -> dict[str, Any]:
    """One key as a row."""
    caps = [
        f"{key[name]:,}/{word}"
        for name, word in (
            ("sats_per_call", "call"),
            ("sats_per_hour", "h"),
            ("sats_per_day", "day"),
            ("sats_total", "all"),
        )
        if key[name] is not None
    ]
    until = date_of(key["expires_at"]) if key["expires_at"] and key["state"] == "good" else key["state"]
    return {
        "key_id": key["key_id"],
        "name": short(key["name"], NAME_CHARS_MAX) or None,
        "for": ",".join(key["scopes"]) or "any",
        "sats_cap": " ".join(caps) or None,
        "sats_spent": _sats(key["spent_usat"]),
        "sats_left": None if key["left_usat"] is None else _sats(key["left_usat"]),
        "until": until if key["expires_at"] or key["state"] != "good" else None,
        "last_used": (time_text(key["last_used_at"]) or "")[5:16] or None,
    }


def keys(document: dict[str, Any]) -> dict[str, Any]:
    """Spending keys, a row each."""
    return {"items": [key_row(item) for item in document["items"]]}


def own_key(document: dict[str, Any]) -> dict[str, Any]:
    """The wallet that a key acts for, and the rest of its caps."""
    return {
        **{name: document[name] for name in ("address", "state", "runtime_id")},
        "key": key_row(document["key"])["key_id"],
        **{name: key_row(document["key"])[name] for name in ("sats_cap", "sats_spent", "sats_left")},
    }
