"""Keys, registration and coins on a devnet, proof."""

import asyncio
from typing import Any

from satbox.cli.context import Context
from satbox.cli.errors import UsageError
from satbox.cli.output import show


async def keygen(context: Context) -> int:
    """Make keys and show the addresses; keys that exist are never touched."""
    from satbox.agent.keystore import Keystore

    keystore = Keystore(context.home)
    name = context.arguments.name or context.agent_name
    agent = await asyncio.to_thread(keystore.create, name)
    show(context, {**agent.public(), "path": str(keystore.path(name))})
    return 0


async def register(context: Context) -> int:
    """Register the agent's pair at the devnet (agents are registered under their mainnet addresses)."""
    agent = context.load_agent()
    body = {
        "btcAddress": agent.mainnet.btc,
        "stxAddress": agent.mainnet.stx,
        "level": context.arguments.level,
    }
    show(context, await _devnet(context, "agents", body, "register"))
    return 0


async def faucet(context: Context) -> int:
    """Coins of the devnet for the agent."""
    from stacks import Network

    address = context.load_agent().addresses(Network(context.network)).stx
    body = {"address": address, "sbtc": context.arguments.sbtc, "stx": context.arguments.stx}
    show(context, await _devnet(context, "faucet", body, "faucet"))
    return 0


async def _devnet(context: Context, path: str, body: dict[str, Any], verb: str) -> Any:
    import aiohttp

    from operations.errors import SatboxError
    from relay_client.http import NoAnswer, exchange

    url = f"{context.devnet}/devnet/{path}"
    try:
        async with aiohttp.ClientSession() as session:
            answer = await exchange(session, "POST", url, timeout_seconds=10, body=body)
    except NoAnswer as error:
        raise SatboxError(
            "unreachable", "The devnet does not answer.", details={"devnet": context.devnet, "reason": error.detail},
            hint="It runs beside the gate: satbox up, which prints what to export.",
        ) from error  # fmt: skip
    if not 200 <= answer.status < 300:
        message = f"The devnet refused it: {str(answer.fields.get('error', answer.status))[:300]}"
        raise SatboxError(
            "invalid_request", message, details={"devnet": context.devnet}, hint=f"See satbox {verb} --help."
        )
    return answer.body


async def challenge(context: Context) -> int:
    """A challenge for the agent's pair, or for the one that is named."""
    from stacks import Network

    given = context.arguments
    btc, stx = given.btc_address, given.stx_address
    if (btc is None) != (stx is None):
        raise UsageError("name both addresses, or neither")
    if btc is None:
        pair = context.load_agent().addresses(Network(context.network))
        btc, stx = pair.btc, pair.stx
    async with context.client(with_agent=False) as client:
        show(context, await client.gate_challenge(btc_address=btc, stx_address=stx, scope=given.scope or "owner"))
    return 0


async def prove(context: Context) -> int:
    """Prove the agent's keys and keep the pass; or trade signatures that were made elsewhere."""
    given = context.arguments
    signed = (given.challenge, given.btc_signature, given.stx_signature)
    if any(signed) and not all(signed):
        raise UsageError("--challenge, --btc-signature and --stx-signature go together")
    async with context.client(with_agent=not all(signed)) as client:
        if all(signed):
            show(
                context,
                await client.gate_prove(
                    challenge=given.challenge, btc_signature=given.btc_signature, stx_signature=given.stx_signature
                ),
            )
        else:
            show(context, await client.prove(scope=given.scope))
    return 0
