"""All settings, from `SATBOX_HOME/satbox.toml` and the environment (`SATBOX_LIFECYCLE__GRACE_SECONDS=30`).

The defaults are a whole service on one machine with the embedded devnet. Mainnet is settings alone, and refuses what only a
devnet may do.
"""

from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, Field, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict, TomlConfigSettingsSource

from actors.placement import HostMap, Placement
from actors.wallet.meters import DEFAULT_RATES, METERS
from actors.wallet.state import WalletPolicy
from gate.settings import RATES_USAT
from oracle import public_bases
from satbox.home import default_home
from stacks import Address, Network

KNOWN_TEST_ADDRESSES = frozenset(
    {"15c31b8c1c11c515e244b75806bac48d1399c775", "6d78de7b0625dfbfc16c3a8a5735f6dc3dc3f2ce"}
)
"""hash160 of keys printed in public documents: money sent there belongs to everybody."""


class GateSection(BaseModel):
    """Where the gate listens, and how callers reach it."""

    host: str = "127.0.0.1"
    port: int = Field(4020, ge=0, le=65_535)
    public_url: str | None = None
    ports_host: str | None = Field(None, max_length=200, pattern=r"^([a-z0-9-]+(\.[a-z0-9-]+)*)?$")
    """Below which name each port has an origin of its own, `{port}-{address}.NAME`, by wildcard DNS and a wildcard certificate.
    Default: the host of `public_url`, `localhost` on this machine, none for another IP address. Empty: none."""
    default_sats: int = Field(300, ge=1, le=10_000)
    """What a request that names no amount is asked for: below 1 STX at usual prices, which common agent wallets stop at."""
    start_wait_seconds: float = 20.0
    upload_bytes_max: int = 1 << 30
    verifies_for_anybody: bool = True
    """Whether `/stacks/...` and `/hashing/...` answer for anybody."""
    verification_sats: int = Field(0, ge=0, le=1_000)
    """What one of their answers costs; 0: they are free."""
    call_fee_bps: int = Field(200, ge=0, le=9_999)
    """The operator's share of what calls earn, in hundredths of a percent."""
    open_requests_per_second: float = Field(50.0, ge=0)
    """What one peer may ask without a pass; 0 where a reverse proxy in front limits peers, who are all one from here."""
    connections_per_peer_max: int = Field(256, ge=0)
    """Open connections of one peer. Loopback is exempt: a reverse proxy there has to limit its clients itself. 0: no limit, for a
    reverse proxy on another machine."""
    call_mempool_sats_max: int = Field(1_000, ge=0)
    """The most a call may cost that is answered before its payment on chain has confirmed."""
    call_unconfirmed_sats_max: int = Field(10_000, ge=0)
    """The most that unconfirmed and lately failed payments for answered calls may amount to, for each seller."""


class DevnetSection(BaseModel):
    """The embedded devnet."""

    enabled: bool = True
    port: int = Field(4021, ge=0, le=65_535)
    block_seconds: float = Field(1.0, ge=0)


class Upstreams(BaseModel):
    """What satbox talks to; filled in by the devnet when that is enabled."""

    relay: str = "https://x402-relay.aibtc.com"
    stacks_api: str = "https://api.hiro.so"
    registry: str = "https://aibtc.com"
    prices: str | None = None


class ActorsSection(BaseModel):
    """How wallets are placed."""

    placement: Placement = "shared"
    hosts: int = Field(2, ge=1, le=256)
    idle_seconds: float = 300.0


class LifecycleSection(BaseModel):
    """Rules of time."""

    grace_seconds: float = Field(60, ge=0)
    grace_cap_seconds: float = Field(600, ge=0)
    wake_minimum_seconds: int = Field(60, ge=0)
    paused_rate_percent: int = Field(25, ge=0, le=100)


class SettleSection(BaseModel):
    """Who broadcasts payments, and when a payment starts a sandbox: as soon as it is in the mempool, or only once confirmed."""

    route: Literal["relay", "direct", "relay-then-direct"] = "relay-then-direct"
    """`direct`: to the Stacks API; no relay is asked, and nobody pays fees for others. `relay`: to the relay alone."""
    start_on: Literal["mempool", "confirmed"] = "mempool"
    wake_calls_on: Literal["mempool", "confirmed"] = "confirmed"
    """The same for wakes that callers without a pass pay for: their keys are made for nothing."""


class BooksSection(BaseModel):
    """How often the books are checkpointed, and how long disputes may take."""

    checkpoint_seconds: float = Field(3600, ge=1)
    dispute_window_days: int = Field(30, ge=1, le=3650)
    dispute_answer_days: int = Field(7, ge=1, le=365)
    dispute_verdict_days: int = Field(21, ge=1, le=365)


class PayoutsSection(BaseModel):
    """How money is paid back: from an encrypted key, within limits, above a threshold only when the operator says so."""

    key: Path | None = None
    """Default: `keys/payout.json` in the home; `satbox payoutkey` makes it."""
    passphrase_file: Path | None = None
    passphrase_variable: str = "SATBOX_PAYOUT_PASSPHRASE"  # noqa: S105 - its name
    approve_above_sats: int = Field(5_000, ge=0)
    payout_max_sats: int = Field(1_000_000, ge=1)
    wallet_day_sats: int = Field(10_000, ge=0)
    day_sats: int = Field(100_000, ge=0)
    network_fee_ustx: int = Field(3_000, ge=1, le=1_000_000)
    fee_sats: int = Field(5, ge=0)
    fee_ustx: int = Field(5_000, ge=0)


