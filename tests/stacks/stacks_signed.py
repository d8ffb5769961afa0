"""Signed transactions of every kind, with the specification from which stacks.js must make the same bytes."""

from dataclasses import dataclass, replace

from hypothesis import strategies as st

from stacks.authorization import multisig_signer
from stacks.clarity import VALUES_MAX, ClarityValue, List, ResponseErr, ResponseOk, Some, Tuple
from stacks.describe import Document
from stacks.keys import PrivateKey
from stacks.network import Network
from stacks.other_payloads import AnyPayload, PoisonMicroblock
from stacks.payloads import ContractCall, TokenTransfer, padded_memo
from stacks.postconditions import PostConditionMode
from stacks.sighash import ORIGIN_FLAG, SPONSOR_FLAG, cleared_hash, post_sign, pre_sign
from stacks.spending import (
    EMPTY_SIGNATURE,
    UNSPONSORED,
    AuthField,
    HashMode,
    KeyEncoding,
    MultiSig,
    SingleSig,
    SpendingCondition,
)
from stacks.transaction import AnchorMode, AnyTransaction
from tests.stacks.stacks_js import asked_payload, asked_post_condition
from tests.stacks.stacks_strategies import (
    contracts,
    long_values,
    names,
    newer_conditions,
    other_payloads,
    post_conditions,
    principals,
    private_keys,
    u64,
)

memos = st.text(max_size=34).filter(lambda t: len(t.encode()) <= 34 and not t.startswith("\ufeff")).map(padded_memo)
transfers = st.builds(TokenTransfer, principals, u64, memos)


def values_in(value: ClarityValue) -> int:
    """A value and all within it, as `VALUES_MAX` counts them."""
    match value:
        case List():
            return 1 + sum(map(values_in, value.items))
        case Tuple():
            return 1 + sum(values_in(each) for _, each in value.entries)
        case ResponseOk() | ResponseErr() | Some():
            return 1 + values_in(value.value)
        case _:
            return 1


# Of several long lists, what we read is bounded, and what stacks.js reads is not.
arguments = st.lists(long_values, max_size=4).filter(lambda values: sum(map(values_in, values)) <= VALUES_MAX)
calls = st.builds(ContractCall, contracts, names, arguments.map(tuple))
# stacks.js reads a poison payload without its two headers: see the named differences.
payloads: st.SearchStrategy[AnyPayload] = (
    transfers | calls | other_payloads.filter(lambda payload: not isinstance(payload, PoisonMicroblock))
)


@dataclass(frozen=True)
class Signing:
    """A key of an origin: whether it signs, or only stands in the script."""

    key: PrivateKey
    signs: bool = True

    def asked(self) -> Document:
        return {"secret": self.key.secret.hex() + ("01" if self.key.compressed else ""), "signs": self.signs}


@dataclass(frozen=True)
class Signed:
    """Our transaction, and the oracle's specification of the same."""

    tx: AnyTransaction
    spec: Document


def _encoding(key: PrivateKey) -> KeyEncoding:
    return KeyEncoding.COMPRESSED if key.compressed else KeyEncoding.UNCOMPRESSED


def _signed_single(tx: AnyTransaction, key: PrivateKey) -> tuple[AnyTransaction, bytes]:
    assert isinstance(tx.origin, SingleSig)
    digest = pre_sign(cleared_hash(tx), ORIGIN_FLAG, tx.origin)
    signature = key.sign_vrs(digest)
    signed = replace(tx, origin=replace(tx.origin, signature=signature))
    return signed, post_sign(digest, tx.origin.key_encoding, signature)


def _signed_multi(tx: AnyTransaction, keys: list[Signing]) -> tuple[AnyTransaction, bytes]:
    assert isinstance(tx.origin, MultiSig)
    current, fields = cleared_hash(tx), []
    for signing in keys:
        encoding = _encoding(signing.key)
        if not signing.signs:
            fields.append(AuthField(int(encoding), signing.key.public_key.encoded(compressed=True).data))
            continue
        digest = pre_sign(current, ORIGIN_FLAG, tx.origin)
        fields.append(AuthField(2 + encoding, signing.key.sign_vrs(digest)))
        if tx.origin.is_sequential:
            current = post_sign(digest, encoding, fields[-1].data)
    return replace(tx, origin=replace(tx.origin, fields=tuple(fields))), current


