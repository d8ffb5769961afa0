"""Merkle trees by RFC 6962, and a log that commits to what changed and to nothing that was rewritten."""

import os
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.books.heads import Head, hash_of
from actors.books.merkle import leaf_hash, levels, path, root, root_from
from actors.stores.checkpoint_log import CheckpointLog
from actors.stores.looking import ChangedMeanwhileError, looked_at
from actors.stores.wallet_file import WalletFile
from actors.stores.wallet_folder import WalletFolder, wallet_path
from actors.stores.wallets import Batch
from actors.wallet import commands as c
from tests.actors.harness import World
from tests.actors.hosting import new_address

RFC_6962_LEAVES = [bytes.fromhex(text) for text in (
    "", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f",
)]  # fmt: skip
RFC_6962_ROOTS = [
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]
"""The tree that certificate-transparency's own tests grow leaf by leaf."""


@pytest.mark.parametrize("size", range(1, 9))
def test_roots_are_those_of_certificate_transparency(size: int) -> None:
    assert root([leaf_hash(data) for data in RFC_6962_LEAVES[:size]]).hex() == RFC_6962_ROOTS[size - 1]


@given(st.integers(1, 70), st.data())
def test_a_path_proves_its_own_leaf_at_its_own_place_only(size: int, data: st.DataObject) -> None:
    leaves = [leaf_hash(n.to_bytes(2, "big")) for n in range(size)]
    at, other = data.draw(st.integers(0, size - 1)), data.draw(st.integers(0, size - 1))
    proof = path(levels(leaves), at)
    assert root_from(leaves[at], at, size, proof) == root(leaves)
    if other != at:
        assert root_from(leaves[other], at, size, proof) != root(leaves)
        assert root_from(leaves[at], other, size, proof) != root(leaves)
    assert root_from(leaves[at], at, size, [*proof, leaves[at]]) != root(leaves)
    assert size == 1 or root_from(leaves[at], at, size, proof[:-1]) != root(leaves)


def sign(statement: dict[str, Any]) -> dict[str, Any]:
    return {"statement": statement, "signature": "s", "public_key": "k"}


@pytest.fixture
def log(tmp_path: Path) -> CheckpointLog:
    return CheckpointLog(
        tmp_path / "checkpoints.sqlite", WalletFolder(tmp_path / "wallets"), sign, {"deployment": "test"}
    )


def wallet(folder: Path, sats: int = 5) -> WalletFile:
    """A wallet's file with a deposit and a charge in it."""
    address = new_address()
    store = WalletFile(wallet_path(folder / "wallets", address), address)
    grow(store, sats)
    return store


def grow(store: WalletFile, sats: int = 5) -> None:
    world = World()
    world.state = store.state
    world.ids = store.state.seq * 100
    world.create() if store.state.seq == 0 else None
    world.deposit(sats, f"pay_{store.state.seq}")
    world.pass_ms(2000)
    world.ask(c.Checkpoint())
    world.pass_ms(1)
    store.commit(Batch(world.state, 0, world.entries, world.spans))


def test_only_what_changed_is_committed_to_and_each_names_the_one_before(log: CheckpointLog, tmp_path: Path) -> None:
    assert log.make(0, "-").document is None
    stores = [wallet(tmp_path) for _ in range(5)]
    first = log.make(1, "t1")
    assert first.is_new
    assert first.document is not None
    assert first.document["statement"]["heads"] == 5
    again = log.make(2, "t2")
    assert (again.is_new, again.document) == (False, first.document)
    grow(stores[2])
    second = log.make(3, "t3").document
    assert second is not None
    assert second["statement"]["heads"] == 1
    assert second["statement"]["previous"] == hash_of(first.document["statement"])
    assert log.page(0, 10) == [first.document, second]
    assert log.page(1, 10) == [log.newest()] == [second]
    for store in stores:
        store.close()
    assert not log.make(4, "t4").is_new, "a log that was written back changes no head"


