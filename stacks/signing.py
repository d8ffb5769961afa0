"""Building, signing and checking transactions (SIP-005), standard and sponsored.

The origin signs a hash of the transaction with every nonce, fee and signature cleared and the sponsor slot replaced by
a fixed sentinel; the sponsor then signs a hash that includes the origin's signature. So one origin-signed payment keeps
one identity under every sponsor: `origin_identity_bytes`.
"""

from dataclasses import dataclass, replace

from stacks.c32 import Address, Principal
from stacks.clarity import Buffer, ClarityValue, NoneValue, Some, UInt, principal_value
from stacks.errors import UnsupportedMultisig, WrongSigner
from stacks.keys import PrivateKey, PublicKey, recover_vrs
from stacks.network import Network
from stacks.payloads import ContractCall, Payload, TokenTransfer, padded_memo
from stacks.postconditions import (
    AssetId,
    Comparison,
    FungiblePostCondition,
    PostCondition,
    PostConditionMode,
)
from stacks.sighash import ORIGIN_FLAG, SPONSOR_FLAG, cleared_hash, post_sign, pre_sign
from stacks.spending import (
    EMPTY_SIGNATURE,
    SPONSOR_SENTINEL,
    UNSPONSORED,
    HashMode,
    KeyEncoding,
    SingleSig,
    SpendingCondition,
)
from stacks.tokens import Token
from stacks.transaction import AnchorMode, Transaction


@dataclass(frozen=True, slots=True)
class Sender:
    """Who builds a transaction: its key's public half, network, account nonce, fee (0 when sponsored, micro-STX)."""

    public_key: PublicKey
    network: Network
    nonce: int
    fee: int = 0
    sponsored: bool = False

    @property
    def principal(self) -> Principal:
        """The account the assets leave."""
        return Principal(self.public_key.address(self.network))


def _single_sig(key: PublicKey, nonce: int, fee: int) -> SingleSig:
    encoding = KeyEncoding.COMPRESSED if key.is_compressed else KeyEncoding.UNCOMPRESSED
    return SingleSig(HashMode.P2PKH, key.hash160, nonce, fee, encoding, EMPTY_SIGNATURE)


def _unsigned(
    sender: Sender, payload: Payload, mode: PostConditionMode, conditions: tuple[PostCondition, ...]
) -> Transaction:
    return Transaction(
        network=sender.network,
        origin=_single_sig(sender.public_key, sender.nonce, sender.fee),
        sponsor=UNSPONSORED if sender.sponsored else None,
        anchor_mode=AnchorMode.ANY,
        post_condition_mode=mode,
        post_conditions=conditions,
        payload=payload,
    )


def token_transfer(sender: Sender, recipient: Principal | Address, amount: int, memo: str | bytes = b"") -> Transaction:
    """An unsigned transfer of `amount` micro-STX."""
    to = Principal(recipient) if isinstance(recipient, Address) else recipient
    payload = TokenTransfer(to, amount, padded_memo(memo))
    return _unsigned(sender, payload, PostConditionMode.DENY, ())


def contract_call(
    sender: Sender,
    contract: Principal,
    function: str,
    arguments: tuple[ClarityValue, ...],
    *,
    post_condition_mode: PostConditionMode = PostConditionMode.DENY,
    post_conditions: tuple[PostCondition, ...] = (),
) -> Transaction:
    """An unsigned contract call. Deny without conditions aborts on chain if anything moves."""
    payload = ContractCall(contract, function, arguments)
    return _unsigned(sender, payload, post_condition_mode, post_conditions)


def sip010_transfer(
    sender: Sender,
    token: Token,
    recipient: Principal | Address,
    amount: int,
    memo: str | bytes | None = None,
) -> Transaction:
    """An unsigned SIP-010 `transfer`, in deny mode with the one condition that exactly `amount` leaves the sender."""
    to = Principal(recipient) if isinstance(recipient, Address) else recipient
    raw = memo.encode() if isinstance(memo, str) else memo
    arguments = (
        UInt(amount),
        principal_value(sender.principal),
        principal_value(to),
        NoneValue() if raw is None else Some(Buffer(raw)),
    )
    exact = FungiblePostCondition(sender.principal, AssetId(token.contract, token.asset_name), Comparison.EQUAL, amount)
    return contract_call(sender, token.contract, "transfer", arguments, post_conditions=(exact,))


