"""Which wallets somebody must look after, by their files alone."""

from dataclasses import replace
from pathlib import Path

import pytest

from actors.errors import CorruptWalletError, is_damage
from actors.stores.wallet_file import WalletFile
from actors.stores.wallet_folder import WalletFolder, wallet_path
from actors.stores.wallets import Batch
from actors.wallet.calls import Transit
from actors.wallet.state import RuntimeRef, WalletState
from storage.errors import StorageError, UnavailableError


def left(home: Path, state: WalletState) -> None:
    store = WalletFile(wallet_path(home, state.address), state.address)
    store.commit(Batch(state, 0))
    store.close()


def test_wallets_that_run_or_owe_something_are_found_beside_a_damaged_one(tmp_path: Path) -> None:
    left(tmp_path, WalletState("STRESTS"))
    left(tmp_path, replace(WalletState("STRUNS"), runtime=RuntimeRef("rt_1")))
    left(tmp_path, replace(WalletState("STPAYS"), transit=(Transit("ord_1", "STOTHER", 1),)))
    damaged = wallet_path(tmp_path, "STDAMAGED")
    damaged.parent.mkdir(parents=True, exist_ok=True)
    damaged.write_bytes(b"this is no database" * 100)

    assert sorted(WalletFolder(tmp_path).unfinished()) == ["STPAYS", "STRUNS"]
    assert WalletFolder(tmp_path).unfinished(lambda address: address == "STPAYS") == ["STPAYS"]


@pytest.mark.parametrize(
    ("error", "is_so"),
    [
        (StorageError("file is not a database"), True),
        (CorruptWalletError("state and journal disagree"), True),
        (UnavailableError("database or disk is full"), False),
        (OSError("no space left"), False),
    ],
)
def test_a_full_disk_is_no_damage(error: Exception, is_so: bool) -> None:
    assert is_damage(error) is is_so
