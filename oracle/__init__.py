"""Prices in sats: sources, aggregation and signed quotes."""

from oracle.aggregate import ASSETS, Rate, Rules, Withheld
from oracle.anchor import Anchor, AnchorRules
from oracle.book import AnchorBook, QuoteBook
from oracle.desk import AssetWithheld, DeskSettings, QuoteDesk
from oracle.follower import SnapshotFollower
from oracle.oracle import Oracle, OracleSettings
from oracle.quotes import Quote, is_signed_by, quote_reader, sign_quote
from oracle.snapshot import REASONS, Reason, Snapshot, SourceHealth, Standing
from oracle.sources import HttpSource, PriceSource, SourceKind, devnet_bases, http_sources, public_bases

__all__ = [
    "ASSETS",
    "REASONS",
    "Anchor",
    "AnchorBook",
    "AnchorRules",
    "AssetWithheld",
    "DeskSettings",
    "HttpSource",
    "Oracle",
    "OracleSettings",
    "PriceSource",
    "Quote",
    "QuoteBook",
    "QuoteDesk",
    "Rate",
    "Reason",
    "Rules",
    "Snapshot",
    "SnapshotFollower",
    "SourceHealth",
    "SourceKind",
    "Standing",
    "Withheld",
    "devnet_bases",
    "http_sources",
    "is_signed_by",
    "public_bases",
    "quote_reader",
    "sign_quote",
]
