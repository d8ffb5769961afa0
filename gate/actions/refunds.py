"""Reclaims: a quote with a challenge that names it, then the same with both signatures; and what became of them.

Nothing is stored between the two steps. The reclaim's id is its challenge's nonce, so one proof moves money once.
"""

import asyncio
from dataclasses import dataclass

from actors.view import View
from actors.wallet.commands import Reclaim, ReclaimPart
from actors.wallet.lots import Lot, PayoutTerms, terms_of
from actors.wallet.state import Payout as Held
from gate.actions.identity import challenge_model
from gate.context import RequestContext, action
from gate.genesis import verify_proof
from gate.identity.callers import Caller
from gate.parts.services import PayoutsPort, Services
from operations import refunds as r
from operations.errors import SatboxError
from operations.models import Nothing, Target
from operations.reclaim_terms import PARTS_MAX, Terms, read_terms, terms_text
from relay_client.payouts import PayoutReport


def _queue(services: Services) -> PayoutsPort:
    if services.payouts is None:
        raise SatboxError("reclaim_nothing", "This service pays nothing out.")
    return services.payouts


@action("sandbox.reclaim")
async def reclaim(context: RequestContext, data: r.ReclaimInput) -> r.Reclaim:
    """The quote, or with a proof the reclaim."""
    services, caller = context.services, context.caller
    address = caller.owned(data.address)
    _queue(services)
    given = (data.challenge, data.btc_signature, data.stx_signature)
    if not any(given):
        return await _quote(services, caller, address, data.deposits)
    challenge, btc_signature, stx_signature = given
    if not challenge or not btc_signature or not stx_signature or data.deposits is not None:
        raise SatboxError("invalid_request", details={"challenge": "with both signatures, and without deposits"})
    claims = services.challenger.read(challenge)
    terms = read_terms(claims.scope)
    if terms is None or claims.stx_address != address:
        raise SatboxError("challenge_invalid", details={"reason": "not for a reclaim of this wallet"})
    domain, network = services.challenger.domain(), services.settings.network
    await asyncio.to_thread(verify_proof, claims, domain, btc_signature, stx_signature, network)
    await services.registry.require_genesis(claims.btc_address, claims.stx_address)
    for part in terms:
        if not await _is_final(services, part.payment_id):
            raise SatboxError("reclaim_not_final", details={"payment_id": part.payment_id})
    reclaim_id = f"rcl_{claims.nonce}"
    parts = tuple(ReclaimPart(t.payment_id, t.origin, t.asset, t.atomic, t.fee_atomic, t.usat) for t in terms)
    view = services.views.put(await services.system.ask(address, Reclaim(reclaim_id, parts)))
    found = [payout for payout in await _payouts(services, view) if payout.payout_id.startswith(f"{reclaim_id}_")]
    return r.Reclaim(status="accepted", reclaim_id=reclaim_id, payouts=found)


@dataclass(frozen=True, slots=True)
class _Offered:
    lot: Lot
    terms: PayoutTerms


