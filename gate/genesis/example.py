"""A door of your own, and an agent who walks through it: `python -m gate.genesis.example`.

The door is all a service needs: issue a challenge, check both signatures, ask the registry, burn the nonce. The agent's half
shows what is signed, and how. A small registry stands in for aibtc.com, so that nothing leaves this machine.
"""

import asyncio
import base64
import hashlib
import sys
import time
from collections.abc import Callable

import aiohttp
import coincurve
from aiohttp import web
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from gate.genesis import Agent, AgentRegistry, Challenger, IssuedChallenge, verify_proof
from operations.errors import SatboxError
from stacks import Network, PrivateKey
from stacks.clarity import Tuple, deserialize
from stacks.sip018 import sign_structured

NETWORK = Network.MAINNET
DEPLOYMENT = "door.example"
BITCOIN_KEY, STACKS_KEY = PrivateKey(b"\x21" * 32), PrivateKey(b"\x22" * 32)
BITCOIN_ADDRESS = "bc1qan5dp8qdayxfs4wtflhzaesjlxp3mq3808yssq"  # p2wpkh of BITCOIN_KEY


class Door:
    """Lets registered Genesis agents in, each challenge once. `burnt` must outlive a restart in a real service."""

    def __init__(self, registry: AgentRegistry, wall_seconds: Callable[[], float] = time.time) -> None:
        key = Ed25519PrivateKey.generate()  # a real service keeps it: challenges are signed with it
        self._challenger = Challenger(key, deployment=DEPLOYMENT, network=NETWORK, wall_seconds=wall_seconds)
        self._registry = registry
        self._burnt: dict[str, int] = {}

    def knock(self, btc_address: str, stx_address: str) -> IssuedChallenge:
        """What the agent has to sign."""
        return self._challenger.issue(btc_address, stx_address, "owner")

    async def enter(self, token: str, btc_signature: str, stx_signature: str) -> Agent:
        """The agent who proved both keys. Raises SatboxError; branch on its `code`."""
        claims = self._challenger.read(token)
        verify_proof(claims, self._challenger.domain(), btc_signature, stx_signature, NETWORK)
        agent = await self._registry.require_genesis(claims.btc_address, claims.stx_address)
        # Last, and without an await in between: only a whole proof uses a challenge up, and none counts twice.
        if claims.nonce in self._burnt:
            raise SatboxError("challenge_replayed")
        self._burnt[claims.nonce] = claims.expires_at
        return agent


def sign_bip137(key: PrivateKey, text: str) -> str:
    """What a Bitcoin wallet with a p2wpkh address answers to "sign this message" (BIP-137, for texts under 65,536 bytes)."""
    message = text.encode()
    size = bytes([len(message)]) if len(message) < 0xFD else b"\xfd" + len(message).to_bytes(2, "little")
    framed = b"\x18Bitcoin Signed Message:\n" + size + message
    digest = hashlib.sha256(hashlib.sha256(framed).digest()).digest()
    signature = coincurve.PrivateKey(key.secret).sign_recoverable(digest, hasher=None)
    return base64.b64encode(bytes([39 + signature[64]]) + signature[:64]).decode()


def sign_sip018(key: PrivateKey, challenge: IssuedChallenge) -> str:
    """What a Stacks wallet answers to "sign this structured data" (SIP-018): the bytes the challenge prints."""
    domain, message = (deserialize(bytes.fromhex(text)) for text in (challenge.domain_hex, challenge.message_hex))
    assert isinstance(domain, Tuple)
    return sign_structured(key, domain, message).hex()


def registry_app(agents: dict[str, tuple[str, int]]) -> web.Application:
    """Stands in for aibtc.com: (Bitcoin address, level) by Stacks address."""

    async def verify(request: web.Request) -> web.Response:
        address = request.match_info["address"]
        if address not in agents:
            return web.json_response({"registered": False}, status=404)
        btc, level = agents[address]
        agent = {"btcAddress": btc, "stxAddress": address}
        return web.json_response({"registered": True, "level": level, "levelName": "Genesis", "agent": agent})

    app = web.Application()
    app.router.add_get("/api/verify/{address}", verify)
    return app


async def main(say: Callable[[str], object]) -> Agent:
    """An agent proves its keys; a second use of the same proof is refused."""
    btc, stx = BITCOIN_ADDRESS, str(STACKS_KEY.public_key.address(NETWORK))

    runner = web.AppRunner(registry_app({stx: (btc, 2)}))
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        port = runner.addresses[0][1]
        async with aiohttp.ClientSession() as session:
            door = Door(AgentRegistry(f"http://127.0.0.1:{port}", session, time.monotonic))
            challenge = door.knock(btc, stx)
            say(f"to sign with {btc}:\n  {challenge.claims.text()}")
            say(f"to sign with {stx} by SIP-018:\n  {challenge.claims.fields()}")
            proof = (
                challenge.token,
                sign_bip137(BITCOIN_KEY, challenge.claims.text()),
                sign_sip018(STACKS_KEY, challenge),
            )
            agent = await door.enter(*proof)
            say(f"in: {agent.stx_address}, level {agent.level} ({agent.level_name})")
            try:
                await door.enter(*proof)
            except SatboxError as refused:
                say(f"once more: {refused}")
            return agent
    finally:
        await runner.cleanup()


if __name__ == "__main__":
    asyncio.run(main(lambda line: sys.stdout.write(line + "\n")))
