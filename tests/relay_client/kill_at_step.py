"""A settlements process that kills itself at a step. Arguments: devnet url, store path, step, transaction hex."""

import asyncio
import os
import random
import signal
import sys
import time
from pathlib import Path

import aiohttp
from payment_builders import verified
from settlement_bench import WALLET, Wallets

from relay_client.chain import StacksApi
from relay_client.relay import RelayClient
from relay_client.settlements import Policy, Presentation, Settlements, Store
from stacks import decode_transaction


class SystemClock:
    """The machine's clocks."""

    def now_ms(self) -> int:
        return int(time.time() * 1000)

    def monotonic_ms(self) -> int:
        return int(time.monotonic() * 1000)


async def main(url: str, path: str, step: str, transaction: str) -> None:
    def die(here: str) -> None:
        if here == step:
            os.kill(os.getpid(), signal.SIGKILL)

    async with aiohttp.ClientSession() as session:
        settlements = Settlements(
            Store(Path(path)), RelayClient(f"{url}relay", session), StacksApi(f"{url}stacks", session), Wallets(),
            SystemClock(), policy=Policy(), rng=random.Random(1), checkpoint=die,
        )  # fmt: skip
        running = asyncio.create_task(settlements.run())
        payment = verified(decode_transaction(bytes.fromhex(transaction)))
        report = await settlements.present(Presentation(payment, WALLET, "create", "body"))
        await settlements.wait(report.payment_id, 20)
        running.cancel()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
