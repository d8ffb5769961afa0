"""The operator's public key, as people pass it on: base64, PEM, or what `satbox key` prints."""

import base64
import binascii
import json
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

KEY_BYTES = 32
FILE_BYTES_MAX = 65_536


class NotAKey(ValueError):  # noqa: N818 - reads as what happened
    """This is not an Ed25519 public key."""


def public_key_of(given: str) -> str:
    """The key in base64, from itself or from a file that holds it. Raises NotAKey."""
    path = Path(given)
    try:
        is_file = path.is_file()
    except OSError:
        is_file = False
    if not is_file:
        return _pem(given.encode()) if given.startswith("-----BEGIN PUBLIC KEY") else _base64(given)
    with path.open("rb") as file:
        content = file.read(FILE_BYTES_MAX)
    if content.lstrip().startswith(b"-----BEGIN PUBLIC KEY"):
        return _pem(content)
    text = content.decode("utf-8", "replace").strip()
    if text.startswith("{"):
        try:
            text = str(json.loads(text)["public_key"])
        except (ValueError, KeyError, RecursionError) as error:
            raise NotAKey(f"{given} has no public_key") from error
    return _base64(text)


def _base64(text: str) -> str:
    try:
        raw = base64.b64decode(text.strip(), validate=True)
    except (binascii.Error, ValueError) as error:
        raise NotAKey("neither a file nor a key in base64") from error
    if len(raw) != KEY_BYTES:
        raise NotAKey(f"an Ed25519 key has {KEY_BYTES} bytes, this has {len(raw)}")
    return base64.b64encode(raw).decode()


def _pem(content: bytes) -> str:
    try:
        key = serialization.load_pem_public_key(content)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise NotAKey("the PEM cannot be read") from error
    if not isinstance(key, Ed25519PublicKey):
        raise NotAKey("not an Ed25519 key")
    raw = key.public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
    return base64.b64encode(raw).decode()
