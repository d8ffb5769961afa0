"""All wallets of a home, a file each: `<folder>/<shard>/<address>.sqlite`."""

import contextlib
import logging
from collections.abc import Callable, Iterator
from pathlib import Path

from actors.books.heads import Head, RewrittenError
from actors.errors import is_damage
from actors.placement import shard_of
from actors.stores.looking import ChangedMeanwhileError, looked_at, stamp
from actors.stores.pages import head_after
from actors.stores.wallet_file import WalletFile, read_state
from actors.stores.wallets import Owns
from actors.wallet.state import WalletState
from actors.wallet.unfinished import is_unfinished
from storage.errors import StorageError

log = logging.getLogger(__name__)

OpenFile = Callable[[Path, str], WalletFile]


def wallet_path(wallets: Path, address: str) -> Path:
    """The file of a wallet."""
    return wallets / f"{shard_of(address):04d}" / f"{address}.sqlite"


class WalletFolder:
    """A `WalletRepository`. Any number of processes may have one over the same folder."""

    def __init__(self, folder: Path, open_file: OpenFile = WalletFile) -> None:
        self._folder = folder
        self._open_file = open_file

    def _path(self, address: str) -> Path:
        return wallet_path(self._folder, address)

    async def exists(self, address: str) -> bool:
        """See `WalletRepository`. A look at a folder's entry: no thread is worth it."""
        return self._path(address).exists()

    def open(self, address: str) -> WalletFile:
        """See `WalletRepository`."""
        return self._open_file(self._path(address), address)

    def addresses(self) -> Iterator[str]:
        """See `WalletRepository`."""
        for shard in sorted(self._folder.glob("*/")):
            with contextlib.suppress(FileNotFoundError):
                for path in sorted(shard.glob("*.sqlite")):
                    yield path.stem

    def stamp(self, address: str) -> str:
        """See `WalletRepository`: sizes and times of the file and its log."""
        return stamp(self._path(address))

    def at_rest(self, address: str) -> WalletState | None:
        """See `WalletRepository`."""
        path = self._path(address)
        return read_state(path) if path.exists() else None

    def unfinished(self, owns: Owns | None = None) -> list[str]:
        """See `WalletRepository`. Every file is opened."""
        found: list[str] = []
        for address in self.addresses():
            if owns is not None and not owns(address):
                continue
            try:
                state = self.at_rest(address)
            except StorageError as error:
                if not is_damage(error):
                    raise
                log.exception("the wallet of %s is damaged", address)
                continue
            if state is not None and is_unfinished(state):
                found.append(address)
        return found

    def head_after(self, address: str, known: Head) -> Head:
        """See `WalletRepository`. The file is left as it was found."""
        path = self._path(address)
        try:
            with looked_at(path) as db:
                return head_after(db, known)
        except (ChangedMeanwhileError, StorageError, RewrittenError):
            with looked_at(path, in_use=True) as db:  # what was wrong may have been the looking
                return head_after(db, known)