def _signed_sponsor(tx: AnyTransaction, before: bytes, key: PrivateKey, fee: int, nonce: int) -> AnyTransaction:
    sponsor = SingleSig(HashMode.P2PKH, key.public_key.hash160, nonce, fee, _encoding(key), EMPTY_SIGNATURE)
    return replace(tx, sponsor=replace(sponsor, signature=key.sign_vrs(pre_sign(before, SPONSOR_FLAG, sponsor))))


keys = st.builds(lambda key, compressed: PrivateKey(key.secret, compressed), private_keys, st.booleans())


@st.composite
def origins(draw: st.DrawFn) -> tuple[SpendingCondition, list[Signing]]:
    """An unsigned origin of any hash mode, and its keys."""
    mode, nonce, fee = draw(st.sampled_from([0, 0, 0, 2, 1, 3, 5, 7])), draw(u64), draw(u64)
    is_segwit = mode in (2, 3, 7)
    pool = private_keys if is_segwit else keys
    if mode in (0, 2):
        key = draw(pool)
        condition = SingleSig(HashMode(mode), bytes(20), nonce, fee, _encoding(key), EMPTY_SIGNATURE)
        return replace(condition, signer=condition.signer_of(key.public_key)), [Signing(key)]
    several = draw(st.lists(pool, min_size=1, max_size=4, unique_by=lambda key: key.secret))
    required = draw(st.integers(1, len(several)))
    extra = draw(st.integers(0, len(several) - required)) if mode in (5, 7) else 0  # more than enough is fine there
    order = draw(st.permutations(range(len(several))))
    signers = set(order[: required + extra])
    signings = [Signing(key, i in signers) for i, key in enumerate(several)]
    signer = multisig_signer(tuple(key.public_key for key in several), required, is_segwit=is_segwit)
    return MultiSig(mode, signer, nonce, fee, (), required), signings


@st.composite
def signed_transactions(draw: st.DrawFn, *, fully: bool = False) -> Signed:
    """A signed transaction; `fully`: a sponsored one has its sponsor's signature too."""
    origin, signings = draw(origins())
    kind = draw(st.sampled_from(["standard", "sponsored"] if fully else ["standard", "awaits sponsor", "sponsored"]))
    tx = AnyTransaction(
        draw(st.sampled_from(Network)),
        origin,
        None if kind == "standard" else UNSPONSORED,
        draw(st.sampled_from(AnchorMode)),
        draw(st.sampled_from(PostConditionMode)),
        tuple(draw(st.lists(post_conditions | newer_conditions, max_size=3))),
        draw(payloads),
    )
    spec: Document = {
        "network": tx.network.value,
        "hash_mode": int(origin.hash_mode),
        "signatures_required": getattr(origin, "signatures_required", 1),
        "nonce": str(origin.nonce),
        "fee": str(origin.fee),
        "keys": [signing.asked() for signing in signings],
        "anchor_mode": int(tx.anchor_mode),
        "post_condition_mode": int(tx.post_condition_mode),
        "post_conditions": [asked_post_condition(condition) for condition in tx.post_conditions],
        "payload": asked_payload(tx.payload),
        "sponsored": kind != "standard",
    }
    if isinstance(origin, SingleSig):
        tx, after = _signed_single(tx, signings[0].key)
    else:
        tx, after = _signed_multi(tx, signings)
    if kind == "sponsored":
        key, fee, nonce = draw(keys), draw(u64), draw(u64)
        tx = _signed_sponsor(tx, after, key, fee, nonce)
        spec["sponsor"] = {**Signing(key).asked(), "fee": str(fee), "nonce": str(nonce)}
    return Signed(tx, spec)
