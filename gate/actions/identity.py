"""Challenge, proof, pass."""

import asyncio

from actors.view import iso
from actors.wallet.commands import BurnNonce, RevokePasses
from gate.context import RequestContext, action
from gate.genesis import IssuedChallenge, verify_proof
from gate.genesis.passes import SCOPES
from operations.errors import SatboxError
from operations.identity import Challenge, ChallengeInput, GatePass, ProofInput, Revoked
from operations.models import Nothing


@action("gate.challenge")
async def challenge(context: RequestContext, data: ChallengeInput) -> Challenge:
    """Issue a challenge; nothing is stored. A scope that no pass can have is refused here, before anybody signs."""
    services = context.services
    if data.scope not in SCOPES:
        raise SatboxError("invalid_request", details={"scope": f"one of {', '.join(SCOPES)}"})
    issued = await asyncio.to_thread(services.challenger.issue, data.btc_address, data.stx_address, data.scope)
    return challenge_model(issued)


def challenge_model(issued: IssuedChallenge) -> Challenge:
    """A challenge as it is shown to the caller."""
    return Challenge(
        challenge=issued.token,
        text=issued.claims.text(),
        domain=issued.domain,
        message=dict(issued.claims.fields()),
        domain_hints=issued.domain_hints,
        message_hints=issued.message_hints,
        domain_hex=issued.domain_hex,
        message_hex=issued.message_hex,
        expires_at=iso(issued.claims.expires_at * 1000),
    )


@action("gate.prove")
async def prove(context: RequestContext, data: ProofInput) -> GatePass:
    """Both signatures, then the registry, then burn the nonce: only a whole proof uses the challenge up."""
    services = context.services
    claims = services.challenger.read(data.challenge)
    if claims.scope not in SCOPES:
        raise SatboxError("challenge_invalid", details={"reason": "this challenge is for no pass"})
    await asyncio.to_thread(
        verify_proof,
        claims,
        services.challenger.domain(),
        data.btc_signature,
        data.stx_signature,
        services.settings.network,
    )
    agent = await services.registry.require_genesis(claims.btc_address, claims.stx_address)
    view = await services.system.ask(claims.stx_address, BurnNonce(claims.nonce, claims.expires_at * 1000))
    services.views.put(view)
    token, made = services.passes.issue(
        claims.stx_address, claims.btc_address, agent.level, claims.scope, view.state.pass_epoch
    )
    return GatePass(
        token=token,
        address=made.address,
        btc_address=made.btc_address,
        level=made.level,
        level_name=agent.level_name,
        scope=made.scope,
        expires_at=iso(made.expires_at * 1000),
    )


@action("gate.revoke")
async def revoke(context: RequestContext, data: Nothing) -> Revoked:
    """Raise the wallet's pass epoch."""
    services, caller = context.services, context.caller
    view = services.views.put(await services.system.ask(caller.address(None), RevokePasses()))
    return Revoked(address=view.state.address, pass_epoch=view.state.pass_epoch)
