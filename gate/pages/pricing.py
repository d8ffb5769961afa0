"""What time costs in each coin, from the oracle's last snapshot. An estimate for reading: nothing is signed or kept for it, the
402 that answers a payment's request has the binding offers.
"""

from dataclasses import dataclass

from actors.wallet.metering import cost_usat
from gate.parts.services import Services
from gate.settings import GateSettings
from oracle import Rate
from oracle.aggregate import atomic_amount
from relay_client.offers import Asset, assets

USAT_PER_SAT = 1_000_000


@dataclass(frozen=True, slots=True)
class CoinPrice:
    """One coin: how many units buy a sat, or why it is not taken now."""

    asset: Asset
    rate: Rate | None
    why_not: str | None = None

    @property
    def is_offered(self) -> bool:
        """Whether it can be paid with now."""
        return self.asset.symbol == "sBTC" or self.rate is not None

    def units(self, sats: int) -> int | None:
        """Atomic units that buy `sats`; None while it is not offered."""
        if self.asset.symbol == "sBTC":
            return sats
        if self.rate is None:
            return None
        return atomic_amount(self.asset.symbol, sats, self.rate.usat_per_coin, self.rate.haircut_ppm)

    @property
    def ppm_per_sat(self) -> int:
        """Units per sat in millionths, for a browser that multiplies; 0 while it is not offered."""
        return self.units(1_000_000) or 0


def coin_prices(services: Services) -> list[CoinPrice]:
    """Every coin of this network, sBTC first."""
    snapshot = services.oracle.snapshot()
    found = []
    for asset in assets(services.settings.network):
        if asset.symbol == "sBTC":
            found.append(CoinPrice(asset, None))
            continue
        why = services.oracle.why_not(asset.symbol)
        rate = None if snapshot is None or why is not None else snapshot.rates.get(asset.symbol)
        found.append(CoinPrice(asset, rate, None if why is None else why.message))
    return found


def sats_for(settings: GateSettings, rate_usat_per_second: int, seconds: int, owed_usat: int = 0) -> int:
    """Whole sats that buy so many seconds after what is owed, at least 1."""
    rate = rate_usat_per_second or settings.rates_usat_per_second["small"]
    return max(1, -(-(owed_usat + cost_usat(rate, seconds)) // USAT_PER_SAT))
