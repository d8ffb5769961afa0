"""A sandbox and what it holds, as people read it: its state, files, snapshots, processes."""

from typing import Any

from satbox.cli.errors import REASONS
from satbox.cli.output import duration_text, sats_text
from satbox.cli.short_texts import short, short_id, time_text

DIGEST_CHARS = 12
"""Of a snapshot's digest: enough to tell ten of them apart, and taken by the verbs that want one."""
COMMAND_CHARS_MAX = 60
CONFIRMING = "confirming: runs on the receipt until the payment confirms"


def state_means(sandbox: dict[str, Any]) -> str | None:
    """The current meaning of `grace`; None when the state alone is clear."""
    grace = sandbox.get("grace")
    if sandbox["state"] != "grace" or grace is None:
        return None
    if grace["held_by_payment"] is not None:
        return CONFIRMING
    return f"out of credit: stops in {duration_text(grace['seconds_left'])} unless you satbox extend"


def sandbox(document: dict[str, Any]) -> dict[str, Any]:
    """A sandbox and its credit."""
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
    start_file = document.get("start_file")
    if start_file is not None:
        shown["start_file"] = _start_file_text(start_file)
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


def with_budget(document: dict[str, Any]) -> dict[str, Any]:
    """A sandbox, and what it may cost, also when that is as much as it likes."""
    budget = document.get("budget") or {}
    per_call, warned = budget.get("max_usat_per_call"), budget.get("warn_seconds")
    words = [
        *([f"this hour {_budget_text(budget)}"] if budget.get("caps_usat_per_hour") else []),
        *([f"a call {sats_text(per_call)} sats at most"] if per_call is not None else []),
        *([f"warns at {', '.join(map(duration_text, warned)) or 'no time'}"] if warned is not None else []),
    ]
    return {**sandbox(document), "budget": "; ".join(words) or "no limit is set"}


def _start_file_text(start_file: dict[str, Any]) -> str:
    how = f"signal {start_file['signal']}" if start_file["exit_code"] is None else f"exit {start_file['exit_code']}"
    log = f"its words: satbox processes logs {start_file['process_id']}"
    if start_file["state"] == "cannot_run":
        return f".satbox/start cannot be run ({how}); try satbox exec 'chmod +x .satbox/start', check its first line; {log}"
    return f".satbox/start failed ({how}) and is not started again; {log}"


def _budget_text(budget: dict[str, Any]) -> str:
    """Of each cap, what is spent in this hour; the whole counts all meters."""
    spent = budget["spent_usat"]
    parts = []
    for name, cap in budget["caps_usat_per_hour"].items():
        used = sum(spent.values()) if name == "total" else spent.get(name, 0)
        parts.append(f"{'' if name == 'total' else name + ' '}{sats_text(used)} of {sats_text(cap)} sats")
    return ", ".join(parts)


def _earnings(earnings: dict[str, Any]) -> dict[str, Any]:
    """What calls came to, where there were any."""
    return {name: earnings[name] for name in ("earned_usat", "fees_usat", "spent_usat") if earnings.get(name)}


def files(document: dict[str, Any]) -> dict[str, Any]:
    """A directory."""
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


def snapshots(document: dict[str, Any]) -> dict[str, Any]:
    """Snapshots, a row each."""
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


def processes(document: dict[str, Any]) -> dict[str, Any]:
    """Background processes, a row each."""
    return {"items": [process(item) for item in document["items"]]}


def process(found: dict[str, Any]) -> dict[str, Any]:
    """One background process."""
    return {
        "process_id": found["process_id"],
        "state": _ended(found),
        "command": short(" ".join(found["argv"]), COMMAND_CHARS_MAX),
        "started_at": time_text(found["started_at"], with_date=False),
        "log_bytes": found["log_end"],
    }


def _ended(process: dict[str, Any]) -> str:
    """How a process ended, in a few words."""
    if process["state"] != "exited":
        return str(process["state"])
    if process["timed_out"]:
        return "timed out"
    ended = f"signal {process['signal']}" if process["signal"] is not None else f"exit {process['exit_code']}"
    return f"{ended}, out of memory" if process["oom_killed"] else ended
