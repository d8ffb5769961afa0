"""The Python client: `satbox.Client` (async) and `satbox.SyncClient`.

    async with satbox.Client(agent=Keystore(home).load("default")) as client:
        await client.create(sats=500, max_sats=500)
        print((await client.exec(shell="echo hello")).stdout)

One method per operation is generated from the registry (`_generated.py`, by `python -m satbox.generate`); proving,
paying and streaming are added by hand.
"""

from satbox.client.client import Client
from satbox.client.settings import ClientSettings, Timeouts
from satbox.client.sync import SyncClient

__all__ = ["Client", "ClientSettings", "SyncClient", "Timeouts"]
