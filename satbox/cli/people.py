"""Answers as people read them: 80 columns, amounts in sats, short ids and times. Whoever wants all of it takes the JSON form."""

import re
from collections.abc import Callable
from typing import Any

from satbox.cli import books_tables
from satbox.cli.errors import REASONS
from satbox.cli.output import duration_text, sats_text

ID_CHARS_MAX = 14
DIGEST_CHARS = 12
"""Of a snapshot's digest: enough to tell ten of them apart, and taken by the verbs that want one."""
COMMAND_CHARS_MAX = 60
LABEL_CHARS_MAX = 10
CONFIRMING = "confirming: runs on the receipt until the payment confirms"
_TIME = re.compile(r"(\d{4}-\d\d-\d\d)T(\d\d:\d\d:\d\d)")


def short_id(text: str | None) -> str | None:
    """An id or an address that fits into a table, recognisable at both ends; a contract keeps its name."""
    if text is None:
        return None
    owner, dot, name = text.partition(".")
    return (owner if len(owner) <= ID_CHARS_MAX else f"{owner[:8]}…{owner[-3:]}") + dot + name


def date_of(text: str) -> str:
    """The day of an ISO 8601 time; nothing when it is none."""
    found = _TIME.match(text)
    return found[1] if found else ""


def time_text(text: str | None, *, with_date: bool = True) -> str | None:
    """An ISO 8601 time in UTC to the second."""
    found = _TIME.match(text) if text is not None else None
    if found is None:
        return text
    return f"{found[1]} {found[2]}Z" if with_date else found[2]


def coin_text(asset: str | None, amount: Any) -> str:
    """An amount of a coin: sBTC in sats, the others in whole coins of six decimals."""
    if not str(amount).isascii() or not str(amount).isdigit() or asset not in ("sBTC", "STX", "USDCx"):
        return str(amount)
    return f"{int(amount):,} sats" if asset == "sBTC" else f"{sats_text(int(amount))} {asset}"


def state_means(sandbox: dict[str, Any]) -> str | None:
    """What `grace` stands for at the moment; None when the state speaks for itself."""
    grace = sandbox.get("grace")
    if sandbox["state"] != "grace" or grace is None:
        return None
    if grace["held_by_payment"] is not None:
        return CONFIRMING
    return f"out of credit: stops in {duration_text(grace['seconds_left'])} unless you satbox extend"


def _times(rows: list[dict[str, Any]], name: str) -> Callable[[dict[str, Any]], str | None]:
    """How a column of times is written: without the day when it is the same in every row."""
    if len({date_of(row[name]) for row in rows}) <= 1:
        return lambda row: time_text(row[name], with_date=False)
    return lambda row: f"{date_of(row[name])[5:]} {time_text(row[name], with_date=False)}"


def _budget_text(budget: dict[str, Any]) -> str:
    """Of each cap, what is spent in this hour; the whole counts all meters."""
    spent = budget["spent_usat"]
    parts = []
    for name, cap in budget["caps_usat_per_hour"].items():
        used = sum(spent.values()) if name == "total" else spent.get(name, 0)
        parts.append(f"{'' if name == 'total' else name + ' '}{sats_text(used)} of {sats_text(cap)} sats")
    return ", ".join(parts)


def _sandbox(document: dict[str, Any]) -> dict[str, Any]:
    grace = document["grace"]
    shown = {
        name: document[name]
        for name in ("address", "state", "reason", "runtime_id", "size_class", "image", "rate_usat_per_second")
    }
    budget = document.get("budget") or {}
    if budget.get("held"):
        shown["state"] = f"{document['state']}, paused: the hour's budget is used up"
        shown["budget"] = f"{_budget_text(budget)} (satbox budget --max-sats-per-hour N raises it)"
    elif document.get("paused"):
        shown["state"] = f"{document['state']}, paused (satbox unpause lets it run on)"
    if document["state"] == "reaped":
        shown["reason"] = REASONS.get(str(document["reason"]), document["reason"])
    means = state_means(document)
    if means is not None:
        shown = {"address": document["address"], "state": document["state"], "meaning": means, **shown}
    shown |= {name: document[name] for name in ("balance_usat", "owed_usat", "deposited_usat", "charged_usat")}
    shown |= _earnings(document.get("earnings") or {})
    if grace is None:
        shown |= {"seconds_left": document["seconds_left"], "exhausts_at": time_text(document["exhausts_at"])}
    else:
        shown |= {"grace_left": duration_text(grace["seconds_left"]), "grace_until": time_text(grace["deadline_at"])}
    shown["snapshot_digest"] = (document["snapshot_digest"] or "")[:DIGEST_CHARS] or None
    shown["pending_payments"] = [
        {**payment, "paymentId": short_id(payment["paymentId"])} for payment in document["pending_payments"]
    ]
    return shown


def _earnings(earnings: dict[str, Any]) -> dict[str, Any]:
    """What calls came to, where there were any."""
    return {name: earnings[name] for name in ("earned_usat", "fees_usat", "spent_usat") if earnings.get(name)}


def _routes(document: dict[str, Any]) -> dict[str, Any]:
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


def _quote(document: dict[str, Any]) -> dict[str, Any]:
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


def _prices(document: dict[str, Any]) -> dict[str, Any]:
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


def _sources(document: dict[str, Any]) -> dict[str, Any]:
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


def ledger_amount(postings: dict[str, int]) -> int:
    """What an entry did to the wallet, in micro-sats: its credit less its debt, or what moved from one to the other."""
    credit, debt = postings.get("bucket", 0), postings.get("owed", 0)
    return credit + debt or credit


