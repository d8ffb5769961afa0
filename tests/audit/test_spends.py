"""The audit of what keys spent and the operator was paid: books with both are in order, and spoilt ones are named."""

import json
import shutil
import sqlite3
from pathlib import Path

from actors.stores.wallet_folder import wallet_path
from tests.audit.test_home import audit
from tests.gate.gatehouse import SATS, gatehouse
from tests.gate.inside import serving
from tests.gate.test_failed_calls import serve, sold
from tests.gate.test_spending_keys import PRICED, bearer, hashed, key_of


async def test_what_keys_spend_is_in_the_books_and_nothing_else_is(tmp_path: Path) -> None:
    folder = tmp_path / "service"
    async with gatehouse(folder, **PRICED) as house:
        seller, payer = await sold(house), await house.agent()
        await house.created(payer, 500)
        made = await key_of(house, payer, sats_total=40)
        for number in range(3):
            assert (await hashed(house, made["key"], str(number))).status == 200
        async with serving(house, serve):
            url = f"/sandbox/proxy/{seller.address}/8000/x"
            assert (await house.ask("GET", url, headers=bearer(made["key"]))).status == 200
        await house.until(lambda: house.state(payer).keys[0].spent_usat == 25 * SATS)
        await house.until(lambda: house.state(payer).accounts.spent == 10 * SATS)
    report = audit(folder)
    assert report["findings"] == []
    assert report["checked"]["logged orders"] == 4

    spoilt = tmp_path / "spoilt"
    shutil.copytree(folder, spoilt)
    with sqlite3.connect(wallet_path(spoilt / "wallets", payer.address)) as db:
        (state,) = db.execute("SELECT state FROM wallet").fetchone()
        changed = json.loads(state)
        changed["keys"][0]["spent_usat"] -= 5 * SATS
        db.execute("UPDATE wallet SET state = ?", (json.dumps(changed),))
    db.close()
    assert "key" in {one["rule"] for one in audit(spoilt)["findings"]}