def test_every_wallet_can_prove_its_head(log: CheckpointLog, tmp_path: Path) -> None:
    stores = [wallet(tmp_path) for _ in range(7)]
    log.make(1, "t1")
    for store in stores:
        found = log.inclusion(store.state.address)
        assert found is not None
        assert (found.head.seq, found.head.head) == (store.state.seq, store.state.head)
        said = found.checkpoint["statement"]
        hashes = [bytes.fromhex(part) for part in found.path]
        led = root_from(found.head.leaf, found.position, said["heads"], hashes)
        assert led is not None
        assert led.hex() == said["root"]
        store.close()
    assert log.inclusion("ST1NOBODY") is None


def test_a_past_that_was_rewritten_gets_no_new_leaf(log: CheckpointLog, tmp_path: Path) -> None:
    store, other = wallet(tmp_path), wallet(tmp_path)
    log.make(1, "t1")
    before = log.inclusion(store.state.address)
    store.close()
    db = sqlite3.connect(wallet_path(tmp_path / "wallets", store.state.address))
    db.execute("DROP TRIGGER journal_keeps_all")
    db.execute("DELETE FROM journal WHERE seq = (SELECT max(seq) FROM journal)")
    db.commit()
    db.close()
    grow(other)
    made = log.make(2, "t2")
    assert list(made.rewritten) == [store.state.address]
    assert made.is_new
    assert log.inclusion(store.state.address) == before
    assert list(log.make(3, "t3").rewritten) == [store.state.address], "it is told of until somebody looks into it"
    other.close()


def test_a_file_that_cannot_be_read_does_not_stop_the_others(log: CheckpointLog, tmp_path: Path) -> None:
    broken = wallet_path(tmp_path / "wallets", "STBROKEN")
    broken.parent.mkdir(parents=True)
    broken.write_bytes(os.urandom(5000))
    store = wallet(tmp_path)
    made = log.make(1, "t1")
    assert list(made.rewritten) == ["STBROKEN"]
    assert log.inclusion(store.state.address) is not None
    store.close()


def test_the_log_only_grows(log: CheckpointLog, tmp_path: Path) -> None:
    wallet(tmp_path).close()
    log.make(1, "t1")
    db = sqlite3.connect(tmp_path / "checkpoints.sqlite")
    for statement in ("DELETE FROM checkpoints", "UPDATE leaves SET head = ''", "DELETE FROM leaves"):
        with pytest.raises(sqlite3.IntegrityError, match="append-only"):
            db.execute(statement)
    db.close()


def test_a_leaf_is_every_field_of_the_head() -> None:
    head = Head("ST1", 3, "a" * 64, 2, "b" * 64)
    others = [Head("ST2", 3, "a" * 64, 2, "b" * 64), Head("ST1", 4, "a" * 64, 2, "b" * 64), Head("ST1", 3, "c" * 64, 2, "b" * 64),
              Head("ST1", 3, "a" * 64, 3, "b" * 64), Head("ST1", 3, "a" * 64, 2, "c" * 64)]  # fmt: skip
    assert len({head.leaf, *(other.leaf for other in others)}) == 6


def test_looking_leaves_nothing_behind(log: CheckpointLog, tmp_path: Path) -> None:
    store = wallet(tmp_path)
    store.close()
    folder = wallet_path(tmp_path / "wallets", store.state.address).parent
    log.make(1, "t1")
    assert [file.suffix for file in folder.iterdir()] == [".sqlite"]


def test_a_file_that_changes_while_it_is_read_as_whole_is_not_believed(tmp_path: Path) -> None:
    store = wallet(tmp_path)
    store.close()
    file = wallet_path(tmp_path / "wallets", store.state.address)
    seen: list[int] = []

    def look(*, in_use: bool) -> None:
        with looked_at(file, in_use=in_use) as db:
            seen.append(db.execute("SELECT max(seq) FROM journal").fetchone()[0])
            if not in_use:
                grow(store)

    with pytest.raises(ChangedMeanwhileError):
        look(in_use=False)
    look(in_use=True)
    assert seen == [1, store.state.seq]
    store.close()
