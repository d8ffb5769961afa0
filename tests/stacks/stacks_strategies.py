"""Hypothesis strategies for everything a transaction is made of."""

from hypothesis import strategies as st

from stacks.c32 import Address, Principal
from stacks.clarity import (
    Bool,
    Buffer,
    ClarityValue,
    ContractPrincipal,
    Int,
    List,
    NoneValue,
    ResponseErr,
    ResponseOk,
    Some,
    StandardPrincipal,
    StringAscii,
    StringUtf8,
    Tuple,
    UInt,
)
from stacks.keys import PrivateKey
from stacks.network import Network
from stacks.newer_conditions import (
    MaybeSentPostCondition,
    StackingAction,
    StackingPostCondition,
    StakingPostCondition,
)
from stacks.other_payloads import CLARITY_VERSIONS, Coinbase, PoisonMicroblock, SmartContract, TenureChange
from stacks.payloads import ContractCall, TokenTransfer
from stacks.postconditions import (
    AssetId,
    Comparison,
    FungiblePostCondition,
    NonFungiblePostCondition,
    Ownership,
    PostConditionMode,
    StxPostCondition,
)
from stacks.spending import UNSPONSORED, AuthField, HashMode, KeyEncoding, MultiSig, SingleSig
from stacks.transaction import AnchorMode, AnyTransaction, Transaction

addresses = st.builds(Address, st.sampled_from([20, 21, 22, 26]), st.binary(min_size=20, max_size=20))
contract_names = st.from_regex(r"[a-zA-Z][a-zA-Z0-9_-]{0,39}", fullmatch=True)
names = st.from_regex(r"[a-z][a-z0-9-]{0,20}", fullmatch=True)
contracts = st.builds(Principal, addresses, contract_names)
principals = st.builds(Principal, addresses) | contracts
scalars = st.one_of(
    st.builds(Int, st.integers(-(1 << 127), (1 << 127) - 1)),
    st.builds(UInt, st.integers(0, (1 << 128) - 1)),
    st.builds(Buffer, st.binary(max_size=40)),
    st.builds(Bool, st.booleans()),
    st.builds(StandardPrincipal, addresses),
    st.builds(ContractPrincipal, addresses, contract_names),
    st.just(NoneValue()),
    st.builds(StringAscii, st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=20)),
    st.builds(StringUtf8, st.text(max_size=20).filter(lambda text: not text.startswith("\ufeff"))),
)


def _nested(inner: st.SearchStrategy[ClarityValue]) -> st.SearchStrategy[ClarityValue]:
    return st.one_of(
        st.builds(ResponseOk, inner),
        st.builds(ResponseErr, inner),
        st.builds(Some, inner),
        st.builds(List, st.lists(inner, max_size=4).map(tuple)),
        st.builds(Tuple.of, st.dictionaries(names, inner, max_size=4)),
    )


values = st.recursive(scalars, _nested, max_leaves=12)
edge_lengths = st.sampled_from([0, 1, 127, 128, 255, 256, 1_024, 4_096])
edges = st.one_of(
    st.builds(Buffer, edge_lengths.map(bytes)),
    st.builds(StringAscii, edge_lengths.map(lambda length: "x" * length)),
    st.builds(StringUtf8, edge_lengths.map(lambda length: "☀" * length)),
    st.builds(lambda length: Tuple.of({"k" * max(length, 1): NoneValue()}), st.integers(1, 127)),
    st.builds(lambda length: List((Bool(value=True),) * length), edge_lengths),
)
long_values = values | edges
u64 = st.integers(0, (1 << 64) - 1)
_hash160s = st.binary(min_size=20, max_size=20)
_p2pkh = st.sampled_from([(HashMode.P2PKH, encoding) for encoding in KeyEncoding])
_modes = _p2pkh | st.just((HashMode.P2WPKH_P2SH, KeyEncoding.COMPRESSED))
single_sigs = st.builds(
    lambda mode, signer, nonce, fee, signature: SingleSig(mode[0], signer, nonce, fee, mode[1], signature),
    _modes,
    _hash160s,
    u64,
    u64,
    st.binary(min_size=65, max_size=65),
)
private_keys = st.binary(min_size=31, max_size=31).map(lambda raw: PrivateKey(b"\x01" + raw))
public_keys = private_keys.map(lambda key: key.public_key.data)
signatures = st.binary(min_size=65, max_size=65)


def _multi_sigs(modes: list[int], kinds: tuple[int, int]) -> st.SearchStrategy[MultiSig]:
    """Segwit scripts take compressed keys only."""
    keys, signed = kinds
    some_keys = st.builds(AuthField, st.integers(0, keys), public_keys)
    some_signatures = st.builds(AuthField, st.integers(2, signed), signatures)
    fields = st.lists(some_keys | some_signatures, max_size=4).map(tuple)
    hashes = st.binary(min_size=20, max_size=20)
    return st.builds(MultiSig, st.sampled_from(modes), hashes, u64, u64, fields, st.integers(0, 65_535))


multi_sigs = _multi_sigs([1, 5], (1, 3)) | _multi_sigs([3, 7], (0, 2))
assets = st.builds(AssetId, contracts, names)
post_conditions = st.one_of(
    st.builds(StxPostCondition, st.none() | principals, st.sampled_from(Comparison), u64),
    st.builds(FungiblePostCondition, st.none() | principals, assets, st.sampled_from(Comparison), u64),
    st.builds(NonFungiblePostCondition, st.none() | principals, assets, values, st.sampled_from(Ownership)),
)
payloads = st.builds(TokenTransfer, principals, u64, st.binary(min_size=34, max_size=34)) | st.builds(
    ContractCall, contracts, names, st.lists(values, max_size=4).map(tuple)
)
transactions = st.builds(
    Transaction,
    st.sampled_from(Network),
    single_sigs | multi_sigs,
    st.none() | single_sigs | st.just(UNSPONSORED),
    st.sampled_from(AnchorMode),
    st.sampled_from(PostConditionMode),
    st.lists(post_conditions, max_size=3).map(tuple),
    payloads,
)


code_text = st.text(st.sampled_from([*map(chr, range(0x20, 0x7F)), "\t", "\n", "\r"]), max_size=200)
other_payloads = st.one_of(
    st.builds(SmartContract, contract_names, code_text, st.none() | st.sampled_from(CLARITY_VERSIONS)),
    st.builds(PoisonMicroblock, st.tuples(*[st.binary(min_size=132, max_size=132)] * 2)),
    st.builds(
        Coinbase,
        st.binary(min_size=32, max_size=32),
        st.none() | principals,
        st.none() | st.binary(min_size=80, max_size=80),
    ),
    st.builds(
        TenureChange, _hash160s, _hash160s, _hash160s, st.binary(min_size=32, max_size=32),
        st.integers(0, (1 << 32) - 1), st.integers(0, 6), _hash160s,
    ),
)  # fmt: skip
newer_conditions = st.one_of(
    st.builds(MaybeSentPostCondition, st.none() | principals, assets, values),
    st.builds(StakingPostCondition, st.none() | principals, st.sampled_from(Comparison), u64),
    st.builds(StackingPostCondition, st.none() | principals, st.sampled_from(StackingAction)),
)
any_transactions = st.builds(
    AnyTransaction,
    st.sampled_from(Network),
    single_sigs | multi_sigs,
    st.none() | single_sigs | multi_sigs | st.just(UNSPONSORED),
    st.sampled_from(AnchorMode),
    st.sampled_from(PostConditionMode),
    st.lists(post_conditions | newer_conditions, max_size=3).map(tuple),
    payloads | other_payloads,
)
