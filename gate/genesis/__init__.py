"""A genesis gate anyone can use: prove a pair of Bitcoin and Stacks keys, and that aibtc.com knows it at level 2.

    challenger = Challenger(key, deployment="example.org", network=Network.MAINNET, clock=...)
    challenge = challenger.issue(btc_address, stx_address, scope="owner")
    # the agent signs challenge.text with its Bitcoin key and (domain, message) by SIP-018
    claims = challenger.read(challenge.token)
    verify_proof(claims, btc_signature, stx_signature, network)
    agent = await registry.require_genesis(claims.btc_address, claims.stx_address)
    # then burn claims.nonce, so that no proof counts twice

Needs only `operations.errors` and `stacks` of this project.
"""

from gate.genesis.challenge import Challenger, Claims, IssuedChallenge
from gate.genesis.passes import Pass, PassIssuer
from gate.genesis.proof import verify_proof
from gate.genesis.registry import Agent, AgentRegistry

__all__ = [
    "Agent",
    "AgentRegistry",
    "Challenger",
    "Claims",
    "IssuedChallenge",
    "Pass",
    "PassIssuer",
    "verify_proof",
]
