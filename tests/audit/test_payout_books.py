"""An audit finds what a queue or a wallet says of payouts that the other does not, and refunds beyond a charge."""

import pytest

from actors.wallet.journal import Entry
from relay_client.payouts import PayoutState
from satbox.audit.findings import Findings
from satbox.audit.payout_books import HELD, PAID, RETURNED, Queued, RefundReplay, match_payouts

WALLET = "ST2CY5V39NHDPWSXMW9QDT3HC3GD6Q6XX4CFRK9AG"


def entry(kind: str, reference: str = "rcl_1_0", **amounts: int) -> Entry:
    return Entry(1, 0, kind, reference, tuple(amounts.items()), 0, "", "")


CHARGE = entry("charge", "rt_1", burnt=5)


@pytest.mark.parametrize(
    ("entries", "is_right"),
    [
        ((CHARGE, entry("credit_back", "rt_1", burnt=-5)), True),
        ((CHARGE, entry("credit_back", "rt_1", burnt=-6)), False),
        ((CHARGE, entry("credit_back", "rt_2", burnt=-1)), False),
        ((CHARGE, entry("credit_back", "rt_1", burnt=-1), entry("credit_back", "rt_1", burnt=-1)), False),
        ((entry("payout_hold", held=7), entry("payout", held=-7)), True),
        ((entry("payout_hold", held=7), entry("payout_return", held=-7)), True),
        ((entry("payout_hold", held=7), entry("payout", held=-6)), False),
        ((entry("payout", held=-7),), False),
        ((entry("payout_hold", held=7), entry("payout_hold", held=7)), False),
        ((entry("payout_hold", held=7), entry("payout", held=-7), entry("payout_return", held=-7)), False),
    ],
)
def test_one_wallets_refunds(entries: tuple[Entry, ...], is_right: bool) -> None:
    found: list[str] = []
    replay = RefundReplay(lambda place, rule, what: found.append(what))
    for one in entries:
        replay.take(one)
    assert (found == []) is is_right


@pytest.mark.parametrize(
    ("mine", "before", "after", "is_right"),
    [
        ((HELD, 7), None, None, True),
        ((HELD, 7), PayoutState.QUEUED, PayoutState.QUEUED, True),
        ((HELD, 7), PayoutState.CONFIRMED, PayoutState.CONFIRMED, True),
        ((PAID, 7), PayoutState.MEMPOOL, PayoutState.CONFIRMED, True),
        ((PAID, 7), PayoutState.MEMPOOL, PayoutState.MEMPOOL, False),
        ((PAID, 7), PayoutState.FAILED, PayoutState.FAILED, False),
        ((PAID, 7), None, None, False),
        ((RETURNED, 7), PayoutState.FAILED, PayoutState.FAILED, True),
        ((RETURNED, 7), PayoutState.CONFIRMED, PayoutState.CONFIRMED, False),
        ((HELD, 6), PayoutState.QUEUED, PayoutState.QUEUED, False),
        (None, PayoutState.QUEUED, PayoutState.QUEUED, False),
    ],
)
def test_wallets_and_queue(
    mine: tuple[str, int] | None, before: PayoutState | None, after: PayoutState | None, is_right: bool
) -> None:
    found = Findings()
    posted = {} if mine is None else {"rcl_1_0": (WALLET, *mine)}
    first, second = ({} if s is None else {"rcl_1_0": Queued(WALLET, 7, s)} for s in (before, after))
    match_payouts(posted, first, second, set(), found)
    assert found.is_clean is is_right
    match_payouts(posted, first, second, {WALLET}, Findings())
