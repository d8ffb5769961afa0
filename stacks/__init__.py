"""Stacks codecs and signatures, pure: addresses, Clarity values, transactions, SIP-018, messages.

The names most callers want are here; Clarity values live in `stacks.clarity`, builders and checks in `stacks.signing`.
"""

from stacks.c32 import Address, Principal
from stacks.errors import (
    AddressError,
    ClarityError,
    DecodeError,
    HighSSignature,
    KeyFormatError,
    MalformedSignature,
    SignatureError,
    StacksError,
    TransactionError,
    UnrecoverableSignature,
    UnsupportedMultisig,
    UnsupportedPayload,
    WrongSigner,
)
from stacks.keys import PrivateKey, PublicKey
from stacks.network import Network, UnknownNetwork
from stacks.payloads import ContractCall, TokenTransfer
from stacks.spending import MultiSig, SingleSig
from stacks.tokens import Token, sbtc, usdcx
from stacks.transaction import Transaction, decode_transaction

__all__ = [
    "Address",
    "AddressError",
    "ClarityError",
    "ContractCall",
    "DecodeError",
    "HighSSignature",
    "KeyFormatError",
    "MalformedSignature",
    "MultiSig",
    "Network",
    "Principal",
    "PrivateKey",
    "PublicKey",
    "SignatureError",
    "SingleSig",
    "StacksError",
    "Token",
    "TokenTransfer",
    "Transaction",
    "TransactionError",
    "UnknownNetwork",
    "UnrecoverableSignature",
    "UnsupportedMultisig",
    "UnsupportedPayload",
    "WrongSigner",
    "decode_transaction",
    "sbtc",
    "usdcx",
]
