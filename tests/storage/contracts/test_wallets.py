"""What hosts, checkpoints and gates take for granted of a `WalletRepository` and its `WalletStore`s."""

import dataclasses
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from actors.books.chain import broken_links
from actors.books.heads import Head, RewrittenError
from actors.books.ranges import Bounds, Range
from actors.books.span_chain import chained
from actors.errors import FencedError
from actors.stores.wallet_folder import WalletFolder
from actors.stores.wallets import Batch, Mark, WalletRepository, WalletStore
from actors.wallet import commands as c
from actors.wallet.calls import Transit
from actors.wallet.commands import Happening, SpanRecord
from actors.wallet.decide import decide
from actors.wallet.journal import GENESIS
from actors.wallet.state import Instant, RuntimeRef, WalletPolicy, WalletState
from storage.errors import ConflictError

ADDRESS, OTHER, NOBODY = "STCONTRACT", "STOTHER", "STNOBODY"
SAT = 1_000_000
WALL_MS = 1_700_000_000_000
REPOSITORIES: dict[str, Callable[[Path], WalletRepository]] = {"files": WalletFolder}


@pytest.fixture(params=REPOSITORIES)
def wallets(request: pytest.FixtureRequest, tmp_path: Path) -> WalletRepository:
    return REPOSITORIES[request.param](tmp_path / "wallets")


def deposit(store: WalletStore, payment_id: str, sats: int = 5, wall_ms: int = WALL_MS) -> Batch:
    made = decide(
        store.state, c.Deposit(payment_id, "SPpayer", sats * SAT, "tx", "sBTC"), Instant(wall_ms, None, "rt_1"),
        WalletPolicy(),
    )  # fmt: skip
    return Batch(made.state, wall_ms, made.entries, made.spans, made.events, (Mark("deposit", payment_id),))


def span(store: WalletStore, seq: int) -> Batch:
    record = SpanRecord(seq, "rt_1", "boot_1", seq * 1_000, seq * 1_000 + 1_000, 7, 0, 0, 7)
    state = replace(store.state, version=store.state.version + 1, span_seq=seq)
    return Batch(state, WALL_MS, spans=[record])


def with_state(store: WalletStore, **changes: object) -> Batch:
    state = dataclasses.replace(store.state, version=store.state.version + 1, **changes)  # type: ignore[arg-type]
    return Batch(state, WALL_MS)


# Being there


async def test_a_wallet_is_there_from_its_first_activation_on_and_asking_makes_none(wallets: WalletRepository) -> None:
    assert not await wallets.exists(ADDRESS)
    assert wallets.at_rest(ADDRESS) is None
    assert list(wallets.addresses()) == wallets.unfinished() == []
    gone = wallets.stamp(ADDRESS)
    assert not await wallets.exists(ADDRESS)

    wallets.open(ADDRESS).close()

    assert await wallets.exists(ADDRESS)
    assert wallets.at_rest(ADDRESS) == WalletState(ADDRESS)
    assert list(wallets.addresses()) == [ADDRESS]
    assert wallets.stamp(ADDRESS) != gone
    assert not await wallets.exists(OTHER)


def test_every_address_is_told_once_and_in_the_same_order(wallets: WalletRepository) -> None:
    made = [f"ST{number}" for number in range(40)]
    for address in made:
        wallets.open(address).close()
    told = list(wallets.addresses())
    assert sorted(told) == sorted(made)
    assert told == list(wallets.addresses())


def test_who_must_be_looked_after_is_found_among_those_who_rest(wallets: WalletRepository) -> None:
    changes: dict[str, dict[str, object]] = {
        "STRESTS": {}, "STRUNS": {"runtime": RuntimeRef("rt_1")}, "STPAYS": {"transit": (Transit("ord_1", OTHER, 1),)},
    }  # fmt: skip
    for address, change in changes.items():
        store = wallets.open(address)
        store.commit(with_state(store, **change))
        store.close()
    assert sorted(wallets.unfinished()) == ["STPAYS", "STRUNS"]
    assert wallets.unfinished(lambda address: address == "STPAYS") == ["STPAYS"]


# Committing


def test_what_was_committed_is_there_for_any_opener(wallets: WalletRepository) -> None:
    store = wallets.open(ADDRESS)
    store.commit(deposit(store, "pay_1"))
    assert wallets.at_rest(ADDRESS) == store.state, "also while it is open"
    store.close()
    again = wallets.open(ADDRESS)
    assert again.state == store.state
    assert again.state.accounts.bucket == 5 * SAT
    assert again.epoch > store.epoch
    again.close()


def test_an_older_activation_can_never_write(wallets: WalletRepository) -> None:
    old = wallets.open(ADDRESS)
    new = wallets.open(ADDRESS)
    assert (old.is_newest(), new.is_newest()) == (False, True)
    with pytest.raises(FencedError):
        old.commit(deposit(old, "pay_old"))
    assert old.state == WalletState(ADDRESS), "what was not written is not its state"
    new.commit(deposit(new, "pay_new"))
    assert [entry.reference for entry in new.entries(0, 10)] == ["pay_new"]
    assert not new.has_seen("deposit", "pay_old")
    old.close()
    new.close()


def test_a_batch_is_written_whole_or_not_at_all(wallets: WalletRepository) -> None:
    store = wallets.open(ADDRESS)
    store.commit(deposit(store, "pay_1"))
    before = store.state
    twice = deposit(store, "pay_2")
    with pytest.raises(ConflictError):
        store.commit(replace(twice, marks=(*twice.marks, *twice.marks)))
    assert store.state == before
    assert [entry.reference for entry in store.entries(0, 10)] == ["pay_1"]
    assert not store.has_seen("deposit", "pay_2")
    assert store.events(before.event_seq, 10) == []
    store.commit(twice)
    assert store.state.accounts.bucket == 10 * SAT
    store.close()


