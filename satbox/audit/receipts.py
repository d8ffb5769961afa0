"""Check a receipt: its signature, and whether it says the same as the answer it came with."""

from typing import Any

from pydantic import ValidationError

from gate.exec_receipts import output_hashes
from gate.receipts import is_valid
from operations.models import ExecResult, Receipt
from satbox.audit.findings import Findings

KINDS = frozenset({"settlement", "exec", "statement", "checkpoint", "proof"})


def receipt_in(document: Any) -> Receipt | None:
    """The receipt a document is, or carries; None when there is none."""
    if isinstance(document, dict):
        for found in (document, document.get("receipt"), document.get("statement")):
            if isinstance(found, dict) and {"statement", "signature", "public_key"} <= found.keys():
                try:
                    return Receipt.model_validate(found)
                except ValidationError:
                    return None
    return None


def check_receipt(document: Any, public_key: str, where: str = "receipt") -> Findings:
    """Whether the operator with this key signed it, and whether an answer around it says what it says."""
    found = Findings()
    receipt = receipt_in(document)
    if receipt is None:
        found.add(where, "format", "this is no receipt, and carries none")
        return found
    found.looked_at("receipts")
    if receipt.statement.get("kind") not in KINDS:
        found.add(where, "kind", f"unknown kind {receipt.statement.get('kind')!r}")
    if receipt.public_key != public_key:
        found.add(where, "key", f"signed with another key: {receipt.public_key[:60]}")
    if not is_valid(receipt, public_key):
        found.add(where, "signature", "the operator with this key did not sign this")
    _check_answer(document, receipt.statement, found, where)
    return found


def _check_answer(document: dict[str, Any], statement: dict[str, Any], found: Findings, where: str) -> None:
    if "receipt" not in document:
        return
    if statement.get("kind") == "settlement":
        # Not the state: the answer may have waited for the confirmation, the receipt says how it stood when it was signed.
        if "paymentId" in document and document["paymentId"] != statement.get("payment_id"):
            signed = statement.get("payment_id")
            found.add(where, "answer", f"paymentId is {document['paymentId']!r}, signed was {signed!r}")
    elif statement.get("kind") == "exec":
        try:
            result = ExecResult.model_validate(document)
            signed = {name: statement.get(name) for name in ("stdout", "stderr")}
            hashed = output_hashes(result)
        except ValueError:
            found.add(where, "answer", "the answer around the receipt cannot be read")
            return
        for name, hashes in hashed.items():
            if hashes != signed[name]:
                found.add(where, "answer", f"{name} is not what was signed")
        for name in ("exit_code", "signal", "runtime_id", "timed_out", "oom_killed"):
            if getattr(result, name) != statement.get(name):
                found.add(where, "answer", f"{name} is {getattr(result, name)!r}, signed was {statement.get(name)!r}")
