"""What can be wrong with bytes or text that claim to be Stacks'.

    StacksError (ValueError)
    |-- AddressError            c32 text, contract names
    |-- ClarityError            Clarity value bytes
    |-- KeyFormatError          private or public key bytes
    |-- SignatureError          base of:
    |   |-- MalformedSignature      wrong length, not hex, impossible recovery byte
    |   |-- HighSSignature          valid mathematically, but malleable: refused
    |   |-- UnrecoverableSignature  no public key gives this signature
    |   '-- WrongSigner             a valid signature by somebody else
    '-- TransactionError        base of:
        |-- DecodeError             not a transaction
        |-- UnsupportedPayload      a transaction, but not a payment
        '-- UnsupportedMultisig     a multi-signature condition where one key is needed

Each class has a stable `code` that callers may put on the wire. Refusals are named for what was refused, without a
suffix.
"""


class StacksError(ValueError):
    """Base of everything this package raises on hostile input."""

    code = "stacks_error"


class AddressError(StacksError):
    """Text or bytes that are not a Stacks address or principal."""

    code = "invalid_address"


class ClarityError(StacksError):
    """Bytes that are not a canonical Clarity value, or a value that has no bytes."""

    code = "invalid_clarity"


class KeyFormatError(StacksError):
    """Bytes or text that are not a usable secp256k1 key."""

    code = "invalid_key"


class SignatureError(StacksError):
    """A signature that proves nothing."""

    code = "invalid_signature"


class MalformedSignature(SignatureError):  # noqa: N818
    """Not 65 bytes, not hex, or a recovery byte that cannot be."""

    code = "malformed"


class HighSSignature(SignatureError):  # noqa: N818
    """S is above half the curve order: a second form of the same signature, refused to keep bytes unique."""

    code = "high_s"


class UnrecoverableSignature(SignatureError):  # noqa: N818
    """No public key could have made this signature."""

    code = "unrecoverable"


class WrongSigner(SignatureError):  # noqa: N818
    """The signature is valid but was made by another key than the one claimed."""

    code = "wrong_signer"


class TransactionError(StacksError):
    """A transaction that cannot be read or used."""

    code = "invalid_transaction"


class DecodeError(TransactionError):
    """Bytes that are not one canonical transaction."""

    code = "undecodable_transaction"


class UnsupportedPayload(TransactionError):  # noqa: N818
    """A payload kind other than token transfer and contract call; `kind` is its byte."""

    code = "unsupported_payload"

    def __init__(self, kind: int) -> None:
        super().__init__(f"payload kind {kind:#04x} is neither a token transfer nor a contract call")
        self.kind = kind


class UnsupportedMultisig(TransactionError):  # noqa: N818
    """The operation needs a single-signature spending condition."""

    code = "multisig_unsupported"
