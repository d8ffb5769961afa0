"""Audits while paid calls are made: no finding of what is only under way."""

import asyncio
from pathlib import Path

from gate.charging.till import IDLE_MS, Till
from satbox.audit.home import HomeAudit
from tests.gate.gatehouse import House, Who
from tests.gate.test_till import order, pay, payer_with

AUDITS = 12


async def test_calls_go_on_under_an_audit_without_a_finding(house: House, tmp_path: Path) -> None:
    folder = house.orders_folder.parent
    payees = [await house.agent() for _ in range(2)]
    payers = [await payer_with(house, 3_000) for _ in range(3)]
    tills = [Till(house.services.system, house.clock, house.services.order_logs.free_slot()) for _ in range(2)]
    tasks = [asyncio.create_task(till.run()) for till in tills]
    ending = asyncio.Event()
    numbers = iter(range(1_000_000))

    async def calls(till: Till, payer: Who) -> int:
        made = 0
        while not ending.is_set():
            number = next(numbers)
            made += await pay(till, order(house, number, payer, payees[number % 2], sats=1)) == "paid"
            await asyncio.sleep(0.003 * (number % 3))
        return made

    calling = [asyncio.create_task(calls(till, payer)) for till in tills for payer in payers]
    findings = []
    for number in range(AUDITS):
        if number % 4 == 3:
            house.clock.ahead_ms += IDLE_MS + 1
        report = await asyncio.to_thread(HomeAudit(folder).run)
        findings += [one for one in report["findings"] if one["rule"] not in ("settlement", "conservation")]
    ending.set()
    assert sum(await asyncio.gather(*calling)) > AUDITS
    assert findings == []
    for task in tasks:
        task.cancel()
    for till in tills:
        await till.close(10.0)
