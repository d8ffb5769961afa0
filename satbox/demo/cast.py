"""Who the story is about, and what is waited for."""

import asyncio
from dataclasses import dataclass

from operations.sandbox import SandboxStatus
from satbox.agent.keystore import Agent
from satbox.client import Client
from satbox.demo.devnet_control import DevnetControl
from satbox.service import Service

WAIT_SECONDS = 60.0


@dataclass
class Cast:
    """Who and what the story is about."""

    service: Service
    devnet: DevnetControl
    newcomer: Agent
    agent: Agent
    client: Client
    newcomer_client: Client
    operator: Client

    @property
    def address(self) -> str:
        """The wallet the story follows."""
        return self.agent.testnet.stx

    async def status(self) -> SandboxStatus:
        """The wallet now."""
        return await self.client.sandbox_status(fresh=True)

    async def until(self, state: str, *, seconds: float = WAIT_SECONDS) -> SandboxStatus:
        """The wallet once it is in `state`."""
        async with asyncio.timeout(seconds):
            while (now := await self.status()).state != state:
                await asyncio.sleep(0.1)
        return now
