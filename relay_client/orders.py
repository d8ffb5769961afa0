"""Orders: one wallet's signed word to pay another for one call, out of its bucket here (x402 scheme `satbox-bucket`).

An order is a SIP-018 message over who pays whom at most how much for which resource, once, until when. Nothing goes on chain;
the two wallets settle it between themselves. Its id is a function of what was signed, so that nothing can give it two.
"""

import functools
import re
from dataclasses import dataclass
from typing import Any

from operations.errors import SatboxError
from relay_client.models import decode_payment_json
from stacks import Address, AddressError, Network, PrivateKey, SignatureError
from stacks.clarity import StringAscii, Tuple, UInt, serialize
from stacks.hashes import sha256
from stacks.keys import recover_rsv
from stacks.sip018 import domain, sign_structured

SCHEME = "satbox-bucket"
ASSET = "sats"
DOMAIN = ("satbox", "1")
ORDER_SECONDS_MAX = 300
RESOURCE_CHARS_MAX = 512
SATS_MAX = 1_000_000_000
_NONCE = re.compile(r"[0-9a-f]{32}")
_RESOURCE = re.compile(rf"[!-~]{{1,20}} /[!-~]{{0,{RESOURCE_CHARS_MAX - 22}}}")
_SIGNATURE = re.compile(r"(?:0x)?([0-9a-fA-F]{130})")


@dataclass(frozen=True, slots=True)
class Order:
    """`payer` pays `payee` up to `max_sats` for `resource` (`METHOD /path`), once by `nonce` (32 hex), before `expires_at`
    (unix seconds), at one deployment.
    """

    deployment: str
    payer: str
    payee: str
    max_sats: int
    resource: str
    nonce: str
    expires_at: int

    def message(self) -> Tuple:
        """What is signed. No key is named `type`; amounts and times are uint, all else ascii."""
        return Tuple.of(
            {
                "action": StringAscii("pay-call"),
                "deployment": StringAscii(self.deployment),
                "expires-at": UInt(self.expires_at),
                "from": StringAscii(self.payer),
                "max-sats": UInt(self.max_sats),
                "nonce": StringAscii(self.nonce),
                "resource": StringAscii(self.resource),
                "to": StringAscii(self.payee),
            }
        )

    def order_id(self, network: Network) -> str:
        """Names it for ever."""
        return _id_of(self.digest(network))

    def digest(self, network: Network) -> bytes:
        """The hash that is signed (SIP-018): every call's way leads through here, so the bytes are put together at once."""
        return sha256(_prefix(network) + sha256(self._bytes()))

    def _bytes(self) -> bytes:
        """`message()` in its one encoding (SIP-005): a tuple of eight, keys sorted, ascii and uint."""
        return b"".join(
            (
                b"\x0c\0\0\0\x08\x06action\x0d\0\0\0\x08pay-call\x0adeployment", _ascii(self.deployment),
                b"\x0aexpires-at", _uint(self.expires_at), b"\x04from", _ascii(self.payer),
                b"\x08max-sats", _uint(self.max_sats), b"\x05nonce", _ascii(self.nonce),
                b"\x08resource", _ascii(self.resource), b"\x02to", _ascii(self.payee),
            )
        )  # fmt: skip

    def wire(self) -> dict[str, Any]:
        """As it travels."""
        return {
            "deployment": self.deployment,
            "from": self.payer,
            "to": self.payee,
            "maxSats": self.max_sats,
            "resource": self.resource,
            "nonce": self.nonce,
            "expiresAt": self.expires_at,
        }

    def signed(self, key: PrivateKey, network: Network) -> str:
        """The RSV signature, in hex."""
        return sign_structured(key, order_domain(network), self.message()).hex()


@dataclass(frozen=True, slots=True)
class SignedOrder:
    """An order as it was presented; nothing in it is believed yet."""

    order: Order
    signature: str


def _ascii(text: str) -> bytes:
    return b"\x0d" + len(text).to_bytes(4, "big") + text.encode("ascii")


def _uint(number: int) -> bytes:
    return b"\x01" + number.to_bytes(16, "big")


@functools.cache
def _prefix(network: Network) -> bytes:
    return b"SIP018" + sha256(serialize(order_domain(network)))


