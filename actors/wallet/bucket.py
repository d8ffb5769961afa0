"""The bucket's double-entry rules: which accounts exist and which postings are legal.

Every entry's postings sum to zero. `bucket` is what the wallet can spend, `owed` is negative while grace seconds are
unpaid, `burnt` is what uptime and priced answers cost, `deposits` is the outside world money came from (so it is negative),
`write_offs` is what satbox lost, `credits` what it put right (both negative), `held` what is on its way back to whoever paid
it, `paid_out` what got there, `payout_fees` what that cost. Calls to other wallets are paid from what is `reserved`, are
`in_transit` until the other side has them, and `spent` then; `earnings` is what others' calls brought in (negative, like
`deposits`), of which `call_fees` went to the operator. The sum over all accounts is zero at all times, which says in words:
money in + earned + put right + written off = burnt + bucket - debt + held + paid out + payout fees + reserved + in transit +
spent + call fees.
"""

from dataclasses import dataclass, fields, replace


@dataclass(frozen=True, slots=True)
class Accounts:
    """All balances of one wallet in micro-sats; their sum is zero."""

    bucket: int = 0
    owed: int = 0
    burnt: int = 0
    deposits: int = 0
    write_offs: int = 0
    credits: int = 0
    held: int = 0
    paid_out: int = 0
    payout_fees: int = 0
    reserved: int = 0
    in_transit: int = 0
    spent: int = 0
    earnings: int = 0
    call_fees: int = 0

    @property
    def debt_usat(self) -> int:
        """Grace time used and not yet paid, as a positive number."""
        return -self.owed


@dataclass(frozen=True, slots=True)
class Posting:
    """One journal entry before it is chained: what happened, and how it moved the accounts."""

    kind: str
    amounts: tuple[tuple[str, int], ...]
    reference: str | None = None


class BrokenInvariantError(Exception):
    """The books would no longer balance; the turn is abandoned and nothing of it is written."""


def posted(accounts: Accounts, posting: Posting) -> Accounts:
    """The accounts after `posting`; refuses whatever would unbalance or overdraw them."""
    if sum(amount for _, amount in posting.amounts):
        raise BrokenInvariantError(f"{posting.kind} does not sum to zero: {posting.amounts}")
    moved = {name: getattr(accounts, name) + amount for name, amount in posting.amounts}
    after = replace(accounts, **moved)
    check(after)
    return after


def check(accounts: Accounts) -> None:
    """What must hold of any wallet's books at any time."""
    if sum(getattr(accounts, field.name) for field in fields(accounts)):
        raise BrokenInvariantError(f"the accounts do not sum to zero: {accounts}")
    if accounts.bucket < 0:
        raise BrokenInvariantError(f"the bucket is overdrawn: {accounts}")
    if (
        accounts.owed > 0
        or accounts.burnt < 0
        or accounts.deposits > 0
        or accounts.write_offs > 0
        or accounts.credits > 0
        or accounts.held < 0
        or accounts.paid_out < 0
        or accounts.payout_fees < 0
        or accounts.reserved < 0
        or accounts.in_transit < 0
        or accounts.spent < 0
        or accounts.earnings > 0
        or accounts.call_fees < 0
    ):
        raise BrokenInvariantError(f"an account has the wrong sign: {accounts}")


def deposit(usat: int, payment_id: str) -> Posting:
    """Confirmed money arrives."""
    assert usat > 0
    return Posting("deposit", (("deposits", -usat), ("bucket", usat)), payment_id)


def reversal(usat: int, bucket_usat: int, payment_id: str) -> Posting:
    """A deposit that vanished from the chain is taken back; what the bucket no longer holds is owed."""
    from_bucket = min(usat, bucket_usat)
    return Posting("reversal", (("deposits", usat), ("bucket", -from_bucket), ("owed", from_bucket - usat)), payment_id)


def charges(usat: int, bucket_usat: int, runtime_id: str) -> Posting:
    """Uptime is paid from the bucket as far as it reaches; the rest is owed."""
    from_bucket = min(usat, bucket_usat)
    return Posting("charge", (("bucket", -from_bucket), ("owed", from_bucket - usat), ("burnt", usat)), runtime_id)


