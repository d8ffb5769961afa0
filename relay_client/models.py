"""x402 v2 on the wire: the objects, and the headers that carry them (x402 v2; shapes as x402-stacks 2.0 sends them).

    payment-required    402 reply         PaymentRequired
    payment-signature   paid request      PaymentPayload
    payment-response    reply to a paid   SettleResult

Writing is strict. Reading is tolerant where clients differ (null members, a missing `resource`, `0x`, the alias
`signedTransaction`) and bounded everywhere. What a payload claims in `accepted` is a hint and never believed.
"""

import base64
import binascii
import hashlib
import json
import re
from typing import Annotated, Any, Literal

from pydantic import AliasChoices, BaseModel, ConfigDict, Field, ValidationError

from operations.errors import SatboxError

X402_VERSION: Literal[2] = 2
HEADER_CHARS_MAX = 16_384
"""Of one encoded header; a payment needs about 2,500."""
TRANSACTION_BYTES_MAX = 4_096
"""Of one payment's transaction; a SIP-010 transfer has about 400."""
JSON_DEPTH_MAX = 16

PAYMENT_REQUIRED_HEADER = "payment-required"
PAYMENT_SIGNATURE_HEADER = "payment-signature"
PAYMENT_RESPONSE_HEADER = "payment-response"
PAYMENT_IDENTIFIER = "payment-identifier"

_IDENTIFIER = re.compile(r"[A-Za-z0-9_-]{16,128}")
_HEX = re.compile(r"(?:0[xX])?((?:[0-9a-fA-F]{2})+)")

Digits = Annotated[str, Field(pattern=r"^[0-9]{1,39}$")]


class _Written(BaseModel):
    """What we send: an unknown member is a mistake of ours."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class _Read(BaseModel):
    """What others send: unknown members are theirs to add."""

    model_config = ConfigDict(extra="ignore", frozen=True, populate_by_name=True)


class ResourceInfo(_Written):
    """What is paid for. `url` is absolute (tx-schemas insists, x402-stacks does not mind)."""

    url: str = Field(min_length=1, max_length=2048)
    description: str | None = None
    mimeType: str | None = None  # noqa: N815


class PaymentRequirements(_Written):
    """One way to pay: `amount` in atomic units of `asset`, which is a contract principal or `STX`."""

    scheme: Literal["exact", "satbox-bucket"] = "exact"
    network: str
    amount: Digits
    asset: str
    payTo: str  # noqa: N815
    maxTimeoutSeconds: int = Field(ge=1)  # noqa: N815
    extra: dict[str, Any] = Field(default_factory=dict)


class PaymentRequired(_Written):
    """The body and the header of a 402: clients take the first entry of `accepts` whose network is theirs."""

    x402Version: Literal[2] = X402_VERSION  # noqa: N815
    error: str | None = None
    resource: ResourceInfo
    accepts: list[PaymentRequirements] = Field(min_length=1)
    extensions: dict[str, Any] = Field(default_factory=dict)


class SettleResult(_Written):
    """What a payer is told of the settlement; `transaction` is the txid, empty while there is none."""

    success: bool
    errorReason: str | None = None  # noqa: N815
    payer: str | None = None
    transaction: str = ""
    network: str


class TransactionPayload(_Read):
    """The scheme's part of a payment: one signed transaction in hex."""

    transaction: str = Field(
        min_length=2,
        max_length=2 * TRANSACTION_BYTES_MAX + 2,
        validation_alias=AliasChoices("transaction", "signedTransaction"),
    )


