"""Disputes: read from the steps in a wallet's journal, one step further by a command to the wallet."""

import asyncio
import hashlib
import json
from typing import Any

import rfc8785
from pydantic import ValidationError

from actors.books.ranges import Range
from actors.view import iso
from actors.wallet.commands import AnswerDispute, DecideDispute, OpenDispute
from actors.wallet.decide_disputes import STEP
from actors.wallet.journal import Entry
from gate.context import RequestContext, action
from gate.parts.dispute_index import DisputeIndex
from gate.parts.receipts import is_valid
from gate.parts.services import Services
from operations import disputes as d
from operations.errors import SatboxError
from operations.models import Receipt, Target
from storage.errors import StorageError
from storage.full_disk import is_full

PAGE_ROWS = 200
SCANNED_MAX = 20_000
"""Rows of the index looked at for one listing."""
OPENING_MS_MAX = 60_000
"""So long a dispute may be on the list before it is in its wallet's journal."""

_STATES = {kind: state for state, kind in STEP.items()}

TAKES = frozenset({"charge", "meter", "fee", "spend", "reversal"})
"""Entries that took money from the wallet: all of it is put right unless the verdict says how much. A command's receipt is none:
its seconds were charged once, however many commands ran in them.
"""


def fold(address: str, entries: list[Entry], now_ms: int) -> dict[str, d.Dispute]:
    """Disputes by id from their steps."""
    found: dict[str, d.Dispute] = {}
    for entry in entries:
        words: dict[str, Any] = json.loads(entry.reference or "{}")
        dispute_id, state = str(words["dispute_id"]), _STATES[entry.kind]
        text = str(words.get("text", words.get("reason", "")))
        step = d.Step(state=state, at=iso(entry.at_ms), seq=entry.seq, text=text, usat=int(words.get("usat", 0)))
        if state == "open":
            due = {"answer_due_at": words["answer_due_ms"], "verdict_due_at": words["verdict_due_ms"]}
            found[dispute_id] = d.Dispute(
                dispute_id=dispute_id, address=address, state="open", about=words["about"], reason=words["reason"],
                usat_max=words["usat_max"], overdue=now_ms > due["answer_due_at"], steps=[step],
                **{name: iso(at_ms) for name, at_ms in due.items()},
            )  # fmt: skip
            continue
        dispute = found[dispute_id]
        dispute.state, dispute.credited_usat = state, step.usat  # type: ignore[assignment]
        dispute.overdue = state == "answered" and iso(now_ms) > dispute.verdict_due_at
        dispute.steps.append(step)
    return found


async def _of(services: Services, address: str) -> dict[str, d.Dispute]:
    return fold(address, await services.system.disputes(address), services.clock.wall_ms())


def _index(services: Services) -> DisputeIndex:
    if services.disputes is None:
        raise SatboxError("dispute_not_found")
    return services.disputes


@action("disputes.open")
async def open_one(context: RequestContext, data: d.OpenInput) -> d.Dispute:
    """Object to an entry or a receipt, once; a repetition answers with how it stands."""
    services, caller = context.services, context.caller
    address = caller.owned(data.address)
    if (data.seq is None) == (data.receipt is None):
        raise SatboxError("invalid_request", details={"seq": "exactly one of seq and receipt"})
    settings, now_ms = services.settings, services.clock.wall_ms()
    if data.seq is not None:
        about, usat_max, at = await _entry(services, address, data.seq)
    else:
        about, usat_max, at = _receipt(services, address, data.receipt or "")
    if at < iso(now_ms - settings.dispute_window_seconds * 1000):
        raise SatboxError("dispute_too_late", details={"window_seconds": settings.dispute_window_seconds})
    digest = hashlib.sha256(rfc8785.dumps({"address": address, "about": about})).hexdigest()
    dispute_id = f"dsp_{digest[:24]}"
    await asyncio.to_thread(_index(services).add, dispute_id, address, now_ms)
    command = OpenDispute(
        dispute_id, about, data.reason, usat_max,
        now_ms + settings.dispute_answer_seconds * 1000, now_ms + settings.dispute_verdict_seconds * 1000,
    )  # fmt: skip
    try:
        services.views.put(await services.system.ask(address, command))
    except SatboxError:
        await _forget(services, dispute_id, address)
        raise
    await asyncio.to_thread(_index(services).add, dispute_id, address, now_ms)
    return (await _of(services, address))[dispute_id]


async def _forget(services: Services, dispute_id: str, address: str) -> None:
    """Take a dispute that never came to be off the operator's list. The journal is asked after that too: another request
    may have opened it meanwhile, and adds it again itself when it ends later than our look.
    """
    index, now_ms = _index(services), services.clock.wall_ms()
    try:
        if dispute_id in await _of(services, address):
            return
        await asyncio.to_thread(index.remove, dispute_id)
        if dispute_id in await _of(services, address):
            await asyncio.to_thread(index.add, dispute_id, address, now_ms)
    except SatboxError as error:
        if error.code == "wallet_not_found":
            await asyncio.to_thread(index.remove, dispute_id)


