"""The oracle on Ray: one actor that keeps prices fresh, and the client that asks it for quotes."""

import asyncio
import logging
import os
import secrets
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
from apscheduler.schedulers.asyncio import AsyncIOScheduler
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from actors.ray_call import NamedActors, answered, start_actor
from oracle.book import QuoteBook
from oracle.oracle import Oracle, OracleSettings, Snapshot
from oracle.quotes import Quote
from oracle.sources import CoinGecko, PriceSource, coinbase, kraken

NAME = "oracle"
REFRESH_SECONDS = 15
CONCURRENCY_MAX = 500


@dataclass(frozen=True, slots=True)
class PriceUrls:
    """Where prices come from."""

    coinbase: str = "https://api.exchange.coinbase.com"
    kraken: str = "https://api.kraken.com"
    coingecko: str = "https://api.coingecko.com"

    @classmethod
    def of_devnet(cls, base: str) -> "PriceUrls":
        """The devnet serves every source under one base, by its name."""
        return cls(f"{base}/coinbase", f"{base}/kraken", f"{base}/coingecko")


@dataclass(frozen=True, slots=True)
class OracleSpec:
    """What the oracle process is told; it crosses to the process pickled."""

    home: Path
    key_path: Path
    network: str
    pay_to: str
    urls: PriceUrls


class OracleProcess:
    """The Ray actor."""

    def __init__(self, spec: OracleSpec) -> None:
        logging.basicConfig(level=logging.WARNING)
        self._spec = spec
        self._oracle: Oracle | None = None
        self._session: aiohttp.ClientSession | None = None
        self._scheduler: AsyncIOScheduler | None = None
        self._book: QuoteBook | None = None

    def _started(self) -> Oracle:
        if self._oracle is None:
            spec = self._spec
            key = serialization.load_pem_private_key(spec.key_path.read_bytes(), password=None)
            if not isinstance(key, Ed25519PrivateKey):
                raise TypeError("the operator's key is not an Ed25519 key")
            self._session = aiohttp.ClientSession(headers={"User-Agent": "satbox"})
            sources: list[PriceSource] = [
                coinbase(spec.urls.coinbase, self._session),
                kraken(spec.urls.kraken, self._session),
                CoinGecko(spec.urls.coingecko, self._session),
            ]
            self._book = QuoteBook(spec.home / "oracle.sqlite")
            self._oracle = Oracle(
                sources,
                key,
                self._book,
                OracleSettings(spec.network, spec.pay_to),
                now_ms=lambda: time.time_ns() // 1_000_000,
                new_id=lambda: f"quo_{secrets.token_hex(12)}",
            )
            self._scheduler = AsyncIOScheduler()
            self._scheduler.add_job(
                self._oracle.refresh, "interval", seconds=REFRESH_SECONDS, max_instances=1, coalesce=True
            )
            self._scheduler.start()
        return self._oracle

    async def ping(self) -> int:
        """Be up, and say which process this is."""
        self._started()
        return os.getpid()

    async def quote(self, asset: str, usat: int) -> Any:
        """A signed quote."""
        return await answered(self._started().quote(asset, usat))

    async def snapshot(self) -> Snapshot:
        """What is known of prices now."""
        return self._started().snapshot()

    async def close(self) -> None:
        """Stop asking."""
        if self._oracle is None or self._scheduler is None or self._session is None or self._book is None:
            return
        self._scheduler.shutdown(wait=False)
        await self._oracle.aclose()
        await self._session.close()
        await asyncio.to_thread(self._book.close)
        self._oracle = None


class RayOracle:
    """The oracle wherever it runs."""

    def __init__(self) -> None:
        self._actors = NamedActors()

    async def quote(self, asset: str, usat: int) -> Quote:
        """A signed quote; asset_not_offered when there is none to be had."""
        quote: Quote = await self._actors.call(NAME, "quote", asset, usat)
        return quote

    async def snapshot(self) -> Snapshot:
        """What is known of prices now."""
        snapshot: Snapshot = await self._actors.call(NAME, "snapshot")
        return snapshot


def start_oracle(spec: OracleSpec) -> Any:
    """Make the oracle actor, or get it."""
    return start_actor(OracleProcess, NAME, spec, concurrency=CONCURRENCY_MAX)
