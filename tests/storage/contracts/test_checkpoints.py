"""What the gate and the books' clock take for granted of a `CheckpointBook`."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from actors.books.checkpoints import CheckpointBook
from actors.books.heads import Head, hash_of
from actors.books.merkle import root, root_from
from actors.stores.checkpoint_log import CheckpointLog
from actors.stores.wallet_folder import WalletFolder
from actors.stores.wallets import WalletRepository
from actors.wallet.journal import GENESIS
from tests.storage.contracts.test_wallets import REPOSITORIES, deposit


def sign(statement: dict[str, Any]) -> dict[str, Any]:
    return {"statement": statement, "signature": "", "public_key": ""}


BOOKS: dict[str, Callable[[Path, WalletRepository], CheckpointBook]] = {
    "file": lambda folder, wallets: CheckpointLog(folder / "checkpoints.sqlite", wallets, sign, {"deployment": "test"})
}


@pytest.fixture(params=REPOSITORIES)
def wallets(request: pytest.FixtureRequest, tmp_path: Path) -> WalletRepository:
    return REPOSITORIES[request.param](tmp_path / "wallets")


@pytest.fixture(params=BOOKS)
def book(request: pytest.FixtureRequest, tmp_path: Path, wallets: WalletRepository) -> CheckpointBook:
    return BOOKS[request.param](tmp_path, wallets)


def grow(wallets: WalletRepository, address: str, payment_id: str) -> None:
    store = wallets.open(address)
    store.commit(deposit(store, payment_id))
    store.close()


def test_each_names_the_one_before_and_holds_what_changed_since(
    book: CheckpointBook, wallets: WalletRepository
) -> None:
    assert (book.newest(), book.page(0, 10), book.inclusion("ST1")) == (None, [], None)
    assert not book.make(0, "now").is_new, "there is nothing to commit to"
    for number in range(3):
        grow(wallets, f"ST{number}", "pay_1")
    first = book.make(1, "now")
    assert (first.is_new, first.rewritten) == (True, {})
    assert not book.make(2, "now").is_new, "nothing has changed"
    grow(wallets, "ST1", "pay_2")
    second = book.make(3, "later")
    assert first.document is not None
    assert second.document is not None
    one, two = first.document["statement"], second.document["statement"]
    assert (one["number"], one["heads"], one["previous"]) == (1, 3, GENESIS)
    assert (two["number"], two["heads"], two["previous"]) == (2, 1, hash_of(one))
    assert two["root"] == root([wallets.head_after("ST1", Head("ST1")).leaf]).hex()
    assert book.page(0, 10) == [first.document, second.document]
    assert (book.page(1, 10), book.page(0, 1)) == ([second.document], [first.document])
    assert book.newest() == second.document


def test_every_wallet_can_prove_its_head(book: CheckpointBook, wallets: WalletRepository) -> None:
    for number in range(5):
        grow(wallets, f"ST{number}", "pay_1")
    book.make(1, "now")
    for number in range(5):
        found = book.inclusion(f"ST{number}")
        assert found is not None
        assert found.head == wallets.head_after(f"ST{number}", Head(f"ST{number}"))
        made = found.checkpoint["statement"]
        path = [bytes.fromhex(one) for one in found.path]
        reached = root_from(found.head.leaf, found.position, made["heads"], path)
        assert reached is not None
        assert reached.hex() == made["root"]


def test_a_past_that_is_another_is_named_and_gets_no_leaf(tmp_path: Path) -> None:
    """Whichever way it became another: here a wallet began again."""
    grow(WalletFolder(tmp_path / "one"), "ST1", "pay_1")
    grow(WalletFolder(tmp_path / "other"), "ST1", "pay_other")
    for make in BOOKS.values():
        made = make(tmp_path, WalletFolder(tmp_path / "one")).make(1, "now")
        again = make(tmp_path, WalletFolder(tmp_path / "other"))
        spoilt = again.make(2, "now")
        assert (spoilt.is_new, spoilt.document, list(spoilt.rewritten)) == (False, made.document, ["ST1"])
        assert list(again.make(3, "now").rewritten) == ["ST1"], "it is named until it goes on from there"