class OracleSection(BaseModel):
    """Prices: where each source is asked, which are not, and how long quotes hold."""

    hosts: dict[str, str] = Field(default_factory=dict)
    """Base URLs by source, instead of the public ones."""
    without: list[str] = Field(default_factory=list)
    """Sources that are not asked (some are blocked in some places); five independent groups must be left."""
    tenero_api_key: str | None = Field(None, repr=False)
    haircut_ppm: int = Field(10_000, ge=0, le=100_000)
    quote_seconds: int = Field(300, ge=60, le=3_600)

    @model_validator(mode="after")
    def _sources_are_known(self) -> "OracleSection":
        public_bases(self.hosts, self.without)
        return self


DEPLOYMENT_DEFAULT = "satbox-local"


class Settings(BaseSettings):
    """One deployment."""

    model_config = SettingsConfigDict(
        env_prefix="SATBOX_", env_nested_delimiter="__", extra="forbid", hide_input_in_errors=True
    )

    home: Path = Field(default_factory=default_home)
    deployment: str = Field(DEPLOYMENT_DEFAULT, pattern=r"^[a-zA-Z0-9.-]{1,64}$")
    network: Literal["mainnet", "testnet"] = "testnet"
    pay_to: str | None = None
    gate: GateSection = Field(default_factory=GateSection)
    devnet: DevnetSection = Field(default_factory=DevnetSection)
    upstreams: Upstreams = Field(default_factory=Upstreams)
    actors: ActorsSection = Field(default_factory=ActorsSection)
    lifecycle: LifecycleSection = Field(default_factory=LifecycleSection)
    settle: SettleSection = Field(default_factory=SettleSection)
    oracle: OracleSection = Field(default_factory=OracleSection)
    books: BooksSection = Field(default_factory=BooksSection)
    payouts: PayoutsSection = Field(default_factory=PayoutsSection)
    rates_usat_per_second: dict[str, int] = Field(default_factory=lambda: dict(RATES_USAT))
    meter_rates_usat: dict[str, int] = Field(default_factory=dict)
    """Micro-sats per unit of the meters beside the clock, by name; over the defaults (`GET /sandbox/meters`)."""
    node: dict[str, Any] = Field(default_factory=dict)
    """Passed to the sandbox node as it is."""

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Arguments, then the environment, then the file."""
        return init_settings, env_settings, TomlConfigSettingsSource(settings_cls, default_home() / "satbox.toml")

    @property
    def stacks_network(self) -> Network:
        """The Stacks network of this deployment."""
        return Network.MAINNET if self.network == "mainnet" else Network.TESTNET

    @model_validator(mode="after")
    def _mainnet_is_serious(self) -> "Settings":
        if self.network == "mainnet" and not self.devnet.enabled:
            for name, url in self.upstreams.model_dump().items():
                if url is not None and not str(url).startswith("https://"):
                    raise ValueError(f"upstreams.{name} must be https on mainnet")
            for name, url in self.oracle.hosts.items():
                if not url.startswith("https://"):
                    raise ValueError(f"oracle.hosts.{name} must be https on mainnet")
            if self.deployment == DEPLOYMENT_DEFAULT:
                raise ValueError(
                    f"deployment is required on mainnet: a name of this service's own instead of {DEPLOYMENT_DEFAULT}; proofs and"
                    " passes are bound to it"
                )
            if self.pay_to is None:
                raise ValueError("pay_to is required on mainnet: the address this deployment alone receives at")
        if self.pay_to is not None:
            address = Address.parse(self.pay_to)
            if address.network is not self.stacks_network:
                raise ValueError("pay_to is an address of another network")
            if not self.devnet.enabled and address.hash160.hex() in KNOWN_TEST_ADDRESSES:
                raise ValueError("pay_to belongs to a key that is printed in public documents")
        return self

    @model_validator(mode="after")
    def _meters_are_known(self) -> "Settings":
        for name, rate in self.meter_rates_usat.items():
            if name not in METERS:
                raise ValueError(f"meter_rates_usat: {name} is none of {', '.join(METERS)}")
            if not 0 <= rate <= 10**12:
                raise ValueError(f"meter_rates_usat.{name} must be 0 to 10**12")
        return self

    def policy(self) -> WalletPolicy:
        """The wallets' rules."""
        return WalletPolicy(
            grace_ms=round(self.lifecycle.grace_seconds * 1000),
            grace_cap_ms=round(self.lifecycle.grace_cap_seconds * 1000),
            wake_minimum_seconds=self.lifecycle.wake_minimum_seconds,
            paused_rate_percent=self.lifecycle.paused_rate_percent,
            call_fee_bps=self.gate.call_fee_bps,
            meter_rates=tuple(sorted((dict(DEFAULT_RATES) | self.meter_rates_usat).items())),
        )

    def host_map(self) -> HostMap:
        """Which host serves which wallet."""
        return HostMap(self.actors.placement, self.actors.hosts)
