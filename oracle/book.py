"""Every quote that was given, kept for audit: one SQLite file, written off the loop, readable with `sqlite-utils rows`."""

import asyncio
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from sqlite_utils import Database
from sqlite_utils.migrations import Migrations

from oracle.quotes import Quote

QUOTES_MAX = 200_000
MIGRATIONS = Migrations("oracle")


@MIGRATIONS()
def quotes(db: Database) -> None:
    """Amounts are text, because SQLite's integers end where some tokens' units do not."""
    db.table("quotes").create(
        {
            "quote_id": str,
            "asset": str,
            "atomic_amount": str,
            "usat": int,
            "coin_usd_nano": int,
            "btc_usd_nano": int,
            "haircut_ppm": int,
            "sources": str,
            "issued_at_ms": int,
            "expires_at_ms": int,
        },
        pk="quote_id",
        strict=True,
    )


class QuoteBook:
    """The file at `path`. Losing its last second in a power cut loses no money: the token carries the price."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="quote-book")
        self._db = Database(sqlite3.connect(path, check_same_thread=False))
        self._db.conn.execute("PRAGMA journal_mode = WAL")
        self._db.conn.execute("PRAGMA synchronous = NORMAL")
        MIGRATIONS.apply(self._db)

    async def keep(self, quote: Quote) -> None:
        """Write a quote down."""
        await asyncio.get_running_loop().run_in_executor(self._thread, self._keep, quote)

    async def find(self, quote_id: str) -> Quote | None:
        """A quote by its id, without its token."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._find, quote_id)

    def close(self) -> None:
        """Finish and close the file."""
        self._thread.shutdown()
        self._db.conn.close()

    def _keep(self, quote: Quote) -> None:
        row = {
            "quote_id": quote.quote_id,
            "asset": quote.asset,
            "atomic_amount": str(quote.atomic_amount),
            "usat": quote.usat,
            "coin_usd_nano": quote.coin_usd_nano,
            "btc_usd_nano": quote.btc_usd_nano,
            "haircut_ppm": quote.haircut_ppm,
            "sources": ",".join(quote.sources),
            "issued_at_ms": quote.issued_at_ms,
            "expires_at_ms": quote.expires_at_ms,
        }
        with self._db.conn:
            self._db.table("quotes").insert(row)
            self._db.conn.execute(
                "DELETE FROM quotes WHERE rowid <= (SELECT max(rowid) FROM quotes) - ?", (QUOTES_MAX,)
            )

    def _find(self, quote_id: str) -> Quote | None:
        for row in self._db.table("quotes").rows_where("quote_id = ?", (quote_id,)):
            return _quote(row)
        return None


def _quote(row: dict[str, Any]) -> Quote:
    return Quote(
        quote_id=row["quote_id"],
        asset=row["asset"],
        atomic_amount=int(row["atomic_amount"]),
        usat=row["usat"],
        coin_usd_nano=row["coin_usd_nano"],
        btc_usd_nano=row["btc_usd_nano"],
        haircut_ppm=row["haircut_ppm"],
        sources=tuple(row["sources"].split(",")),
        issued_at_ms=row["issued_at_ms"],
        expires_at_ms=row["expires_at_ms"],
    )
