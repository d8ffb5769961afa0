"""Build the payment for an x402 offer: check the offer, fetch nonce and fee, sign one transaction (SIP-005, SIP-010).

The offer is the gate's word and checked before anything is signed: network, exact contract, a plain recipient, the price in sats,
and for other coins than sBTC that the amount is plausible for those sats.
"""

import base64
import hashlib
import json
import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import aiohttp

from operations.errors import SatboxError
from relay_client.http import NoAnswer, exchange
from stacks import (
    Address,
    AddressError,
    ContractCall,
    Network,
    PrivateKey,
    Token,
    TokenTransfer,
    Transaction,
    sbtc,
    usdcx,
)
from stacks.signing import Sender, origin_identity_bytes, sign_origin, sip010_transfer, token_transfer

READ_SECONDS_MAX = 8.0
FEE_USTX_MAX = 10_000
"""Most that a self-paid payment may cost in fees: 0.01 STX; common wallets stop at 0.003 for sBTC."""
ATOMIC_PER_SAT_MAX = {"STX": 20_000, "USDCx": 20_000}
"""No offer above 0.02 STX or 0.02 USDCx a sat is believed: ten times what they have ever cost."""
QUOTE_MARGIN_MS = 5_000
"""A quote must live this much longer, so that it does not expire on its way."""
_DIGITS = re.compile(r"[1-9][0-9]{0,29}")


@dataclass(frozen=True, slots=True)
class Limits:
    """What the payer agreed to. `asset` None takes the first offer that fits."""

    max_sats: int
    asset: str | None = None
    sponsored: bool = False


@dataclass(frozen=True, slots=True)
class ChosenOffer:
    """An offer that was checked. `token` is None for STX."""

    entry: Mapping[str, Any]
    resource: Any
    network: Network
    symbol: str
    token: Token | None
    amount: int
    sats: int
    pay_to: Address


@dataclass(frozen=True, slots=True)
class SignedPayment:
    """A payment ready to be sent; `header` is the whole `payment-signature`. `txid` is None until a sponsor has signed."""

    header: str
    payment_id: str
    txid: str | None
    nonce: int
    fee_ustx: int
    sats: int
    symbol: str


def _bad_offer(reason: str) -> SatboxError:
    return SatboxError(
        "quote_invalid",
        "The gate's offer is not one this client pays; nothing was signed.",
        details={"reason": reason},
        hint="Check the gate's address and the network.",
    )


def choose(required: Any, network: Network, limits: Limits, now_ms: int) -> ChosenOffer:
    """The first offer of a 402 that fits: ours to pay on this network, in the asset wanted, within the limit.

    Raises payment_wrong_network, asset_not_offered, max_sats_exceeded, quote_expired, sponsored_unsupported or quote_invalid.
    """
    entries = required.get("accepts") if isinstance(required, dict) else None
    if not isinstance(entries, list) or required.get("x402Version") != 2:
        raise _bad_offer("not an x402 version 2 document")
    here = [
        e for e in entries if isinstance(e, dict) and e.get("scheme") == "exact" and e.get("network") == network.caip2
    ]
    if not here:
        raise SatboxError(
            "payment_wrong_network",
            f"Nothing is offered on {network.value}.",
            details={"offered": sorted({str(e.get("network"))[:40] for e in entries if isinstance(e, dict)})},
            hint="Name the network the gate works on.",
        )
    tokens: dict[str, tuple[str, Token | None]] = {"STX": ("STX", None)}
    for token in (sbtc(network), usdcx(network)):
        tokens[str(token.contract)] = (token.symbol, token)
    for entry in here:
        known = tokens.get(str(entry.get("asset")))
        if known is not None and (limits.asset is None or limits.asset.lower() == known[0].lower()):
            return _checked(entry, required.get("resource"), network, known, limits, now_ms)
    offered = sorted({tokens[str(entry.get("asset"))][0] for entry in here if str(entry.get("asset")) in tokens})
    names = ", ".join(offered) or "nothing this client can pay with"
    reason = str(required.get("error") or "").partition("Not offered now: ")[2][:300]
    raise SatboxError(
        "asset_not_offered",
        f"{limits.asset or 'No known coin'} is not offered now; offered: {names}.",
        details={"asset": limits.asset, "offered": offered, "reason": reason},
    )


def _checked(
    entry: dict[str, Any], resource: Any, network: Network, asset: tuple[str, Token | None], limits: Limits, now_ms: int
) -> ChosenOffer:
    symbol, token = asset
    amount_text, extra = entry.get("amount"), entry.get("extra")
    if not isinstance(amount_text, str) or _DIGITS.fullmatch(amount_text) is None:
        raise _bad_offer("the amount is not a positive integer")
    sats = extra.get("sats") if isinstance(extra, dict) else None
    if isinstance(sats, bool) or not isinstance(sats, int) or sats <= 0:
        raise _bad_offer("it does not say how many sats it gives")
    assert isinstance(extra, dict)
    amount = int(amount_text)
    if symbol == "sBTC" and amount != sats:
        raise _bad_offer(f"{amount} sats of sBTC for {sats} sats")
    if sats > limits.max_sats:
        raise SatboxError(
            "max_sats_exceeded", details={"asked_sats": sats, "max_sats": limits.max_sats, "asset": symbol}
        )
    if symbol != "sBTC" and amount > sats * ATOMIC_PER_SAT_MAX[symbol]:
        raise _bad_offer(f"{amount} atomic units of {symbol} for {sats} sats is far off any market")
    expires_at_ms = extra.get("expires_at_ms")
    if expires_at_ms is not None and (not isinstance(expires_at_ms, int) or expires_at_ms < now_ms + QUOTE_MARGIN_MS):
        raise SatboxError("quote_expired", "The gate's quote has expired before it could be paid.")
    try:
        pay_to = Address.parse(str(entry.get("payTo")))
    except AddressError as error:
        raise _bad_offer("payTo is not a plain address") from error
    if pay_to.network is not network or not pay_to.is_single_sig:
        raise _bad_offer("payTo is not a standard address of this network")
    if limits.sponsored and extra.get("feePayer") != "relay":
        raise SatboxError(
            "sponsored_unsupported",
            "The gate pays nobody's network fee now; nothing was signed.",
            details={"asset": symbol},
        )
    return ChosenOffer(entry, resource, network, symbol, token, amount, sats, pay_to)