class PaymentPayload(_Read):
    """A presented payment. Everything but the transaction's bytes is only claimed."""

    x402Version: Literal[2]  # noqa: N815
    payload: TransactionPayload
    accepted: dict[str, Any] | None = None
    resource: dict[str, Any] | None = None
    extensions: dict[str, Any] | None = None

    @property
    def transaction_bytes(self) -> bytes:
        """The signed transaction; raises payment_malformed when it is not hex."""
        match = _HEX.fullmatch(self.payload.transaction)
        if match is None:
            raise _malformed("payload.transaction is not hex")
        return bytes.fromhex(match[1])

    @property
    def identifier(self) -> str | None:
        """The client's payment identifier, when it sent one; raises payment_identifier_invalid."""
        extension = (self.extensions or {}).get(PAYMENT_IDENTIFIER)
        if extension is None:
            return None
        info = extension.get("info") if isinstance(extension, dict) else None
        value = info.get("id") if isinstance(info, dict) else None
        if value is None and isinstance(info, dict):
            return None  # a client that echoes our declaration without choosing an id
        if not isinstance(value, str) or _IDENTIFIER.fullmatch(value) is None:
            raise SatboxError("payment_identifier_invalid")
        return value

    @property
    def accepted_extra(self) -> dict[str, Any]:
        """`accepted.extra`, where our quote token travels back; empty when there is none."""
        extra = (self.accepted or {}).get("extra")
        return extra if isinstance(extra, dict) else {}


def payment_identifier_extension() -> dict[str, Any]:
    """How a 402 declares that payment identifiers are understood (x402 v2 extension)."""
    schema = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "properties": {
            "required": {"type": "boolean"},
            "id": {"type": "string", "minLength": 16, "maxLength": 128, "pattern": "^[a-zA-Z0-9_-]+$"},
        },
        "required": ["required"],
    }
    return {PAYMENT_IDENTIFIER: {"info": {"required": False}, "schema": schema}}


def _malformed(reason: str) -> SatboxError:
    return SatboxError("payment_malformed", details={"reason": reason})


def wire_json(model: BaseModel) -> dict[str, Any]:
    """A model as it goes out: members that are None are left out, since some readers refuse null."""
    return model.model_dump(mode="json", exclude_none=True)


def encode_header(model: BaseModel) -> str:
    """A model as header text: standard base64 with padding over UTF-8 JSON. Raises ValueError over the limit."""
    raw = json.dumps(wire_json(model), separators=(",", ":"), ensure_ascii=False).encode()
    text = base64.b64encode(raw).decode("ascii")
    if len(text) > HEADER_CHARS_MAX:
        raise ValueError(f"a header of {len(text)} characters is over our own limit")
    return text


def _decode_base64(text: str) -> bytes:
    compact = text.strip().translate(str.maketrans("-_", "+/")).rstrip("=")
    try:
        return base64.b64decode(compact + "=" * (-len(compact) % 4), validate=True)
    except (binascii.Error, ValueError) as error:
        raise _malformed("not base64") from error


def _no_constants(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


def _nesting(value: Any, limit: int) -> None:
    """Refuse what nests deeper than any payment does, before anything recurses over it."""
    level = [value]
    for _ in range(limit):
        level = [
            child
            for node in level
            if isinstance(node, dict | list)
            for child in (node.values() if isinstance(node, dict) else node)
        ]
        if not level:
            return
    raise _malformed("nested too deep")


def _decode_json(raw: bytes) -> dict[str, Any]:
    try:
        value = json.loads(raw.decode("utf-8"), parse_constant=_no_constants)
    except (ValueError, RecursionError) as error:
        raise _malformed("not UTF-8 JSON") from error
    if not isinstance(value, dict):
        raise _malformed("not a JSON object")
    _nesting(value, JSON_DEPTH_MAX)
    return value


def decode_payment_json(text: str) -> dict[str, Any]:
    """The document in a `payment-signature` header, whatever its scheme; raises payment_malformed or
    payment_version_unsupported.
    """
    if len(text) > HEADER_CHARS_MAX:
        raise _malformed(f"longer than {HEADER_CHARS_MAX} characters")
    value = _decode_json(_decode_base64(text))
    version = value.get("x402Version")
    if isinstance(version, int) and version != X402_VERSION:
        raise SatboxError(
            "payment_version_unsupported", details={"x402Version": version if abs(version) < 2**31 else 0}
        )
    return value


def decode_payment_header(text: str) -> PaymentPayload:
    """The payment in a `payment-signature` header; raises payment_malformed or payment_version_unsupported."""
    value = decode_payment_json(text)
    try:
        return PaymentPayload.model_validate(value)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise _malformed(f"{where}: {first['msg']}"[:200]) from error


def canonical_hash(value: Any) -> str:
    """sha256 (hex) of key-sorted JSON: what "the same body" means for a payment identifier."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
