"""The books as people read them: entries, charges, disputes, checkpoints."""

from collections.abc import Callable
from typing import Any

from satbox.cli.output import sats_text
from satbox.cli.short_texts import date_of, reference_text, short_id, time_text

HASH_CHARS = 16


def ledger_amount(postings: dict[str, int]) -> int:
    """What an entry did to the wallet, in micro-sats: its credit less its debt, or what moved from one to the other."""
    credit, debt = postings.get("bucket", 0), postings.get("owed", 0)
    return credit + debt or credit


def ledger(document: dict[str, Any]) -> dict[str, Any]:
    """A page of the journal."""
    rows = document["items"]
    at = _times(rows, "at")
    items = [
        {
            "seq": row["seq"],
            "at_(UTC)": at(row),
            "kind": row["kind"],
            "reference": reference_text(row["reference"]),
            "sats": f"{'+' if ledger_amount(row['postings']) > 0 else ''}{sats_text(ledger_amount(row['postings']))}",
            "balance": sats_text(row["balance_after_usat"]),
        }
        for row in rows
    ]
    # Deposits are on the other side of the books; people think of them as what they paid.
    accounts = {f"{name}_usat": abs(usat) for name, usat in document["accounts"].items()}
    more = f"satbox ledger --after {document['next_cursor']}" if document["has_more"] else None
    return {**accounts, "chain_head": short_id(document["chain_head"]), "more": more, "items": items}


def _times(rows: list[dict[str, Any]], name: str) -> Callable[[dict[str, Any]], str | None]:
    """How a column of times is written: without the day when it is the same in every row."""
    if len({date_of(row[name]) for row in rows}) <= 1:
        return lambda row: time_text(row[name], with_date=False)
    return lambda row: f"{date_of(row[name])[5:]} {time_text(row[name], with_date=False)}"


def meter(document: dict[str, Any]) -> dict[str, Any]:
    """What each span came to."""
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


def _about(about: dict[str, Any]) -> str:
    """What is disputed: `charge 12` is an entry, `exec 1a2b3c` a receipt."""
    return f"{about.get('kind', '-')} {about['seq'] if 'seq' in about else str(about.get('receipt_sha256', ''))[:6]}"


def _due(dispute: dict[str, Any]) -> str | None:
    if dispute["state"] not in ("open", "answered"):
        return None
    name = "answer_due_at" if dispute["state"] == "open" else "verdict_due_at"
    return "overdue" if dispute["overdue"] else str(dispute[name][:10])


def disputes(document: dict[str, Any]) -> dict[str, Any]:
    """A row each; the words of each are in the JSON form."""
    items = [
        {
            "dispute": item["dispute_id"],
            "about": _about(item["about"]),
            "state": item["state"],
            "sats": sats_text(item["credited_usat"] or item["usat_max"]),
            "due": _due(item),
        }
        for item in document["items"]
    ]
    return {"items": items}


def dispute(document: dict[str, Any]) -> dict[str, Any]:
    """One, with all that was said."""
    shown = {name: document[name] for name in ("dispute_id", "address", "state")}
    shown |= {
        "about": _about(document["about"]),
        "at_most": f"{sats_text(document['usat_max'])} sats",
        "put_right": f"{sats_text(document['credited_usat'])} sats" if document["credited_usat"] else None,
        "due": _due(document),
    }
    steps = [
        {
            "seq": step["seq"],
            "at": step["at"][:19].replace("T", " ") + "Z",
            "state": step["state"],
            "text": step["text"],
        }
        for step in document["steps"]
    ]
    return {**shown, "steps": steps}


def _checkpoint(receipt: dict[str, Any]) -> dict[str, Any]:
    said = receipt["statement"]
    return {
        "number": said["number"], "issued_at": said["issued_at"], "heads": said["heads"],
        "root": said["root"][:HASH_CHARS] + "…",
    }  # fmt: skip


def checkpoints(document: dict[str, Any]) -> dict[str, Any]:
    """A row each."""
    return {"items": [_checkpoint(receipt) for receipt in document["items"]]}


def made_checkpoint(document: dict[str, Any]) -> dict[str, Any]:
    """The newest one, and whose past has changed."""
    newest = {} if document["checkpoint"] is None else _checkpoint(document["checkpoint"])
    return {"made_now": document["made"], **newest, "rewritten": document["rewritten"]}


def proof(document: dict[str, Any]) -> dict[str, Any]:
    """The head that a checkpoint holds."""
    leaf = document["leaf"]
    return {
        "address": leaf["address"], "entry": leaf["seq"], "head": leaf["head"][:HASH_CHARS] + "…",
        **{f"checkpoint_{name}": value for name, value in _checkpoint(document["checkpoint"]).items()},
    }  # fmt: skip