def metered(usat: int, bucket_usat: int, reference: str) -> Posting:
    """What a meter counted is paid from the bucket as far as it reaches; the rest is owed."""
    assert usat > 0
    from_bucket = min(usat, bucket_usat)
    return Posting("meter", (("bucket", -from_bucket), ("owed", from_bucket - usat), ("burnt", usat)), reference)


def arrears(usat: int) -> Posting:
    """What was owed is paid out of the bucket."""
    assert usat > 0
    return Posting("arrears", (("bucket", -usat), ("owed", usat)))


def credit(usat: int, reference: str) -> Posting:
    """What was charged wrongly is put right: it can be spent like any other money."""
    assert usat > 0
    return Posting("credit", (("credits", -usat), ("bucket", usat)), reference)


def write_off(usat: int, payment_id: str) -> Posting:
    """A debt that will not be paid is taken as a loss."""
    assert usat > 0
    return Posting("write_off", (("owed", usat), ("write_offs", -usat)), payment_id)


def credit_back(usat: int, debt_usat: int, runtime_id: str) -> Posting:
    """A charge is taken back: what is owed comes first, the rest can be spent."""
    assert usat > 0
    to_owed = min(usat, debt_usat)
    return Posting("credit_back", (("burnt", -usat), ("owed", to_owed), ("bucket", usat - to_owed)), runtime_id)


def payout_hold(usat: int, payout_id: str) -> Posting:
    """Money is set aside to be sent back; it can't be spent any more."""
    assert usat > 0
    return Posting("payout_hold", (("bucket", -usat), ("held", usat)), payout_id)


def payout(usat: int, fee_usat: int, payout_id: str) -> Posting:
    """What was set aside has arrived, minus the fee."""
    assert 0 <= fee_usat < usat
    return Posting("payout", (("held", -usat), ("paid_out", usat - fee_usat), ("payout_fees", fee_usat)), payout_id)


def payout_return(usat: int, payout_id: str) -> Posting:
    """What was set aside can't be sent and is spendable again."""
    assert usat > 0
    return Posting("payout_return", (("held", -usat), ("bucket", usat)), payout_id)


def reserve(usat: int, gate_id: str) -> Posting:
    """Money is set aside for calls that a gate takes."""
    assert usat > 0
    return Posting("reserve", (("bucket", -usat), ("reserved", usat)), gate_id)


def unreserve(usat: int, gate_id: str) -> Posting:
    """What was set aside for calls was not needed."""
    assert usat > 0
    return Posting("unreserve", (("reserved", -usat), ("bucket", usat)), gate_id)


def order(usat: int, reserved_usat: int, order_id: str, payee: str) -> Posting:
    """A call is paid: from what is reserved for it, the rest from the bucket. The payee's side is still to come."""
    assert 0 <= reserved_usat <= usat
    assert usat > 0
    amounts = (("reserved", -reserved_usat), ("bucket", reserved_usat - usat), ("in_transit", usat))
    return Posting("order", amounts, f"{order_id}:{payee}")


def spend(usat: int, reserved_usat: int, order_id: str, payee: str) -> Posting:
    """A service of the operator's is paid: from what is reserved for it, the rest from the bucket. It has arrived at once."""
    assert 0 <= reserved_usat <= usat
    assert usat > 0
    amounts = (("reserved", -reserved_usat), ("bucket", reserved_usat - usat), ("burnt", usat))
    return Posting("spend", amounts, f"{order_id}:{payee}")


def order_done(usat: int, order_id: str, payee: str) -> Posting:
    """The payee has it."""
    assert usat > 0
    return Posting("order_done", (("in_transit", -usat), ("spent", usat)), f"{order_id}:{payee}")


def earning(usat: int, fee_usat: int, order_id: str, payer: str) -> Posting:
    """Another wallet paid for a call; the operator's share is taken off."""
    assert 0 <= fee_usat < usat
    amounts = (("earnings", -usat), ("bucket", usat - fee_usat), ("call_fees", fee_usat))
    return Posting("earning", amounts, f"{order_id}:{payer}")
