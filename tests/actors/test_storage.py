"""The wallet's file: all or nothing, one writer, nothing forgotten."""

from dataclasses import replace
from pathlib import Path

import pytest

from actors.books.chain import broken_links
from actors.errors import CorruptWalletError, FencedError
from actors.stores.wallet_file import MARKS_KEPT, TRIMMED_EVERY, WalletFile, read_state
from actors.stores.wallets import Batch, Mark
from actors.wallet import commands as c
from actors.wallet.decide import decide
from actors.wallet.state import Instant, WalletPolicy, WalletState

ADDRESS = "STSTORAGE"
AT = Instant(1_700_000_000_000, None, "rt_1")


def deposited(state: WalletState, payment_id: str, usat: int) -> Batch:
    made = decide(state, c.Deposit(payment_id, "SPpayer", usat, "tx", "sBTC"), AT, WalletPolicy())
    return Batch(made.state, AT.wall_ms, made.entries, made.spans, made.events, (Mark("deposit", payment_id),))


def test_what_was_committed_is_there_after_reopening(tmp_path: Path) -> None:
    path = tmp_path / "w.sqlite"
    store = WalletFile(path, ADDRESS)
    store.commit(deposited(store.state, "pay_1", 5_000_000))
    store.close()
    again = WalletFile(path, ADDRESS)

    assert again.state.accounts.bucket == 5_000_000
    assert again.has_seen("deposit", "pay_1")
    assert [entry.kind for entry in again.entries(0, 10)] == ["deposit"]
    assert list(broken_links(ADDRESS, iter(again.entries(0, 10)))) == []
    assert read_state(path) == again.state
    again.close()


def test_an_older_activation_can_never_write(tmp_path: Path) -> None:
    old = WalletFile(tmp_path / "w.sqlite", ADDRESS)
    new = WalletFile(tmp_path / "w.sqlite", ADDRESS)
    with pytest.raises(FencedError):
        old.commit(deposited(old.state, "pay_1", 1))
    new.commit(deposited(new.state, "pay_1", 1))

    assert new.entries(0, 10)[0].reference == "pay_1"
    old.close()
    new.close()


def test_a_batch_that_cannot_be_written_whole_is_not_written_at_all(tmp_path: Path) -> None:
    store = WalletFile(tmp_path / "w.sqlite", ADDRESS)
    store.commit(deposited(store.state, "pay_1", 1))
    twice = deposited(store.state, "pay_1", 1)  # the mark exists: the last statement of the batch fails
    with pytest.raises(Exception, match="UNIQUE"):
        store.commit(twice)

    assert len(store.entries(0, 10)) == 1
    assert store.state.accounts.bucket == 1
    store.close()


def test_the_journal_takes_no_updates_and_no_deletes(tmp_path: Path) -> None:
    import sqlite3

    path = tmp_path / "w.sqlite"
    store = WalletFile(path, ADDRESS)
    store.commit(deposited(store.state, "pay_1", 1))
    store.close()
    db = sqlite3.connect(path)
    for statement in ("UPDATE journal SET kind = 'gift'", "DELETE FROM journal"):
        with pytest.raises(sqlite3.IntegrityError, match="append-only"):
            db.execute(statement)
    db.close()


def test_a_state_that_contradicts_its_journal_is_refused(tmp_path: Path) -> None:
    import sqlite3

    path = tmp_path / "w.sqlite"
    store = WalletFile(path, ADDRESS)
    store.commit(deposited(store.state, "pay_1", 1_000))
    store.close()
    db = sqlite3.connect(path)
    db.execute("UPDATE wallet SET state = replace(state, '\"bucket\":1000,', '\"bucket\":9000,')")
    db.execute("UPDATE wallet SET state = replace(state, '\"deposits\":-1000,', '\"deposits\":-9000,')")
    db.commit()
    db.close()
    with pytest.raises(CorruptWalletError):
        WalletFile(path, ADDRESS)


def test_a_store_at_rest_holds_no_file_and_goes_on_where_it_was(tmp_path: Path) -> None:
    store = WalletFile(tmp_path / "w.sqlite", ADDRESS)
    store.commit(deposited(store.state, "pay_1", 1))
    epoch = store.epoch
    store.rest()
    assert not store.is_open
    store.commit(deposited(store.state, "pay_2", 2))

    assert (store.epoch, store.state.accounts.bucket) == (epoch, 3)
    store.rest()
    newer = WalletFile(tmp_path / "w.sqlite", ADDRESS)
    with pytest.raises(FencedError):
        store.commit(deposited(store.state, "pay_3", 4))
    store.close()
    newer.close()


def burnt(state: WalletState, number: int, at_ms: int) -> Batch:
    """A challenge's nonce, which expires five minutes later."""
    made = decide(state, c.BurnNonce(f"nonce_{number}", at_ms + 300_000), AT, WalletPolicy())
    marks = (Mark("nonce", f"nonce_{number}", at_ms + 300_000),)
    return Batch(replace(made.state, version=state.version + 1), at_ms, made.entries, made.spans, made.events, marks)


def test_what_was_done_once_stays_known_when_the_clock_is_ahead_for_a_while(tmp_path: Path) -> None:
    store = WalletFile(tmp_path / "w.sqlite", ADDRESS)
    store.commit(burnt(store.state, 0, AT.wall_ms))
    for number in range(1, 200):
        store.commit(burnt(store.state, number, AT.wall_ms + 3 * 86_400_000))
    assert store.has_seen("nonce", "nonce_0")
    for number in range(200, 200 + MARKS_KEPT + TRIMMED_EVERY):
        store.commit(burnt(store.state, number, AT.wall_ms + 3 * 86_400_000))
    assert not store.has_seen("nonce", "nonce_0")
    store.close()
