"""Count requests through the proxy for wallets that pay for them, and report the counts to the wallets from time to time.

Each gate has its own counts (`source`), which begin at zero at each start, so no request is reported twice. Requests that a gate
had not reported when it died are not billed.
"""

import asyncio
from dataclasses import dataclass

import structlog

from actors.view import View
from actors.wallet.commands import Readings
from actors.wallet.meters import Reading, of
from gate.parts.services import Services
from operations.errors import SatboxError

METER = "proxy_requests"
TELL_SECONDS = 30.0
COUNTED_MAX = 50_000
log = structlog.get_logger()


@dataclass(slots=True)
class _Counted:
    address: str
    count: int = 0
    told: int = 0


class RequestCounter:
    """One gate's counts, by runtime."""

    def __init__(self, services: Services, source: str) -> None:
        self._services = services
        self._source = source
        self._counted: dict[str, _Counted] = {}

    def admit(self, view: View) -> None:
        """Raises budget_reached when one request costs more than the owner allows."""
        most = view.state.budget.max_usat_per_call
        price = of(view.state.meters.rates, METER)
        if most is not None and price > most:
            raise SatboxError("budget_reached", details={"usat_per_call": price, "max_usat_per_call": most})

    def served(self, view: View, runtime_id: str) -> None:
        """One request was carried to the server inside."""
        if not of(view.state.meters.rates, METER):
            return
        counted = self._counted.get(runtime_id)
        if counted is None:
            if len(self._counted) >= COUNTED_MAX:
                log.warning("proxy.request_not_counted", address=view.state.address, runtimes_max=COUNTED_MAX)
                return
            counted = self._counted[runtime_id] = _Counted(view.state.address)
        counted.count += 1

    async def run(self) -> None:
        """Tell for ever."""
        while True:
            await asyncio.sleep(TELL_SECONDS)
            await self.tell()

    async def tell(self) -> None:
        """Tell every wallet what is new; forget runtimes that are over."""
        for runtime_id, counted in list(self._counted.items()):
            count = counted.count
            if count == counted.told:
                continue
            reading = Reading(METER, count, self._services.clock.monotonic_ms(), self._source)
            try:
                view = await self._services.system.ask(counted.address, Readings(runtime_id, (reading,)))
            except Exception as error:  # noqa: BLE001 - the count is kept, and reported with the next
                log.warning("proxy.count_not_told", address=counted.address, error=str(error)[:200])
                continue
            counted.told = count
            runtime = view.state.runtime
            if runtime is None or runtime.runtime_id != runtime_id:
                del self._counted[runtime_id]
