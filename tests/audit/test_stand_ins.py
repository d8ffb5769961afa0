"""The audit of calls paid on chain that failed: what stands for what, and what leans on which payment."""

import shutil
import sqlite3
from pathlib import Path

from tests.audit.test_home import audit
from tests.gate.gatehouse import House
from tests.gate.inside import serving
from tests.gate.test_failed_calls import SATS, call, failed, serve, sold

SPOILT = {
    "stands for nothing": ("UPDATE claims SET spare_id = 'pay_0'", {"spare"}),
    "stands for itself, and was not sent": ("UPDATE claims SET payment_id = spare_id", {"spare", "order"}),
    "another's": ("UPDATE spares SET origin = 'SP000000000000000000002Q6VF78'", {"spare"}),
    "taken by nobody": ("UPDATE spares SET is_claimed = 1", {"spare"}),
}


async def test_what_stands_for_another_is_audited(house: House, tmp_path: Path) -> None:
    folder = tmp_path / "service"
    seller, payer = await sold(house), await house.agent()
    async with serving(house, serve) as inside:
        _, answer = await failed(house, seller, payer, inside)
        await house.settled(answer.body["error"]["details"]["paymentId"])
        assert (await call(house, seller, house.sbtc(payer, 10), "/other")).status == 200
        await house.until(lambda: house.state(payer).accounts.spent == 10 * SATS)
        _, answer = await failed(house, seller, payer, inside)
        await house.settled(answer.body["error"]["details"]["paymentId"])
    report = audit(folder)
    assert report["findings"] == []
    assert report["checked"]["calls on chain"] == 1

    for name, (statement, rules) in SPOILT.items():
        spoilt = tmp_path / name
        shutil.copytree(folder, spoilt)
        with sqlite3.connect(spoilt / "settlements.sqlite") as db:
            assert db.execute(statement).rowcount > 0
        db.close()
        assert rules <= {one["rule"] for one in audit(spoilt)["findings"]}, name