async def _entry(services: Services, address: str, seq: int) -> tuple[dict[str, str | int], int, str]:
    """What is disputed, what it moved, and when."""
    page = await services.system.ledger(address, Range(seq - 1, seq), 1)
    if not page.entries or page.entries[0].seq != seq:
        raise SatboxError("dispute_target", details={"seq": "no such entry"})
    entry = page.entries[0]
    taken = -sum(usat for name, usat in entry.amounts if name in ("bucket", "owed"))
    moved = taken if taken > 0 else sum(usat for _, usat in entry.amounts if usat > 0)
    if not moved or entry.kind == "credit":
        raise SatboxError("dispute_target", details={"seq": f"a {entry.kind} moves nothing that could be put right"})
    return {"seq": seq, "hash": entry.hash, "kind": entry.kind}, moved, iso(entry.at_ms)


def _receipt(services: Services, address: str, text: str) -> tuple[dict[str, str | int], int, str]:
    try:
        receipt = Receipt.model_validate_json(text)
        said = receipt.statement
        amount = said["price"]["time_usat"] if said["kind"] == "exec" else said["expected_usat"]
        if not is_valid(receipt, services.receipts.public_key) or said["wallet"] != address:
            raise SatboxError("dispute_target", details={"receipt": "not signed here, or for another wallet"})
        digest = hashlib.sha256(rfc8785.dumps(said)).hexdigest()
        return {"receipt_sha256": digest, "kind": str(said["kind"])}, int(amount), str(said["issued_at"])
    except (ValidationError, KeyError, TypeError, ValueError) as error:
        raise SatboxError("dispute_target", details={"receipt": "not a receipt for a payment or a command"}) from error


@action("disputes.list")
async def listing(context: RequestContext, data: Target) -> d.Disputes:
    """All of one wallet."""
    services, caller = context.services, context.caller
    return d.Disputes(items=list((await _of(services, caller.owned(data.address))).values()))


@action("operator.disputes")
async def waiting(context: RequestContext, data: d.OperatorDisputesInput) -> d.Disputes:
    """Those of all wallets that are not over. Rows whose dispute never came to be are passed over, and taken off the list."""
    services = context.services
    index, now_ms = _index(services), services.clock.wall_ms()
    items: list[d.Dispute] = []
    known: dict[str, dict[str, d.Dispute]] = {}
    after = (-1, "")
    for _ in range(SCANNED_MAX // PAGE_ROWS):
        rows = await asyncio.to_thread(index.waiting, PAGE_ROWS, after)
        for row in rows:
            after = (row.at_ms, row.dispute_id)
            try:
                if row.address not in known:
                    known[row.address] = await _of(services, row.address)
            except SatboxError:
                continue
            dispute = known[row.address].get(row.dispute_id)
            if dispute is None:
                if row.at_ms < now_ms - OPENING_MS_MAX:
                    await _forget(services, row.dispute_id, row.address)
            elif dispute.state in ("open", "answered"):
                items.append(dispute)
            else:
                await _close(index, row.dispute_id)
            if len(items) == data.limit:
                return d.Disputes(items=items)
        if len(rows) < PAGE_ROWS:
            break
    return d.Disputes(items=items)


async def _close(index: DisputeIndex, dispute_id: str) -> None:
    """Take a dispute that is over off the operator's list. On a full disk it stays, and the next listing takes it off."""
    try:
        await asyncio.to_thread(index.close, dispute_id)
    except StorageError as error:
        if not is_full(error):
            raise


async def _found(services: Services, dispute_id: str) -> tuple[str, d.Dispute]:
    address = await asyncio.to_thread(_index(services).address_of, dispute_id)
    dispute = None if address is None else (await _of(services, address)).get(dispute_id)
    if address is None or dispute is None:
        raise SatboxError("dispute_not_found")
    return address, dispute


@action("operator.answer")
async def answer(context: RequestContext, data: d.AnswerInput) -> d.Dispute:
    """Say something to it."""
    services = context.services
    address, _ = await _found(services, data.dispute_id)
    await services.system.ask(address, AnswerDispute(data.dispute_id, data.text))
    return (await _of(services, address))[data.dispute_id]


async def _decide(services: Services, data: d.AnswerInput, *, is_upheld: bool, usat: int | None) -> d.Dispute:
    """Record the verdict. The same verdict again gets the same answer; a different one is refused."""
    address, dispute = await _found(services, data.dispute_id)
    verdict = "upheld" if is_upheld else "denied"
    if usat is None and dispute.about.get("kind") not in TAKES:
        raise SatboxError(
            "invalid_request", details={"usat": "name it: this took nothing that could just be given back"}
        )
    due = dispute.usat_max if usat is None else usat
    if dispute.state not in ("open", "answered"):
        if (dispute.state, dispute.credited_usat) != (verdict, due):
            raise SatboxError("dispute_state", details={"state": dispute.state, "usat": dispute.credited_usat})
        return dispute
    view = await services.system.ask(address, DecideDispute(data.dispute_id, is_upheld, due, data.text))
    services.views.put(view)
    await _close(_index(services), data.dispute_id)
    return (await _of(services, address))[data.dispute_id]


@action("operator.uphold")
async def uphold(context: RequestContext, data: d.UpholdInput) -> d.Dispute:
    """For the owner."""
    services = context.services
    return await _decide(services, data, is_upheld=True, usat=data.usat)


@action("operator.deny")
async def deny(context: RequestContext, data: d.AnswerInput) -> d.Dispute:
    """Against the owner."""
    services = context.services
    return await _decide(services, data, is_upheld=False, usat=0)
