"""A settlements process that kills itself at a step. Arguments: devnet url, store path, wallets path, step, transaction hex."""

import asyncio
import json
import os
import random
import signal
import sqlite3
import sys
import time
from dataclasses import asdict
from pathlib import Path

from payment_builders import verified
from settlement_bench import WALLET, Interrupted, Wallets, Wire

from relay_client.chain import StacksApi
from relay_client.relay import RelayClient
from relay_client.settlements import Presentation, SettlementPolicy, Settlements
from relay_client.settlements.schema import migrate as migrate_settlements
from relay_client.sink import Credit, Reversal
from stacks import decode_transaction
from storage.writer import GroupWriter


class SystemClock:
    """The machine's clocks."""

    def now_ms(self) -> int:
        return int(time.time() * 1000)

    def monotonic_ms(self) -> int:
        return int(time.monotonic() * 1000)


class FileWallets(Wallets):
    """Wallets that outlive the process that told them, with UNIQUE(payment_id) as theirs have."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._db = sqlite3.connect(path, isolation_level=None, timeout=20)
        self._db.execute(
            "CREATE TABLE IF NOT EXISTS told (kind TEXT, payment_id TEXT, body TEXT, UNIQUE (kind, payment_id))"
        )
        for kind, payment_id, body in self._db.execute("SELECT kind, payment_id, body FROM told"):
            if kind == "credit":
                self.credits[payment_id] = Credit(**json.loads(body))
            else:
                self.reversals[payment_id] = Reversal(**json.loads(body))

    async def credit(self, credit: Credit) -> None:
        self._keep("credit", credit)
        await super().credit(credit)

    async def reverse(self, reversal: Reversal) -> None:
        self._keep("reverse", reversal)
        await super().reverse(reversal)

    def _keep(self, kind: str, message: Credit | Reversal) -> None:
        row = (kind, message.payment_id, json.dumps(asdict(message)))
        self._db.execute("INSERT OR IGNORE INTO told VALUES (?, ?, ?)", row)

    def close(self) -> None:
        self._db.close()


async def main(url: str, path: str, wallets: str, step: str, transaction: str) -> None:
    credits_due = False

    def die(here: str) -> None:
        nonlocal credits_due
        credits_due = credits_due or here == "after_credit"
        if here == step and (credits_due or "acknowledgement" not in step):
            os.kill(os.getpid(), signal.SIGKILL)

    wire = Wire()
    async with wire.session:
        relay = RelayClient(f"{url}relay", wire.session, settle_timeout_seconds=2)
        settlements = Settlements(
            GroupWriter(Path(path), migrate_settlements), Interrupted(relay, wire, die), StacksApi(f"{url}stacks", wire.session),
            FileWallets(Path(wallets)), SystemClock(), policy=SettlementPolicy(), rng=random.Random(1), checkpoint=die,
        )  # fmt: skip
        running = asyncio.create_task(settlements.run())
        payment = verified(decode_transaction(bytes.fromhex(transaction)))
        report = await settlements.present(Presentation(payment, WALLET, "create", "body"))
        await settlements.wait(report.payment_id, 5)
        await asyncio.sleep(1)
        running.cancel()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
