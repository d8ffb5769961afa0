"""Prices: what a payment costs in each asset, what the oracle believes, and how its sources do."""

from pydantic import Field

from operations.models import Amount, Nothing, Output
from operations.registry import Auth, Feature, Operation
from operations.surfaces import NoTool, Tool, Verb


class QuoteInput(Amount):
    """What a payment would cost in each asset."""


class QuoteRate(Output):
    """The market's rate, and what is asked on top of it."""

    sats_per_coin: str
    haircut_ppm: int


class QuoteConfidence(Output):
    """Where the market's rate lies, at this level."""

    percent: int
    low_sats_per_coin: str
    high_sats_per_coin: str


class SignedQuote(Output):
    """A price that is honoured until it expires: `amount` atomic units of `asset` buy `sats`.

    The operator's Ed25519 key signs `satbox-quote:NETWORK:PAY_TO`, a line feed, and the RFC 8785 form of the other members.
    """

    quote_id: str
    amount: str
    asset: str
    sats: int
    rate: QuoteRate
    sources: list[str]
    confidence: QuoteConfidence
    issued_at: str
    expires_at: str
    signature: str


class OfferView(Output):
    """One way to pay; sBTC is one unit per sat and has no quote."""

    asset: str
    contract: str
    amount: str
    sats: int
    seconds: int
    quote_id: str | None = None
    expires_at: str | None = None
    quote: SignedQuote | None = None


class WithheldView(Output):
    """Why an asset is not offered now: a stable code, and words."""

    code: str
    message: str


class Quote(Output):
    """What `sats` cost in each offered asset, and why an asset is missing."""

    sats: int
    seconds: int
    rate_usat_per_second: int
    offers: list[OfferView]
    not_offered: dict[str, WithheldView] = Field(default_factory=dict)


class AssetPrice(Output):
    """What one whole coin is worth in sats, as text with all decimals. Without `is_offered`, `code` and `message` say why."""

    asset: str
    is_offered: bool
    code: str | None = None
    message: str | None = None
    sats_per_coin: str | None = None
    low_sats_per_coin: str | None = None
    high_sats_per_coin: str | None = None
    haircut_ppm: int = 0
    anchor_sats_per_coin: str | None = None
    sources: list[str] = Field(default_factory=list)
    rejected: list[str] = Field(default_factory=list)
    oldest_at: str | None = None


class Prices(Output):
    """Every asset's price, sBTC's among them, which never changes. `at` is None while the oracle is silent."""

    at: str | None
    items: list[AssetPrice]


class SourceStanding(Output):
    """What a source counts for in one asset's price: `used`, `rejected`, `fresh` while there is no price, or why it has no
    rate of its own (`silent`, `stale`, `early`, `insane`, `frozen`, `contradicts itself`).
    """

    state: str
    sats_per_coin: str | None = None
    weight_ppm: int = 0


class Source(Output):
    """How one price source does. `prices` are its newest words, in the second of each pair."""

    name: str
    group: str
    weight: int
    last_ok_at: str | None = None
    age_seconds: float | None = None
    error: str | None = None
    failures_in_a_row: int = 0
    prices: dict[str, str] = Field(default_factory=dict)
    standings: dict[str, SourceStanding] = Field(default_factory=dict)
    timeout_seconds: float
    heartbeat_seconds: float
    stale_seconds: float


class Sources(Output):
    """Every price source; none while the oracle is silent."""

    at: str | None
    items: list[Source]


FEATURE = Feature(
    20,
    (
        Operation(
            "sandbox.quote", "GET", "/sandbox/quote",
            "See what sats or seconds cost in each asset; nothing is bought.",
            QuoteInput, Quote, Auth.NONE,
            verb=Verb(("quote",), "see what sats or seconds cost; nothing is bought", form="money.price_tables:quote"),
            tool=Tool("satbox_quote"),
        ),
        Operation(
            "oracle.prices", "GET", "/oracle/prices",
            "See what each coin is worth in sats, how sure that is, and why one is not offered.",
            Nothing, Prices, Auth.NONE,
            verb=Verb(("prices",), "see what each coin is worth, and why one is missing", form="money.price_tables:prices"),
            tool=NoTool("satbox_quote tells an agent that is about to pay"),
        ),
        Operation(
            "oracle.sources", "GET", "/oracle/sources",
            "See how each price source does: last answer, age, error, weight, used or rejected.",
            Nothing, Sources, Auth.NONE,
            verb=Verb(("sources",), "see how each price source does", form="money.price_tables:sources"),
            tool=NoTool("for those who watch over the service"),
        ),
    ),
)  # fmt: skip