def _ledger(document: dict[str, Any]) -> dict[str, Any]:
    rows = document["items"]
    at = _times(rows, "at")
    items = [
        {
            "seq": row["seq"],
            "at_(UTC)": at(row),
            "kind": row["kind"],
            "reference": short_id(row["reference"]),
            "sats": f"{'+' if ledger_amount(row['postings']) > 0 else ''}{sats_text(ledger_amount(row['postings']))}",
            "balance": sats_text(row["balance_after_usat"]),
        }
        for row in rows
    ]
    # Deposits are on the other side of the books; people think of them as what they paid.
    accounts = {f"{name}_usat": abs(usat) for name, usat in document["accounts"].items()}
    more = f"satbox ledger --after {document['next_cursor']}" if document["has_more"] else None
    return {**accounts, "chain_head": short_id(document["chain_head"]), "more": more, "items": items}


def _meter(document: dict[str, Any]) -> dict[str, Any]:
    spans = [
        {
            "seq": span["seq"],
            "runtime": short_id(span["runtime_id"]),
            "elapsed": f"{span['elapsed_ms'] // 1000}.{span['elapsed_ms'] % 1000:03d} s",
            "rate": f"{sats_text(span['rate_usat_per_second'])} sats/s",
            "charge": f"{sats_text(span['charge_usat'])} sats",
        }
        for span in document["spans"]
    ]
    return {**document, "spans": spans}


def _files(document: dict[str, Any]) -> dict[str, Any]:
    entries = [
        {
            "name": entry["name"],
            "kind": entry["kind"],
            "size_bytes": entry["size_bytes"],
            "mode": entry["mode"],
            "modified_at": time_text(entry["modified_at"]),
        }
        for entry in document["entries"]
    ]
    return {"path": document["path"], "truncated": document["truncated"] or None, "entries": entries}


def _ended(process: dict[str, Any]) -> str:
    """How a process ended, in a few words."""
    if process["state"] != "exited":
        return str(process["state"])
    if process["timed_out"]:
        return "timed out"
    ended = f"signal {process['signal']}" if process["signal"] is not None else f"exit {process['exit_code']}"
    return f"{ended}, out of memory" if process["oom_killed"] else ended


def _process(process: dict[str, Any]) -> dict[str, Any]:
    return {
        "process_id": process["process_id"],
        "state": _ended(process),
        "command": " ".join(process["argv"])[:COMMAND_CHARS_MAX],
        "started_at": time_text(process["started_at"], with_date=False),
        "log_bytes": process["log_end"],
    }


def _processes(document: dict[str, Any]) -> dict[str, Any]:
    return {"items": [_process(process) for process in document["items"]]}


def _wake_links(document: dict[str, Any]) -> dict[str, Any]:
    return {"items": [_wake_link(item) for item in document["items"]]}


def _wake_link(link: dict[str, Any]) -> dict[str, Any]:
    day, sats = link["wakes_per_day"], link["sats_per_day"]
    may_wake, may_pay = "wake" in link["scopes"], "topup" in link["scopes"]
    paid = "any" if sats is None else f"{sats - link['sats_left_today']:,}/{sats:,}"
    return {
        "link_id": link["link_id"],
        "label": link["label"][:LABEL_CHARS_MAX] or None,
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


def _link_info(document: dict[str, Any]) -> dict[str, Any]:
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


def _snapshots(document: dict[str, Any]) -> dict[str, Any]:
    items = [
        {
            "name": item["name"] or "(left by a stop)",
            "size_bytes": item["size_bytes"],
            "created_at": time_text(item["created_at"]),
            "current": "yes" if item["current"] else None,
            "digest": item["digest"][:DIGEST_CHARS],
        }
        for item in document["items"]
    ]
    return {"items": items}


_FORMS: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
    "sandbox.status": _sandbox,
    "sandbox.wake": _sandbox,
    "sandbox.reap": _sandbox,
    "sandbox.pause": _sandbox,
    "sandbox.resume": _sandbox,
    "snapshots.restore": _sandbox,
    "operator.rate": _sandbox,
    "routes.list": _routes,
    "processes.start": _process,
    "processes.get": _process,
    "processes.kill": _process,
    "processes.wait": _process,
    "processes.list": _processes,
    "snapshots.list": _snapshots,
    "wake_links.list": _wake_links,
    "wake_links.revoke": _wake_link,
    "wake_links.info": _link_info,
    "sandbox.quote": _quote,
    "oracle.prices": _prices,
    "oracle.sources": _sources,
    "sandbox.ledger": _ledger,
    "sandbox.meter": _meter,
    "files.list": _files,
    **books_tables.FORMS,
}


def for_people(operation: str, document: dict[str, Any]) -> dict[str, Any]:
    """An operation's answer, ready for a table."""
    form = _FORMS.get(operation)
    return document if form is None else form(document)


_EVENT_FIRST = ("usat", "asset", "expected_usat", "status", "reason", "code", "message")


def event_words(data: dict[str, Any]) -> str:
    """What an event says: amounts first and in sats, ids short and last."""
    from satbox.cli.output import cell_text, label

    names = [*(name for name in _EVENT_FIRST if name in data), *(name for name in data if name not in _EVENT_FIRST)]
    said = []
    for name in names:
        value = data[name]
        if value in (None, "", [], {}):
            continue
        if name in ("usat", "asset", "status"):
            said.append(f"{sats_text(value)} sats" if name == "usat" and isinstance(value, int) else str(value))
        elif isinstance(value, str):
            known = name in ("payment_id", "runtime_id")  # such an id says by its first letters what it is of
            said.append(("" if known else f"{label(name)} ") + str(value if name in _EVENT_FIRST else short_id(value)))
        else:
            said.append(f"{label(name)} {cell_text(name, value)}")
    return ", ".join(said)
