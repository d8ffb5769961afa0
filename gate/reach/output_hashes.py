"""How receipts name the bytes that a command wrote. Pure: checking a receipt needs nothing else of the gate."""

import hashlib
from collections.abc import Mapping
from typing import Any, Literal

from operations.commands import ExecResult, delivered

SALT_BYTES = 32


def salted(salt: bytes, data: bytes | bytearray) -> str:
    """The name of bytes in a receipt, in hex. Receipts from before there were salts have none."""
    digest = hashlib.sha256(salt)
    digest.update(data)
    return digest.hexdigest()


def salt_of(result: ExecResult) -> bytes:
    """The salt that came with the answer. Raises ValueError when it is none: its length is fixed, so it cannot eat data."""
    salt = bytes.fromhex(result.receipt_salt or "")
    if len(salt) not in (0, SALT_BYTES):
        raise ValueError(f"a salt has {SALT_BYTES} bytes")
    return salt


OUTPUTS: tuple[Literal["stdout", "stderr"], ...] = ("stdout", "stderr")


def output_hashes(result: ExecResult, output: Mapping[str, bytes | bytearray] | None = None) -> dict[str, Any]:
    """Both outputs as delivered; `output` has them where they are not in `result` yet."""
    return {
        name: _output(result, name, delivered(result, name) if output is None else output[name]) for name in OUTPUTS
    }


def _output(result: ExecResult, name: str, data: bytes | bytearray) -> dict[str, Any]:
    return {
        "sha256": salted(salt_of(result), data),
        "bytes": len(data),
        "bytes_cut_off": result.truncated.get(f"{name}_bytes_dropped", 0),
    }
