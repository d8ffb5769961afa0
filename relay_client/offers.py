"""What can be paid with: the assets of each network, and offers that become `accepts` entries of a 402.

Only the exact contract of an offer counts as its asset: `*.sbtc-token` of another deployer is another token.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from operations.errors import SatboxError
from relay_client.models import PaymentRequirements
from stacks import Network, Token, sbtc, usdcx

USAT_PER_SAT = 1_000_000
MAX_TIMEOUT_SECONDS = 300
SECONDS_SHOWN_MAX = 2**53 - 1  # the largest integer every JSON reader keeps


@dataclass(frozen=True, slots=True)
class Asset:
    """One thing to pay with. `token` is None for STX, which has no contract."""

    symbol: str
    token: Token | None
    decimals: int

    @property
    def wire(self) -> str:
        """The `asset` string that every known client reads as this asset: contract principal, or `STX`."""
        return "STX" if self.token is None else str(self.token.contract)

    @property
    def asset_id(self) -> str | None:
        """`CONTRACT::asset` as chain events name it; None for STX."""
        return None if self.token is None else self.token.asset_id


STX = Asset("STX", None, 6)


def assets(network: Network) -> tuple[Asset, ...]:
    """Everything payable on a network, in the order offers are made: clients pay the first entry they can."""
    sbtc_asset = Asset("sBTC", sbtc(network), 8)
    if network is not Network.MAINNET:
        return (sbtc_asset, STX)  # no deployment of USDCx is known elsewhere
    return (sbtc_asset, STX, Asset("USDCx", usdcx(network), 6))


def either(symbols: Sequence[str]) -> str:
    """Assets as a choice, for people: `sBTC`, `sBTC or STX`, `sBTC, STX or USDCx`."""
    return " or ".join(part for part in (", ".join(symbols[:-1]), symbols[-1]) if part)


_SPELLINGS = {"STX": "STX", "SBTC": "sBTC", "USDCX": "USDCx", "USDC": "USDCx"}


def chosen_asset(network: Network, *hints: str | None) -> Asset | None:
    """The asset a request asks for by `X-PAYMENT-TOKEN-TYPE` or `?tokenType=`, in any case; None when it does not.

    Raises asset_not_offered for a word that names nothing payable here.
    """
    for hint in hints:
        if hint:
            symbol = _SPELLINGS.get(hint.strip().upper())
            for asset in assets(network):
                if asset.symbol == symbol:
                    return asset
            raise SatboxError(
                "asset_not_offered",
                details={"asset": hint[:40], "offered": [asset.symbol for asset in assets(network)]},
            )
    return None


class QuoteTerms(Protocol):
    """A signed price as this package needs it; `oracle.Quote` is one."""

    @property
    def quote_id(self) -> str:
        """Names it for ever."""

    @property
    def asset(self) -> str:
        """Symbol of what is paid."""

    @property
    def atomic_amount(self) -> int:
        """What must be paid at least, in atomic units."""

    @property
    def usat(self) -> int:
        """What exactly that amount buys."""

    @property
    def expires_at_ms(self) -> int:
        """Wall time, milliseconds."""

    @property
    def token(self) -> str:
        """The signed text that carries all of it."""


@dataclass(frozen=True, slots=True)
class Offer:
    """One way to pay: `atomic_amount` of `asset` to `pay_to` buys `usat`. sBTC needs no quote: 1 unit is 1 sat."""

    asset: Asset
    atomic_amount: int
    usat: int
    pay_to: str
    network: Network
    quote: QuoteTerms | None = None
    is_sponsored: bool = False
    """Whether the relay pays the network fee of a payment that leaves its sponsor slot empty."""

    def __post_init__(self) -> None:
        if self.atomic_amount <= 0 or self.usat <= 0:
            raise ValueError("an offer asks for something and gives something")
        if (self.quote is None) != (self.asset.symbol == "sBTC"):
            raise ValueError("sBTC is never quoted, everything else always")

    def requirements(self, *, rate_usat_per_second: int = 0, payment_id: str | None = None) -> PaymentRequirements:
        """As an `accepts` entry. `extra` comes back in `accepted`; only the quote in it is signed and believed."""
        extra: dict[str, Any] = {"sats": self.usat // USAT_PER_SAT}
        if self.is_sponsored:
            extra["feePayer"] = "relay"
        if rate_usat_per_second > 0:
            extra["seconds"] = min(self.usat // rate_usat_per_second, SECONDS_SHOWN_MAX)
        if self.quote is not None:
            extra["quote"] = self.quote.token
            extra["expires_at_ms"] = self.quote.expires_at_ms
        if payment_id is not None:
            extra["payment_id"] = payment_id
        return PaymentRequirements(
            network=self.network.caip2,
            amount=str(self.atomic_amount),
            asset=self.asset.wire,
            payTo=self.pay_to,
            maxTimeoutSeconds=MAX_TIMEOUT_SECONDS,
            extra=extra,
        )


def sbtc_offer(network: Network, usat: int, pay_to: str, *, is_sponsored: bool = False) -> Offer:
    """The sBTC offer for `usat`, rounded up to whole sats; what is paid is credited in full."""
    sats = -(-usat // USAT_PER_SAT)
    return Offer(assets(network)[0], sats, sats * USAT_PER_SAT, pay_to, network, is_sponsored=is_sponsored)


def quoted_offer(network: Network, quote: QuoteTerms, pay_to: str, *, is_sponsored: bool = False) -> Offer:
    """The offer of a signed quote; raises asset_not_offered when the network has no such asset."""
    asset = chosen_asset(network, quote.asset)
    if asset is None:
        raise SatboxError("asset_not_offered")
    return Offer(asset, quote.atomic_amount, quote.usat, pay_to, network, quote, is_sponsored)


def in_offer_order(offers: Iterable[Offer], only: Asset | None = None) -> Sequence[Offer]:
    """Offers as a 402 lists them: sBTC, STX, USDCx; only one asset's when the request chose it."""
    order = {asset.symbol: position for position, asset in enumerate(assets(Network.MAINNET))}
    kept = [offer for offer in offers if only is None or offer.asset == only]
    return sorted(kept, key=lambda offer: order[offer.asset.symbol])
