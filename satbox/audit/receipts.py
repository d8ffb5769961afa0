"""Check a receipt: its signature, and whether it says the same as the answer it came with."""

from collections.abc import Iterable
from typing import Any

from pydantic import ValidationError

from gate.parts.receipts import is_valid
from gate.reach.output_hashes import output_hashes
from operations.commands import ExecResult
from operations.models import Receipt
from operations.sandbox import Paid, PaymentStatus
from satbox.audit.findings import Findings

KINDS = frozenset({"settlement", "exec", "statement", "checkpoint", "proof"})


PARTS = frozenset({"statement", "signature", "public_key"})


def receipt_in(document: Any) -> Receipt | None:
    """The receipt a document is, or carries as its `receipt`; None when there is none."""
    if isinstance(document, dict):
        for found in (document, document.get("receipt")):
            if isinstance(found, dict) and found.keys() >= PARTS:
                try:
                    return Receipt.model_validate(found)
                except ValidationError:
                    return None
    return None


def check_receipt(document: Any, public_key: str, where: str = "receipt") -> Findings:
    """Whether the operator with this key signed it, and whether an answer around it says what it says.

    Unsigned fields of an answer are reported as not proven where the service sends such fields, and as a finding elsewhere.
    """
    found = Findings()
    receipt = receipt_in(document)
    if receipt is None:
        found.add(where, "format", "this is no receipt, and carries none")
        return found
    found.looked_at("receipts")
    statement = receipt.statement
    if statement.get("kind") not in KINDS:
        found.add(where, "kind", f"unknown kind {statement.get('kind')!r}")
    if receipt.public_key != public_key:
        found.add(where, "key", f"signed with another key: {receipt.public_key[:60]}")
    if not is_valid(receipt, public_key):
        found.add(where, "signature", "the operator with this key did not sign this")
    alone = document if document.keys() >= PARTS else document["receipt"]
    if alone.keys() != PARTS:
        beside = ", ".join(sorted(map(str, alone.keys() - PARTS)))
        found.add(where, "format", f"beside the parts of a receipt stands what nobody signed: {beside[:100]}")
    if alone is not document:
        answer = {name: value for name, value in document.items() if name != "receipt"}
        _CHECKS.get(str(statement.get("kind")), _check_bare)(answer, statement, found, where)
    return found


class _Compare:
    """Tells where an answer says something else than what was signed."""

    def __init__(self, found: Findings, where: str) -> None:
        self._found = found
        self._where = where

    def tell(self, what: str) -> None:
        """The answer is off."""
        self._found.add(self._where, "answer", what)

    def same(self, name: str, said: object, signed: object) -> None:
        """One field."""
        if said != signed:
            self.tell(f"{name} is {said!r}, signed was {signed!r}")

    def known(self, answer: dict[str, Any], names: Iterable[str], what: str = "the answer") -> None:
        """Fields by names that no answer has."""
        unknown = sorted(map(str, answer.keys() - set(names)))
        if unknown:
            self.tell(f"{what} has fields that the service never sends: {', '.join(unknown)[:100]}")

    def not_signed(self, names: Iterable[str]) -> None:
        """What a receipt of this kind does not cover."""
        if told := ", ".join(sorted(names)):
            self._found.not_proven.append(f"{self._where}: not signed: {told}")


def _check_bare(answer: dict[str, Any], statement: dict[str, Any], found: Findings, where: str) -> None:
    _Compare(found, where).known(answer, ())


def _check_settlement(answer: dict[str, Any], statement: dict[str, Any], found: Findings, where: str) -> None:
    """As long as the answer shows the payment as it stood when the receipt was signed, all of it has to agree. One that was
    looked at later may have got further; how far is then not covered.
    """
    compare = _Compare(found, where)
    try:
        payment = PaymentStatus.model_validate(answer["payment"])
    except (KeyError, ValidationError):
        compare.tell("the answer around the receipt cannot be read")
        return
    compare.known(answer, Paid.model_fields)
    compare.known(answer["payment"], PaymentStatus.model_fields, "its payment")
    compare.same("status", answer.get("status"), payment.status)
    for name, said in (
        ("payment_id", answer.get("paymentId")), ("payment_id", payment.paymentId), ("payer", payment.payer),
        ("wallet", payment.address), ("asset", payment.asset), ("amount", payment.amount),
        ("expected_usat", str(payment.expected_usat)),
    ):  # fmt: skip
        compare.same(name, said, statement.get(name))
    later = {"status": payment.status, "txid": payment.txid, "credited_usat": str(payment.credited_usat)}
    if payment.status == statement.get("status"):
        for name, value in later.items():
            compare.same(name, value, statement.get(name))
        later = {}
    elif later["credited_usat"] not in ("0", str(statement.get("expected_usat")), statement.get("credited_usat")):
        compare.tell(f"{payment.credited_usat} usat credited of {statement.get('expected_usat')!r} that were signed")
    elif statement.get("txid") is not None:
        compare.same("txid", payment.txid, statement["txid"])
    unsigned = {"message", "sandbox", "checkStatusUrl"} & {name for name in answer if answer[name] is not None}
    compare.not_signed({*later, *unsigned})


def _check_exec(answer: dict[str, Any], statement: dict[str, Any], found: Findings, where: str) -> None:
    compare = _Compare(found, where)
    try:
        result = ExecResult.model_validate(answer)
        hashed = output_hashes(result)
    except ValueError:
        compare.tell("the answer around the receipt cannot be read")
        return
    compare.known(answer, ExecResult.model_fields)
    compare.known(result.truncated, ("stdout_bytes_dropped", "stderr_bytes_dropped"), "`truncated`")
    for name, hashes in hashed.items():
        if hashes != statement.get(name):
            compare.tell(f"{name} is not what was signed")
        if getattr(result, name) and getattr(result, f"{name}_base64") is not None:
            compare.tell(f"{name} stands there twice, as text and in base64")
    for name in ("exit_code", "signal", "runtime_id", "timed_out", "oom_killed", "start_error", "evidence"):
        compare.same(name, getattr(result, name), statement.get(name))
    usage = statement.get("usage")
    compare.same(
        "usage",
        {
            "cpu_ms": None if result.cpu_ms is None else round(result.cpu_ms),
            "max_rss_bytes": result.max_rss_bytes,
            "duration_ms": round(result.duration_ms or 0),
        },
        usage,
    )


_CHECKS = {"settlement": _check_settlement, "exec": _check_exec}
