"""Every quote that was given, kept for audit: one SQLite file, written off the loop."""

import asyncio
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from oracle.quotes import Quote

_SCHEMA = """CREATE TABLE IF NOT EXISTS quotes (
    quote_id TEXT PRIMARY KEY, asset TEXT NOT NULL, atomic_amount TEXT NOT NULL, usat INTEGER NOT NULL,
    coin_usd_nano INTEGER NOT NULL, btc_usd_nano INTEGER NOT NULL, haircut_ppm INTEGER NOT NULL,
    sources TEXT NOT NULL, issued_at_ms INTEGER NOT NULL, expires_at_ms INTEGER NOT NULL
) STRICT"""
_COLUMNS = "quote_id, asset, atomic_amount, usat, coin_usd_nano, btc_usd_nano, haircut_ppm, sources, issued_at_ms, expires_at_ms"
QUOTES_MAX = 200_000


class QuoteBook:
    """The file at `path`. Losing its last second in a power cut loses no money: the token carries the price."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="quote-book")
        self._db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA synchronous = NORMAL")
        self._db.execute(_SCHEMA)

    async def keep(self, quote: Quote) -> None:
        """Write a quote down."""
        await asyncio.get_running_loop().run_in_executor(self._thread, self._keep, quote)

    async def find(self, quote_id: str) -> Quote | None:
        """A quote by its id, without its token."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._find, quote_id)

    def close(self) -> None:
        """Finish and close the file."""
        self._thread.shutdown()
        self._db.close()

    def _keep(self, quote: Quote) -> None:
        values = (
            quote.quote_id, quote.asset, str(quote.atomic_amount), quote.usat, quote.coin_usd_nano,
            quote.btc_usd_nano, quote.haircut_ppm, ",".join(quote.sources), quote.issued_at_ms, quote.expires_at_ms,
        )  # fmt: skip
        self._db.execute(f"INSERT INTO quotes ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", values)  # noqa: S608
        self._db.execute("DELETE FROM quotes WHERE rowid <= (SELECT max(rowid) FROM quotes) - ?", (QUOTES_MAX,))

    def _find(self, quote_id: str) -> Quote | None:
        query = f"SELECT {_COLUMNS} FROM quotes WHERE quote_id = ?"  # noqa: S608
        row = self._db.execute(query, (quote_id,)).fetchone()
        if row is None:
            return None
        given, asset, amount, usat, coin, btc, cut, sources, issued, expires = row
        return Quote(given, asset, int(amount), usat, coin, btc, cut, tuple(sources.split(",")), issued, expires)
