"""What things cost, as people read it: quotes, prices of coins, what they are made of, and routes."""

from typing import Any

from satbox.cli.output import duration_text
from satbox.cli.short_texts import coin_text, short_id, time_text


def quote(document: dict[str, Any]) -> dict[str, Any]:
    """What each coin would cost."""
    offers = [
        {
            "asset": offer["asset"],
            "amount": coin_text(offer["asset"], offer["amount"]),
            "sats": offer["sats"],
            "lasts": duration_text(offer["seconds"]),
            "quote": short_id(offer["quote_id"]),
            "until_(UTC)": time_text(offer["expires_at"], with_date=False),
        }
        for offer in document["offers"]
    ]
    missing = {asset: f"{why['message']} ({why['code']})" for asset, why in document["not_offered"].items()}
    seconds = f"{document['seconds']} ({duration_text(document['seconds'])})"
    return {**document, "seconds": seconds, "not_offered": missing, "offers": offers}


def prices(document: dict[str, Any]) -> dict[str, Any]:
    """What each coin is worth."""
    items = [
        {
            "asset": item["asset"],
            "sats_per_coin": item["sats_per_coin"] or f"{item['message']} ({item['code']})",
            "from": item["low_sats_per_coin"],
            "to": item["high_sats_per_coin"],
            "asked_on_top": f"{item['haircut_ppm'] / 10_000:g} %",
            "sources": ", ".join(item["sources"]) or None,
            "rejected": ", ".join(item["rejected"]) or None,
        }
        for item in document["items"]
    ]
    return {"at": time_text(document["at"]), "items": items}


def sources(document: dict[str, Any]) -> dict[str, Any]:
    """How each price source does."""
    items = [
        {
            "name": item["name"],
            "group": item["group"],
            "last_ok_(UTC)": time_text(item["last_ok_at"], with_date=False),
            "age": duration_text(item["age_seconds"]),
            **{asset: standing["state"] for asset, standing in item["standings"].items()},
            "weight": f"{max((s['weight_ppm'] for s in item['standings'].values()), default=0) / 10_000:.1f} %",
            "error": item["error"],
        }
        for item in document["items"]
    ]
    return {"at": time_text(document["at"]), "items": items}


def routes(document: dict[str, Any]) -> dict[str, Any]:
    """Their addresses begin the same way: once over the table, not in every row."""
    items = [
        {
            "port": item["port"],
            "path": item["path"],
            "methods": ", ".join(item["methods"]) or "any",
            "sats": item["sats"] or "free",
            "callers": item["callers"],
            "wakes": item["wakes"],
        }
        for item in document["items"]
    ]
    base = document["items"][0]["url"].rpartition(f"/{document['items'][0]['port']}/")[0] if items else None
    called_at = f"{base}/PORT/PATH" if base else None
    return {"called_at": called_at, "operator_keeps": f"{document['fee_percent']:g} %", "items": items}
