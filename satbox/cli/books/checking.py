"""`satbox verify receipt` and `satbox ledger verify`: check what the operator signed, without trusting the operator.

Exit 0: it holds; 1: it does not, and what is off is named; 2: there is nothing to judge.
"""

import asyncio
import sys
from pathlib import Path
from typing import Any

from operations.errors import SatboxError
from satbox.agent.local_paths import local_path
from satbox.audit.exact_json import exact_json
from satbox.audit.findings import Findings
from satbox.audit.keys import NotAKey, public_key_of
from satbox.audit.receipts import check_receipt
from satbox.audit.statement_file import NotAStatement, read_statement
from satbox.audit.statements import StatementCheck
from satbox.cli.context import Context
from satbox.cli.errors import OK, REFUSED, UsageError
from satbox.cli.output import show

RECEIPT_BYTES_MAX = 64 << 20
_KEY_HINT = "Name it with --key (base64, or a file: satbox key prints it), or ask the service with --fetch-key."


async def receipt(context: Context) -> int:
    """A receipt by itself, or the answer that carries one."""
    document = document_in(context.arguments.file)
    return told(context, check_receipt(document, await key_of(context), context.arguments.file))


async def ledger(context: Context) -> int:
    """A statement file, receipts beside it, and on request what the service says now."""
    given = context.arguments
    path = Path(given.file)
    key = await key_of(context)
    with local_path(path):
        try:
            file = await asyncio.to_thread(read_statement, path)
        except NotAStatement as error:
            found = Findings()
            found.add(given.file, "format", str(error))
            return told(context, found)
    check = StatementCheck(file, key)
    await asyncio.to_thread(check.run)
    check.against_receipts([(name, document_in(name)) for name in given.receipt or ()])
    if given.live and check.wallet:
        await _against_service(context, check)
    return told(context, check.found, wallet=check.wallet, last_seq=check.last_seq)


async def _against_service(context: Context, check: StatementCheck) -> None:
    """What the service shows now must continue what it signed then."""
    async with context.client() as client:
        if check.last_seq:
            page = await client.sandbox_ledger(address=check.wallet, after=check.last_seq - 1, limit=1)
            head = page.items[0].hash if page.items and page.items[0].seq == check.last_seq else "gone"
            check.against_entry(check.last_seq, head)
        try:
            proof = await client.checkpoints_proof(address=check.wallet)
        except SatboxError as error:
            if error.code != "checkpoint_not_found":
                raise
            return
        check.against_checkpoint(proof.model_dump(), "the service's checkpoint")


async def key_of(context: Context) -> str:
    """The operator's public key: the one named, or the service's own when asked for it."""
    given = context.arguments
    if given.key is not None:
        try:
            return public_key_of(given.key)
        except NotAKey as error:
            raise UsageError(f"--key: {error}", _KEY_HINT) from error
    if not given.fetch_key:
        raise UsageError("whose signature is it to be", _KEY_HINT)
    async with context.client(with_agent=False) as client:
        return (await client.service_key()).public_key


def document_in(name: str) -> Any:
    """A JSON file by its name, or `-` for standard input. Raises UsageError."""
    if name == "-":
        raw = sys.stdin.buffer.read(RECEIPT_BYTES_MAX + 1)
    else:
        with local_path(Path(name)), Path(name).open("rb") as file:
            raw = file.read(RECEIPT_BYTES_MAX + 1)
    if len(raw) > RECEIPT_BYTES_MAX:
        raise UsageError(f"{name} is over {RECEIPT_BYTES_MAX} bytes", "A receipt is a small JSON file.")
    return json_in(raw, name)


def json_in(raw: bytes, name: str) -> Any:
    """A receipt, or the answer that carries it, as it was read. Raises UsageError."""
    try:
        return exact_json(raw)
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{name} is not JSON", "Give the receipt, or the answer that carries it.") from error


def told(context: Context, found: Findings, **more: Any) -> int:
    """Say what was found; the exit code."""
    document = {**found.document(), **more}
    if context.as_json:
        show(context, document)
    else:
        print("holds" if found.is_clean else f"does NOT hold: {found.count} findings")
        for what in found.not_proven:
            print(f"  NOT COVERED: {what}")
        for what, number in found.checked.items():
            print(f"  {number:>9,}  {what}")
        for item in found.items:
            print(f"  {item.where}: {item.rule}: {item.what}")
        for name, value in more.items():
            print(f"  {name.replace('_', ' ')}: {value}")
    return OK if found.is_clean else REFUSED