async def _quote(services: Services, caller: Caller, address: str, named: str | None) -> r.Reclaim:
    if caller.gate_pass is None:
        raise SatboxError("not_owner")
    state = (await services.system.look(address)).state
    if not state.exists:
        raise SatboxError("wallet_not_found")
    if state.runtime is not None:
        raise SatboxError("reclaim_running", details={"state": state.phase.value})
    wanted = None if named is None else set(named.split(","))
    if wanted is not None and (unknown := wanted - {lot.payment_id for lot in state.reclaimable}):
        raise SatboxError("reclaim_deposit", details={"payment_ids": sorted(unknown)[:PARTS_MAX]})
    offered: list[_Offered] = []
    left_out: list[r.LeftOut] = []
    for lot in reversed(state.reclaimable):
        if wanted is not None and lot.payment_id not in wanted:
            continue
        terms, reason = await _terms(services, lot)
        if terms is not None and len(offered) >= PARTS_MAX:
            terms, reason = None, "more"
        if terms is None:
            left_out.append(r.LeftOut(payment_id=lot.payment_id, left_usat=lot.left_usat, reason=reason))
        else:
            offered.append(_Offered(lot, terms))
    if not offered:
        raise SatboxError("reclaim_nothing", details={"left_out": [one.model_dump() for one in left_out]})
    items = [
        r.ReclaimItem(
            payment_id=one.lot.payment_id, origin=one.lot.origin, asset=one.lot.asset, atomic=one.terms.atomic,
            fee_atomic=one.terms.fee_atomic, usat=one.terms.usat, fee_usat=one.terms.fee_usat,
        )
        for one in offered
    ]  # fmt: skip
    scope = terms_text([Terms(i.payment_id, i.atomic, i.asset, i.origin, i.fee_atomic, i.usat) for i in items])
    issued = await asyncio.to_thread(services.challenger.issue, caller.gate_pass.btc_address, address, scope)
    return r.Reclaim(status="quote", items=items, left_out=left_out, challenge=challenge_model(issued))


async def _terms(services: Services, lot: Lot) -> tuple[PayoutTerms | None, str]:
    fee = services.settings.payout_fees.get(lot.asset)
    if fee is None:
        return None, "asset"
    terms = terms_of(lot, fee)
    if terms is None:
        return None, "fee"
    if not await _is_final(services, lot.payment_id):
        return None, "not_final"
    return terms, ""


async def _is_final(services: Services, credit_id: str) -> bool:
    """Whether a deposit is too deep to leave the chain. One that came back after a reorganisation has a number behind."""
    report = await services.settlements.report("_".join(credit_id.split("_")[:2]))
    return report is not None and report.is_final


async def _payouts(services: Services, view: View) -> list[r.Payout]:
    """Payouts in the queue, and those that the wallet holds money for and has not handed over yet."""
    queued = await _queue(services).payouts_of(view.state.address)
    known = {report.payout_id for report in queued}
    held = [_held(view.state.address, one) for one in view.state.payouts if one.payout_id not in known]
    return [*held, *map(_shown, queued)]


def _held(address: str, payout: Held) -> r.Payout:
    return r.Payout(
        payout_id=payout.payout_id, address=address, recipient=payout.origin, asset=payout.asset, atomic=payout.atomic,
        usat=payout.usat, fee_usat=payout.fee_usat, state="held",
    )  # fmt: skip


def _shown(report: PayoutReport) -> r.Payout:
    return r.Payout(
        payout_id=report.payout_id, address=report.address, recipient=report.recipient, asset=report.asset,
        atomic=report.atomic, usat=report.usat, fee_usat=report.fee_usat, state=report.state.value,
        waits_for=report.waits_for, detail=report.detail, txid=report.txid,
    )  # fmt: skip


@action("sandbox.reclaims")
async def reclaims(context: RequestContext, data: Target) -> r.Payouts:
    """Where they stand."""
    services, caller = context.services, context.caller
    view = await services.system.look(caller.owned(data.address))
    if not view.state.exists:
        raise SatboxError("wallet_not_found")
    return r.Payouts(items=await _payouts(services, view))


@action("operator.payouts")
async def listing(context: RequestContext, data: Nothing) -> r.Payouts:
    """Those of all wallets that are not over."""
    services = context.services
    return r.Payouts(items=[_shown(report) for report in await _queue(services).payouts_unfinished()])


@action("operator.payout_approve")
async def approve(context: RequestContext, data: r.PayoutInput) -> r.Payout:
    """Let one pass."""
    services = context.services
    return _shown(await _queue(services).payout_approve(data.payout_id))


@action("operator.payout_deny")
async def deny(context: RequestContext, data: r.PayoutInput) -> r.Payout:
    """Refuse one."""
    services = context.services
    return _shown(await _queue(services).payout_deny(data.payout_id))