def test_marks_are_kept_by_kind(wallets: WalletRepository) -> None:
    store = wallets.open(ADDRESS)
    store.commit(
        replace(with_state(store), marks=(Mark("order", "a"), Mark("order", "b"), Mark("nonce", "c", WALL_MS)))
    )
    assert [store.has_seen("order", "a"), store.has_seen("nonce", "a"), store.has_seen("nonce", "c")] == [
        True, False, True,
    ]  # fmt: skip
    assert store.seen_among("order", ["a", "c", "d"]) == frozenset({"a"})
    assert store.seen_among("order", []) == frozenset()
    store.close()


def test_one_that_rests_keeps_its_epoch_and_goes_on(wallets: WalletRepository) -> None:
    store = wallets.open(ADDRESS)
    store.commit(deposit(store, "pay_1"))
    store.rest()
    assert not store.is_open
    store.commit(deposit(store, "pay_2"))
    assert store.is_newest()
    assert store.state.accounts.bucket == 10 * SAT
    store.close()
    store.close()


# Reading the books


@pytest.fixture
def books(wallets: WalletRepository) -> WalletStore:
    """Six deposits, a second apart, and four spans."""
    store = wallets.open(ADDRESS)
    for number in range(1, 7):
        store.commit(deposit(store, f"pay_{number}", number, WALL_MS + number * 1_000))
    for seq in range(1, 5):
        store.commit(span(store, seq))
    return store


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        (Range(), [1, 2, 3, 4, 5, 6]),
        (Range(after=2), [3, 4, 5, 6]),
        (Range(after=1, up_to=3), [2, 3]),
        (Range(since_ms=WALL_MS + 3_000), [3, 4, 5, 6]),
        (Range(until_ms=WALL_MS + 3_000), [1, 2]),
        (Range(since_ms=WALL_MS + 2_000, until_ms=WALL_MS + 5_000), [2, 3, 4]),
        (Range(after=3, since_ms=WALL_MS + 2_000), [4, 5, 6]),
        (Range(after=9), []),
        (Range(since_ms=WALL_MS + 99_000), []),
    ],
)
def test_a_range_of_the_journal_has_its_bounds_and_its_balances(
    books: WalletStore, wanted: Range, expected: list[int]
) -> None:
    everything = books.entries(0, 100)
    page = books.journal(wanted, 100)
    assert [entry.seq for entry in page.entries] == expected
    after = expected[0] - 1 if expected else page.bounds.after
    last = expected[-1] if expected else after

    def at(seq: int) -> tuple[int, str]:
        return (everything[seq - 1].balance_after_usat, everything[seq - 1].hash) if seq else (0, GENESIS)

    assert page.bounds == Bounds(after, last, *at(after), *at(last))
    assert page.state == books.state
    assert [entry.seq for entry in books.journal(wanted, 2).entries] == expected[:2]
    assert books.journal(wanted, 2).bounds == page.bounds
    books.close()


def test_entries_spans_and_events_come_in_order_and_in_pages(books: WalletStore) -> None:
    assert list(broken_links(ADDRESS, iter(books.entries(0, 100)))) == []
    assert [entry.seq for entry in books.entries(2, 3)] == [3, 4, 5]
    assert [one.seq for one in books.spans(1, 2)] == [2, 3]
    assert [one.seq for one in books.newest_spans(3)] == [2, 3, 4]
    assert [entry.seq for entry in books.of_kinds(["deposit"])] == [1, 2, 3, 4, 5, 6]
    assert books.of_kinds(["charge", "refund"]) == []
    assert books.charged_usat() == (28, 0)
    state = replace(books.state, version=books.state.version + 1, event_seq=books.state.event_seq + 2)
    first = books.state.event_seq + 1
    books.commit(
        Batch(state, WALL_MS, events=[(first, Happening("runway", {"seconds": 60})), (first + 1, Happening("x", {}))])
    )
    (one,) = books.events(first - 1, 1)
    assert (one.seq, one.at_ms, one.type, one.data) == (first, WALL_MS, "runway", {"seconds": 60})
    assert [event.seq for event in books.events(first - 1, 10)] == [first, first + 1]
    books.close()


# What changed


def test_every_commit_leaves_another_stamp(wallets: WalletRepository, books: WalletStore) -> None:
    before = wallets.stamp(ADDRESS)
    assert wallets.stamp(ADDRESS) == before
    books.commit(deposit(books, "pay_more"))
    assert wallets.stamp(ADDRESS) != before
    books.close()


def test_a_head_goes_on_from_where_it_was_seen(wallets: WalletRepository, books: WalletStore) -> None:
    first = wallets.head_after(ADDRESS, Head(ADDRESS))
    assert first == Head(ADDRESS, 6, books.state.head, 4, chained(books.spans(0, 100)))
    books.commit(span(books, 5))
    books.commit(deposit(books, "pay_7"))
    second = wallets.head_after(ADDRESS, first)
    books.close()
    assert second == wallets.head_after(ADDRESS, Head(ADDRESS))
    assert (second.seq, second.spans_seq) == (7, 5)
    for forged in (replace(first, head="0" * 63 + "1"), replace(first, seq=99), replace(first, spans_seq=99)):
        with pytest.raises(RewrittenError):
            wallets.head_after(ADDRESS, forged)
