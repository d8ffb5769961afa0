"""Wake links as people read them."""

from typing import Any

from satbox.cli.short_texts import date_of, short, time_text

LABEL_CHARS_MAX = 10


def wake_links(document: dict[str, Any]) -> dict[str, Any]:
    """Wake links, a row each."""
    return {"items": [wake_link(item) for item in document["items"]]}


def wake_link(link: dict[str, Any]) -> dict[str, Any]:
    """One wake link as a row."""
    day, sats = link["wakes_per_day"], link["sats_per_day"]
    may_wake, may_pay = "wake" in link["scopes"], "topup" in link["scopes"]
    paid = "any" if sats is None else f"{sats - link['sats_left_today']:,}/{sats:,}"
    return {
        "link_id": link["link_id"],
        "label": short(link["label"], LABEL_CHARS_MAX) or None,
        "until": date_of(link["expires_at"]) if link["state"] == "good" else link["state"],
        "wakes_today": f"{day - link['wakes_left_today']}/{day}" if may_wake else None,
        "sats_today": paid if may_pay else None,
        "last_used": (time_text(link["last_used_at"]) or "")[5:16] or None,
    }


def link_may(link: dict[str, Any]) -> str:
    """What a link's holder may do, in a few words."""
    sats = "any sats" if link["sats_per_day"] is None else f"{link['sats_per_day']:,} sats"
    may = {
        "wake": f"wake it with the credit left, {link['wakes_per_day']} times a day",
        "topup": f"pay for it, {sats} a day",
    }
    return "; ".join(may[scope] for scope in link["scopes"])


def link_info(document: dict[str, Any]) -> dict[str, Any]:
    """What a link may do, for its holder."""
    wakes, left = "wake" in document["scopes"], document["sats_left_today"]
    return {
        "address": document["address"],
        "label": document["label"] or None,
        "its_holder_may": link_may(document),
        "wakes_left_today": document["wakes_left_today"] if wakes else None,
        "sats_left_today": left if "topup" in document["scopes"] else None,
        "until": time_text(document["expires_at"]),
        "state": document["state"],
        "wakes_now": document["wakes_now"],
        "missing_sats": document["missing_sats"] or None,
    }
