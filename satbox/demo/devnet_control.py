"""What the demo asks of the devnet itself: registrations, the faucet, and holding confirmations."""

from typing import Any

import aiohttp

from satbox.agent.keystore import Agent
from stacks import Network


class DevnetControl:
    """The devnet's own routes."""

    def __init__(self, url: str, session: aiohttp.ClientSession) -> None:
        self._url = url
        self._session = session

    async def register(self, agent: Agent, level: int) -> dict[str, Any]:
        """Register a pair at a level; the registry keeps mainnet forms."""
        pair = agent.addresses(Network.MAINNET)
        return await self._post("agents", {"btcAddress": pair.btc, "stxAddress": pair.stx, "level": level})

    async def fund(self, agent: Agent, *, stx: int, sats: int) -> None:
        """Give an agent STX and sBTC."""
        address = agent.addresses(Network.TESTNET).stx
        await self._post("faucet", {"address": address, "stx": stx * 1_000_000, "sbtc": sats})

    async def hold_confirmations(self) -> None:
        """Transactions stay in the mempool from here on."""
        await self._post("faults", {"kind": "hold_confirmations"})

    async def clear_faults(self) -> None:
        """Back to honest behaviour."""
        async with self._session.delete(f"{self._url}/faults") as response:
            response.raise_for_status()

    async def _post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        async with self._session.post(f"{self._url}/{path}", json=body) as response:
            answer: dict[str, Any] = await response.json()
            if response.status >= 400:
                raise RuntimeError(f"devnet {path}: {answer}")
            return answer
