"""@stacks/transactions in a Node process that answers questions, and our values in the form it is asked in."""

import json
import select
import subprocess
from pathlib import Path
from typing import Any

from stacks.clarity import (
    Bool,
    Buffer,
    ClarityValue,
    Int,
    List,
    NoneValue,
    ResponseErr,
    ResponseOk,
    Some,
    StringAscii,
    StringUtf8,
    Tuple,
    UInt,
)
from stacks.describe import Document, describe_payload, describe_post_condition, describe_transaction, value_type
from stacks.newer_conditions import AnyPostCondition, MaybeSentPostCondition
from stacks.other_payloads import AnyPayload, TenureChange
from stacks.payloads import ContractCall
from stacks.postconditions import NonFungiblePostCondition
from stacks.transaction import AnyTransaction

_TESTS = Path(__file__).parent.parent
ANSWER_SECONDS_MAX = 20.0


class Refused(Exception):  # noqa: N818
    """stacks.js threw."""


class StacksJs:
    """One Node process. Questions and answers are lines of JSON; an answer that does not come is a failure, not a hang."""

    def __init__(self) -> None:
        subprocess.run([_TESTS / "node" / "install"], check=True)
        self._process = subprocess.Popen(
            ["node", _TESTS / "stacks" / "node" / "oracle.mjs"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )

    def ask(self, op: str, **question: Any) -> Any:
        """The answer; raises Refused when stacks.js threw."""
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None
        assert stdout is not None
        stdin.write(json.dumps({"op": op, **question}).encode() + b"\n")
        stdin.flush()
        ready, _, _ = select.select([stdout], [], [], ANSWER_SECONDS_MAX)
        assert ready, f"stacks.js did not answer {op} in {ANSWER_SECONDS_MAX} s"
        answer = json.loads(stdout.readline())
        if "error" in answer:
            raise Refused(answer["error"])
        return answer["ok"]

    def close(self) -> None:
        """End the process."""
        with self._process:
            assert self._process.stdin is not None
            self._process.stdin.close()
            self._process.wait(ANSWER_SECONDS_MAX)


def asked_value(value: ClarityValue) -> Document:
    """A Clarity value as the oracle builds it with its own constructors."""
    inner: Any
    match value:
        case Int(number) | UInt(number):
            inner = str(number)
        case Buffer(data):
            inner = data.hex()
        case Bool(flag):
            inner = flag
        case ResponseOk(wrapped) | ResponseErr(wrapped) | Some(wrapped):
            inner = asked_value(wrapped)
        case NoneValue():
            inner = None
        case List(items):
            inner = [asked_value(item) for item in items]
        case Tuple(entries):
            inner = [[name, asked_value(item)] for name, item in entries]
        case StringAscii(text) | StringUtf8(text):
            inner = text
        case _:
            inner = str(value.principal)
    return {"type": value_type(value), "value": inner}


def asked_payload(payload: AnyPayload) -> Document:
    """A payload as the oracle builds it."""
    described = in_text(describe_payload(payload))
    if isinstance(payload, ContractCall):
        described["args"] = [asked_value(value) for value in payload.arguments]
    if isinstance(payload, TenureChange):
        described |= {"cause": payload.cause, "previous_tenure_blocks": payload.previous_tenure_blocks}
    if "clarity_version" in described and described["clarity_version"] is not None:
        described["clarity_version"] = int(described["clarity_version"])
    return described


def asked_post_condition(condition: AnyPostCondition) -> Document:
    """A post-condition as the oracle builds it."""
    described: Document = in_text(describe_post_condition(condition))
    if isinstance(condition, NonFungiblePostCondition | MaybeSentPostCondition):
        described["value"] = asked_value(condition.value)
    return described


def in_text(value: Any) -> Any:
    """Integers as decimal text, all the way down: JavaScript's numbers end at 2^53."""
    if isinstance(value, dict):
        return {name: in_text(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [in_text(inner) for inner in value]
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


def comparable(tx: AnyTransaction) -> Document:
    """What the oracle tells of a transaction, told by us."""
    document: Document = in_text(describe_transaction(tx))
    for signer in (document["origin"], document["sponsor"]):
        if signer is None:
            continue
        for ours_alone in ("signature_error", "public_keys"):
            del signer[ours_alone]
        if "signature" in signer:
            signer["signature"] = signer["signature"] or "00" * 65
    document["payload"].pop("memo_hex", None)
    return {"hex": tx.serialize().hex(), **document}
