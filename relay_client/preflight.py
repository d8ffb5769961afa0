"""What the chain says of a payer before a payment goes out: is the nonce next, does the balance suffice.

A convenience that saves a doomed payment its wait; never a proof. When the API does not answer quickly the payment goes on
(fail open): the relay and the chain judge it anyway, and a refusal there moves no funds either.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Protocol

from operations.errors import SatboxError
from relay_client.chain import Account, ChainUnavailable, Nonces
from relay_client.verify import VerifiedPayment

PREFLIGHT_TIMEOUT_SECONDS = 1.5

Preflight = Callable[[VerifiedPayment], Awaitable[bool]]
"""True: checked; False: unknown. Raises SatboxError payment_nonce_stale, payment_nonce_gap, payment_insufficient_funds."""


class PayerView(Protocol):
    """What is asked of the chain."""

    async def account(self, address: str) -> Account:
        """Balance and executed nonce."""

    async def nonces(self, address: str) -> Nonces:
        """Next nonce with the mempool."""

    async def token_balance(self, address: str, asset_id: str) -> int:
        """Units of a token."""


def judge(payment: VerifiedPayment, account: Account, nonces: Nonces, token_balance: int | None) -> None:
    """Raises what is certainly wrong. A nonce already in the mempool is not: it may be this very payment. Pure."""
    if payment.nonce < account.nonce:
        raise SatboxError("payment_nonce_stale", details={"expected": account.nonce, "nonce": payment.nonce})
    expected = max(nonces.possible_next, account.nonce)
    if payment.nonce > expected:
        raise SatboxError("payment_nonce_gap", details={"expected": expected, "nonce": payment.nonce})
    needed = (0 if payment.sponsored else payment.fee) + (payment.amount if payment.asset_id is None else 0)
    if account.balance < needed:
        raise SatboxError(
            "payment_insufficient_funds",
            details={"asset": "STX", "required": str(needed), "balance": str(account.balance)},
        )
    if token_balance is not None and token_balance < payment.amount:
        raise SatboxError(
            "payment_insufficient_funds",
            details={"asset": payment.asset, "required": str(payment.amount), "balance": str(token_balance)},
        )


def chain_preflight(chain: PayerView, *, timeout_seconds: float = PREFLIGHT_TIMEOUT_SECONDS) -> Preflight:
    """A preflight that asks `chain`, three questions at once, for at most `timeout_seconds`."""

    async def check(payment: VerifiedPayment) -> bool:
        async def tokens() -> int | None:
            if payment.asset_id is None:
                return None
            return await chain.token_balance(payment.origin, payment.asset_id)

        unknown = False
        try:
            async with asyncio.timeout(timeout_seconds):
                async with asyncio.TaskGroup() as group:
                    account = group.create_task(chain.account(payment.origin))
                    nonces = group.create_task(chain.nonces(payment.origin))
                    balance = group.create_task(tokens())
        except* (ChainUnavailable, TimeoutError):
            unknown = True
        if unknown:
            return False
        judge(payment, account.result(), nonces.result(), balance.result())
        return True

    return check
