import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.wallet import bucket
from actors.wallet.bucket import Accounts, BrokenInvariantError, Posting, check, posted

amounts = st.integers(1, 10**15)


@given(st.lists(st.tuples(st.sampled_from(["deposit", "charge", "arrears", "reversal"]), amounts), max_size=40))
def test_every_legal_posting_keeps_the_books_balanced(steps: list[tuple[str, int]]) -> None:
    accounts, paid_in, burnt = Accounts(), 0, 0
    for kind, usat in steps:
        if kind == "deposit":
            accounts, paid_in = posted(accounts, bucket.deposit(usat, "p")), paid_in + usat
        elif kind == "charge":
            accounts, burnt = posted(accounts, bucket.charges(usat, accounts.bucket, "r")), burnt + usat
        elif kind == "arrears" and min(accounts.debt_usat, accounts.bucket) > 0:
            accounts = posted(accounts, bucket.arrears(min(accounts.debt_usat, accounts.bucket)))
        elif kind == "reversal" and paid_in >= usat:
            accounts, paid_in = posted(accounts, bucket.reversal(usat, accounts.bucket, "p")), paid_in - usat
        check(accounts)

    assert -accounts.deposits == paid_in
    assert accounts.burnt == burnt
    assert paid_in == burnt + accounts.bucket - accounts.debt_usat


def test_a_posting_that_does_not_sum_to_zero_is_refused() -> None:
    with pytest.raises(BrokenInvariantError, match="sum to zero"):
        posted(Accounts(), Posting("invented", (("bucket", 5),)))


def test_the_bucket_is_never_overdrawn() -> None:
    with pytest.raises(BrokenInvariantError, match="overdrawn"):
        posted(Accounts(), Posting("theft", (("bucket", -5), ("burnt", 5))))