class NoncesAndFees(Protocol):
    """What a payer asks of the chain."""

    async def next_nonce(self, address: str) -> int:
        """The nonce that the next transaction of `address` must carry, pending ones counted in."""

    async def fee_ustx(self, payload: bytes, size_bytes: int) -> int | None:
        """An estimate for a transaction; None when there is none."""


class NoncesAndFeesApi:
    """A Stacks API over HTTP (protocols 9). Raises unreachable; a wrong nonce is worse than none."""

    def __init__(self, base_url: str, session: Callable[[], Awaitable[aiohttp.ClientSession]]) -> None:
        self._base = base_url.rstrip("/")
        self._session = session

    async def next_nonce(self, address: str) -> int:
        """The first missing nonce when there is a gap, else the next."""
        url = f"{self._base}/extended/v1/address/{address}/nonces"
        try:
            answer = await exchange(await self._session(), "GET", url, timeout_seconds=READ_SECONDS_MAX)
        except NoAnswer as error:
            raise self._unreachable() from error
        following, missing = answer.fields.get("possible_next_nonce"), answer.fields.get("detected_missing_nonces")
        if answer.status != 200 or isinstance(following, bool) or not isinstance(following, int) or following < 0:
            raise self._unreachable()
        gaps = [n for n in missing if isinstance(n, int) and 0 <= n < following] if isinstance(missing, list) else []
        return min(gaps, default=following)

    def _unreachable(self) -> SatboxError:
        return SatboxError(
            "unreachable", f"The Stacks API at {self._base} does not tell the next nonce; nothing was signed.",
            details={"stacks_api": self._base}, hint="Name another Stacks API: --stacks-api, or SATBOX_STACKS_API.",
        )  # fmt: skip

    async def fee_ustx(self, payload: bytes, size_bytes: int) -> int | None:
        """The middle one of three estimates."""
        body = {"transaction_payload": payload.hex(), "estimated_len": size_bytes}
        url = f"{self._base}/v2/fees/transaction"
        try:
            answer = await exchange(await self._session(), "POST", url, timeout_seconds=READ_SECONDS_MAX, body=body)
        except NoAnswer:
            return None
        estimates = answer.fields.get("estimations")
        if answer.status != 200 or not isinstance(estimates, list) or len(estimates) < 2:
            return None
        fee = estimates[1].get("fee") if isinstance(estimates[1], dict) else None
        return fee if isinstance(fee, int) and not isinstance(fee, bool) and fee > 0 else None


def _payload_bytes(tx: Transaction) -> bytes:
    assert isinstance(tx.payload, ContractCall | TokenTransfer)
    return tx.payload.serialize()


class Payer:
    """Signs payments with one key. `memo` makes a fresh memo, so that no two payments are the same bytes."""

    def __init__(self, key: PrivateKey, chain: NoncesAndFees, memo: Callable[[], str]) -> None:
        self._key = key
        self._chain = chain
        self._memo = memo

    async def sign(self, offer: ChosenOffer, *, sponsored: bool) -> SignedPayment:
        """One signed transaction for an offer: deny mode, exactly the amount, to exactly `pay_to`."""
        address = str(self._key.address(offer.network))
        if str(offer.pay_to) == address:
            raise _bad_offer("it pays to ourselves")
        nonce, memo = await self._chain.next_nonce(address), self._memo()
        fee = 0
        if not sponsored:
            draft = self._transfer(offer, memo, Sender(self._key.public_key, offer.network, nonce))
            size = len(draft.serialize())
            estimate = await self._chain.fee_ustx(_payload_bytes(draft), size)
            fee = min(max(estimate or 2 * size, size), FEE_USTX_MAX)  # no node takes less than 1 uSTX a byte
        sender = Sender(self._key.public_key, offer.network, nonce, fee, sponsored)
        signed = sign_origin(self._transfer(offer, memo, sender), self._key)
        identity = hashlib.sha256(origin_identity_bytes(signed)).hexdigest()
        return SignedPayment(
            header=_header(offer, signed.serialize()),
            payment_id=f"pay_{identity[:32]}",
            txid=None if sponsored else signed.txid(),
            nonce=nonce,
            fee_ustx=fee,
            sats=offer.sats,
            symbol=offer.symbol,
        )

    @staticmethod
    def _transfer(offer: ChosenOffer, memo: str, sender: Sender) -> Transaction:
        if offer.token is None:
            return token_transfer(sender, offer.pay_to, offer.amount, memo)
        return sip010_transfer(sender, offer.token, offer.pay_to, offer.amount, memo)


def _header(offer: ChosenOffer, transaction: bytes) -> str:
    """The x402 v2 PaymentPayload, base64; `accepted` goes back exactly as it came."""
    payload = {"x402Version": 2, "accepted": offer.entry, "payload": {"transaction": transaction.hex()}}
    if isinstance(offer.resource, dict):
        payload["resource"] = offer.resource
    return base64.b64encode(json.dumps(payload, separators=(",", ":"), ensure_ascii=False).encode()).decode()
