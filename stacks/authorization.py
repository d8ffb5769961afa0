"""Who really authorized a transaction, single- and multi-signature alike: for showing it, not for taking it as a payment.

Payments go through `stacks.signing.verify_origin`, which refuses multi-signatures by name.
"""

from dataclasses import dataclass

from stacks.errors import SignatureError, StacksError, WrongSigner
from stacks.hashes import hash160, sha256
from stacks.keys import PublicKey, recover_vrs
from stacks.sighash import ORIGIN_FLAG, SPONSOR_FLAG, cleared_hash, post_sign, pre_sign
from stacks.spending import KeyEncoding, MultiSig, SingleSig, SpendingCondition
from stacks.transaction import AnyTransaction

_CHECK_MULTISIG = b"\xae"


class MissingSignature(SignatureError):  # noqa: N818
    """The condition carries no signature, or fewer than it asks for."""

    code = "unsigned"


@dataclass(frozen=True, slots=True)
class Authorization:
    """The keys found behind a condition, and why they do not authorize it (None: they do)."""

    keys: tuple[PublicKey, ...]
    error: StacksError | None = None

    @property
    def is_valid(self) -> bool:
        """Whether the condition is fulfilled."""
        return self.error is None


def _push_number(number: int) -> bytes:
    """A number in a Bitcoin script, as stacks-core's builder pushes it."""
    if number == 0:
        return b"\x00"
    if number <= 16:
        return bytes([0x50 + number])
    raw = number.to_bytes(number.bit_length() // 8 + 1, "little")  # one bit more, for the sign
    return bytes([len(raw)]) + raw


def multisig_signer(keys: tuple[PublicKey, ...], signatures_required: int, *, is_segwit: bool) -> bytes:
    """The hash160 of the script that wants `signatures_required` of `keys`, in this order."""
    pushes = b"".join(bytes([len(key.data)]) + key.data for key in keys)
    script = _push_number(signatures_required) + pushes + _push_number(len(keys)) + _CHECK_MULTISIG
    return hash160(b"\x00\x20" + sha256(script) if is_segwit else script)


def _check_single(condition: SingleSig, before: bytes, flag: bytes) -> tuple[Authorization, bytes]:
    digest = pre_sign(before, flag, condition)
    after = post_sign(digest, condition.key_encoding, condition.signature)
    if not condition.is_signed:
        return Authorization((), MissingSignature("there is no signature")), after
    try:
        key = recover_vrs(digest, condition.signature)
    except StacksError as error:
        return Authorization((), error), after
    found = key.encoded(compressed=condition.key_encoding is KeyEncoding.COMPRESSED)
    if condition.signer_of(key) != condition.signer:
        return Authorization((found,), WrongSigner("signed by another key than the one claimed")), after
    return Authorization((found,)), after


def _check_multi(condition: MultiSig, before: bytes, flag: bytes) -> tuple[Authorization, bytes]:
    keys: list[PublicKey] = []
    current, signatures = before, 0
    try:
        for field in condition.fields:
            if field.is_public_key:
                keys.append(PublicKey(field.data).encoded(compressed=field.is_compressed))
                continue
            signatures += 1
            digest = pre_sign(current, flag, condition)
            keys.append(recover_vrs(digest, field.data).encoded(compressed=field.is_compressed))
            if condition.is_sequential:
                encoding = KeyEncoding.COMPRESSED if field.is_compressed else KeyEncoding.UNCOMPRESSED
                current = post_sign(digest, encoding, field.data)
    except StacksError as error:
        return Authorization(tuple(keys), error), current
    found = tuple(keys)
    wanted = condition.signatures_required
    if signatures < wanted or (condition.is_sequential and signatures != wanted):
        return Authorization(found, MissingSignature(f"{signatures} of {wanted} signatures")), current
    if multisig_signer(found, wanted, is_segwit=condition.is_segwit) != condition.signer:
        return Authorization(found, WrongSigner("signed by other keys than those claimed")), current
    return Authorization(found), current


def _check(condition: SpendingCondition, before: bytes, flag: bytes) -> tuple[Authorization, bytes]:
    if isinstance(condition, MultiSig):
        return _check_multi(condition, before, flag)
    return _check_single(condition, before, flag)


def authorizations(tx: AnyTransaction) -> tuple[Authorization, Authorization | None]:
    """What the origin's condition is worth, and the sponsor's (None in a standard transaction). Never raises.

    The sponsor is judged by the hash that follows the origin's signature, whether that is valid or not.
    """
    origin, signed = _check(tx.origin, cleared_hash(tx), ORIGIN_FLAG)
    if tx.sponsor is None:
        return origin, None
    return origin, _check(tx.sponsor, signed, SPONSOR_FLAG)[0]
