"""What somebody should know before filling a bucket: money in it can be spent by its keys, but reclaimed by a registered pair
alone (`design/calls.md`).
"""

import asyncio
from typing import TYPE_CHECKING

from operations.errors import SatboxError

if TYPE_CHECKING:
    from satbox.client.client import Client

LOOK_SECONDS_MAX = 5.0


async def warning_about(client: "Client", address: str) -> str | None:
    """What to say when nobody could reclaim from this address's bucket; None when somebody could, or the registry is silent."""
    try:
        async with asyncio.timeout(LOOK_SECONDS_MAX):
            await client.agents_resolve(address)
    except TimeoutError:
        return None
    except SatboxError as error:
        if error.code != "handle_not_found":
            return None
        return (
            f"{address} is not registered at aibtc.com: what is put into its bucket can be spent on calls, but what is left of it"
            " can't be reclaimed before it is. Put in what is meant to be spent."
        )
    return None
