"""The agent registry at aibtc.com: is this pair registered together, at Genesis?

Positive answers are kept for a minute (the site itself caches up to five), negative ones for ten seconds, so that an agent
that has just been promoted does not wait. A silent registry is an error, never a yes.
"""

import asyncio
import json
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import aiohttp
from yarl import URL

from gate.genesis.bitcoin import parse_bitcoin_address
from operations.errors import SatboxError
from stacks import Address, AddressError, Network

REQUIRED_LEVEL = 2
ONBOARDING_URL = "https://aibtc.com/api/register"
POSITIVE_SECONDS = 60.0
NEGATIVE_SECONDS = 10.0
CACHE_MAX = 10_000
TIMEOUT_SECONDS = 3.0
ATTEMPTS = 2
RESPONSE_BYTES_MAX = 65_536


@dataclass(frozen=True, slots=True)
class Agent:
    """A registered agent."""

    btc_address: str
    stx_address: str
    level: int
    level_name: str
    display_name: str | None = None


class AgentRegistry:
    """A cached client of `GET /api/verify/{address}`."""

    def __init__(self, base_url: str, session: aiohttp.ClientSession, monotonic_seconds: Callable[[], float]) -> None:
        self._base = URL(base_url)
        self._session = session
        self._now = monotonic_seconds
        self._cache: OrderedDict[str, tuple[float, Agent | None]] = OrderedDict()

    async def find(self, stx_address: str) -> Agent | None:
        """The agent registered with this Stacks address; None when there is none. Raises registry_unavailable."""
        mainnet = str(Address.parse(stx_address).to_network(Network.MAINNET))
        kept = self._cache.get(mainnet)
        if kept is not None and kept[0] > self._now():
            return kept[1]
        agent = await self._ask(mainnet)
        self._cache[mainnet] = (self._now() + (POSITIVE_SECONDS if agent else NEGATIVE_SECONDS), agent)
        self._cache.move_to_end(mainnet)
        while len(self._cache) > CACHE_MAX:
            self._cache.popitem(last=False)
        return agent

    async def _ask(self, address: str) -> Agent | None:
        last: Exception | None = None
        for _ in range(ATTEMPTS):
            try:
                return await self._ask_once(address)
            except (aiohttp.ClientError, TimeoutError, ValueError) as error:
                last = error
        raise SatboxError("registry_unavailable", retry_after=5) from last

    async def _ask_once(self, address: str) -> Agent | None:
        async with asyncio.timeout(TIMEOUT_SECONDS):
            url = self._base / "api" / "verify" / address
            async with self._session.get(url, allow_redirects=False) as response:
                body = await _body(response)
                if response.status == 404:
                    return None
                if response.status != 200:
                    raise ValueError(f"the registry answered {response.status}")
        data = json.loads(body)
        if not isinstance(data, dict) or data.get("registered") is not True:
            return None
        return _agent(data)

    async def require_genesis(self, btc_address: str, stx_address: str) -> Agent:
        """The agent, if this very pair is registered together at Genesis; each refusal has its own code."""
        agent = await self.find(stx_address)
        if agent is None:
            raise SatboxError(
                "pair_not_registered", details={"required_level": REQUIRED_LEVEL, "onboarding_url": ONBOARDING_URL}
            )
        if not _same_pair(agent, btc_address, stx_address):
            raise SatboxError("pair_mismatch")
        if agent.level < REQUIRED_LEVEL:
            raise SatboxError(
                "level_too_low",
                f"Your agent is level {agent.level} ({agent.level_name}); level {REQUIRED_LEVEL} (Genesis) is required.",
                details={
                    "current_level": agent.level,
                    "required_level": REQUIRED_LEVEL,
                    "onboarding_url": ONBOARDING_URL,
                },
            )
        return agent


async def _body(response: aiohttp.ClientResponse) -> bytes:
    """All of it, however many pieces it comes in, within the limit."""
    body = bytearray()
    async for chunk in response.content.iter_any():
        body += chunk
        if len(body) > RESPONSE_BYTES_MAX:
            raise ValueError("the registry's answer is too long")
    return bytes(body)


def _agent(data: dict[str, Any]) -> Agent:
    record = data["agent"]
    level = data["level"]
    if not isinstance(record, dict) or not isinstance(level, int):
        raise ValueError("the registry's answer has another shape")
    name = record.get("displayName")
    return Agent(
        str(record["btcAddress"]),
        str(record["stxAddress"]),
        level,
        str(data.get("levelName", "")),
        str(name) if name else None,
    )


def _same_pair(agent: Agent, btc_address: str, stx_address: str) -> bool:
    """Compared by hash, not by text: agents are registered on mainnet, a testnet deployment sees ST and tb1 addresses."""
    try:
        same_stx = Address.parse(agent.stx_address).hash160 == Address.parse(stx_address).hash160
    except AddressError:
        return False
    registered, claimed = parse_bitcoin_address(agent.btc_address, None), parse_bitcoin_address(btc_address, None)
    return same_stx and (registered.kind, registered.program) == (claimed.kind, claimed.program)