def _single(condition: SpendingCondition) -> SingleSig:
    if not isinstance(condition, SingleSig):
        raise UnsupportedMultisig("multi-signature conditions can be neither signed nor verified here")
    return condition


def origin_digest(tx: Transaction) -> bytes:
    """What the origin signs. The flag is the standard one even in a sponsored transaction."""
    return pre_sign(cleared_hash(tx), ORIGIN_FLAG, _single(tx.origin))


def sponsor_digest(tx: Transaction) -> bytes:
    """What the sponsor signs: covers the origin's signature and the sponsor's fee and nonce."""
    if tx.sponsor is None:
        raise WrongSigner("a standard transaction has no sponsor")
    origin = _single(tx.origin)
    signed = post_sign(origin_digest(tx), origin.key_encoding, origin.signature)
    return pre_sign(signed, SPONSOR_FLAG, _single(tx.sponsor))


def sign_origin(tx: Transaction, key: PrivateKey) -> Transaction:
    """The transaction with the origin's signature; raises WrongSigner when `key` is not the origin's."""
    origin = _single(tx.origin)
    if origin.signer_of(key.public_key) != origin.signer:
        raise WrongSigner("the key is not the origin's")
    return replace(tx, origin=replace(origin, signature=key.sign_vrs(origin_digest(tx))))


def sign_sponsor(tx: Transaction, key: PrivateKey, fee: int, nonce: int) -> Transaction:
    """The transaction sponsored by `key`, paying `fee` micro-STX under its account `nonce`; replaces any sponsor."""
    if tx.sponsor is None:
        raise WrongSigner("a standard transaction cannot be sponsored")
    claimed = replace(tx, sponsor=_single_sig(key.public_key, nonce, fee))
    signature = key.sign_vrs(sponsor_digest(claimed))
    return replace(claimed, sponsor=replace(_single(claimed.sponsor or UNSPONSORED), signature=signature))


def _recover(condition: SingleSig, digest: bytes) -> PublicKey:
    key = recover_vrs(digest, condition.signature)
    if condition.signer_of(key) != condition.signer:
        raise WrongSigner("signed by another key than the one claimed")
    return key.encoded(compressed=condition.key_encoding is KeyEncoding.COMPRESSED)


def recover_origin(tx: Transaction) -> PublicKey:
    """The origin's public key; raises SignatureError unless it really signed, UnsupportedMultisig if many must."""
    return _recover(_single(tx.origin), origin_digest(tx))


def recover_sponsor(tx: Transaction) -> PublicKey:
    """The sponsor's public key; raises SignatureError unless it really signed this very transaction."""
    digest = sponsor_digest(tx)
    return _recover(_single(tx.sponsor or UNSPONSORED), digest)


def verify_origin(tx: Transaction) -> Address:
    """The origin's address, proven; raises SignatureError or UnsupportedMultisig."""
    recover_origin(tx)
    return tx.origin_address


def verify_sponsor(tx: Transaction) -> Address:
    """The sponsor's address, proven; raises SignatureError or UnsupportedMultisig."""
    recover_sponsor(tx)
    assert tx.sponsor_address is not None
    return tx.sponsor_address


def is_unsponsored(tx: Transaction) -> bool:
    """Whether it still waits for a sponsor: sponsored in kind, but with no sponsor fee or no sponsor signature."""
    sponsor = tx.sponsor
    return isinstance(sponsor, SingleSig) and (sponsor.fee == 0 or not sponsor.is_signed)


def origin_identity_bytes(tx: Transaction) -> bytes:
    """The payment's bytes without its sponsor: one value for an origin-signed payment, under every sponsor.

    Only meaningful once `verify_origin` passed: before that anybody could vary the signature.
    """
    return (tx if tx.sponsor is None else replace(tx, sponsor=SPONSOR_SENTINEL)).serialize()
