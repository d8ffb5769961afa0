"""Prices in sats: sources, aggregation and signed quotes."""

from oracle.book import QuoteBook
from oracle.oracle import Oracle, OracleSettings, Snapshot
from oracle.prices import Limits, NoPrice, Price, SourcePrice
from oracle.quotes import Quote, quote_reader
from oracle.sources import CoinGecko, PriceSource, SourceFailed, coinbase, kraken

__all__ = [
    "CoinGecko",
    "Limits",
    "NoPrice",
    "Oracle",
    "OracleSettings",
    "Price",
    "PriceSource",
    "Quote",
    "QuoteBook",
    "Snapshot",
    "SourceFailed",
    "SourcePrice",
    "coinbase",
    "kraken",
    "quote_reader",
]