def order_domain(network: Network) -> Tuple:
    """The SIP-018 domain: the same as a challenge's, so a wallet shows one application."""
    return domain(*DOMAIN, network.chain_id)


def read_order(header: str) -> SignedOrder | None:
    """The order in a `payment-signature` header; None when it carries a transaction instead. Raises payment_malformed."""
    document = decode_payment_json(header)
    payload = document.get("payload")
    if not isinstance(payload, dict) or "order" not in payload:
        return None
    order, signature = payload.get("order"), payload.get("signature")
    if not isinstance(order, dict) or not isinstance(signature, str) or _SIGNATURE.fullmatch(signature) is None:
        raise _malformed("payload.order with payload.signature, 65 bytes in hex (RSV)")
    texts = [order.get(name) for name in ("deployment", "from", "to", "resource", "nonce")]
    numbers = [order.get("maxSats"), order.get("expiresAt")]
    if not all(isinstance(text, str) and 0 < len(text) <= RESOURCE_CHARS_MAX and text.isascii() for text in texts):
        raise _malformed("an order's deployment, from, to, resource and nonce are ascii text")
    if not all(type(number) is int and 0 < number < 2**53 for number in numbers):
        raise _malformed("an order's maxSats and expiresAt are positive integers")
    deployment, payer, payee, resource, nonce = (str(text) for text in texts)
    if _NONCE.fullmatch(nonce) is None or _RESOURCE.fullmatch(resource) is None:
        raise _malformed("nonce is 32 hex digits, resource is `METHOD /path`")
    max_sats, expires_at = (int(str(number)) for number in numbers)
    return SignedOrder(Order(deployment, payer, payee, max_sats, resource, nonce, expires_at), signature)


def verify_order(
    signed: SignedOrder, *, network: Network, deployment: str, payee: str, resource: str, sats: int, wall_ms: int
) -> tuple[str, str]:
    """Everything about an order that can be judged without its wallet; returns its id and the address that signed it, which is
    the payer's or that of a spending key. The first thing wrong is raised: order_invalid, order_expired, order_too_small,
    stx_address_invalid, stx_network_mismatch, stx_signature_invalid, signature_high_s.
    """
    order = signed.order
    wrong = [
        name
        for name, said, meant in (
            ("deployment", order.deployment, deployment),
            ("to", order.payee, payee),
            ("resource", order.resource, resource),
        )
        if said != meant
    ]
    if wrong:
        raise SatboxError("order_invalid", details={"wrong": wrong, "resource": resource}, funds_moved=False)
    if order.max_sats > SATS_MAX:
        raise SatboxError("order_invalid", details={"wrong": ["maxSats"], "most": SATS_MAX}, funds_moved=False)
    if order.max_sats < sats:
        raise SatboxError("order_too_small", details={"sats": sats, "max_sats": order.max_sats}, funds_moved=False)
    left = order.expires_at - wall_ms / 1000
    if not 0 < left <= ORDER_SECONDS_MAX + 5:
        details = {"expires_at": order.expires_at, "now": wall_ms // 1000, "seconds_max": ORDER_SECONDS_MAX}
        raise SatboxError("order_expired", details=details, funds_moved=False)
    digest = order.digest(network)
    try:
        signer = recover_rsv(digest, signed.signature).address(network)
    except SignatureError as error:
        _check_payer(order.payer, network)  # what is wrong with the name is said first
        code = "signature_high_s" if error.code == "high_s" else "stx_signature_invalid"
        raise SatboxError(code, details={"reason": str(error)}, funds_moved=False) from error
    if str(signer) != order.payer:
        _check_payer(order.payer, network)
    return _id_of(digest), str(signer)


def _check_payer(payer: str, network: Network) -> None:
    try:
        address = Address.parse(payer)
    except AddressError as error:
        raise SatboxError("stx_address_invalid", details={"reason": str(error)}, funds_moved=False) from error
    if address.version != network.single_sig_version:
        raise SatboxError("stx_network_mismatch", funds_moved=False)


def _id_of(digest: bytes) -> str:
    return f"ord_{digest.hex()[:32]}"


def _malformed(reason: str) -> SatboxError:
    return SatboxError("payment_malformed", details={"reason": reason}, funds_moved=False)
