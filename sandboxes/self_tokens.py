"""What a sandbox's egress proxy shows the gate in its name: which wallet, which runtime, and a proof that the node says so.

The node makes the token when a runtime begins; the proxy puts it on requests to the gate's alias; nothing inside ever sees it.
It is good for that runtime alone, and buys what the wallet's `self` key may. Pure.
"""

import hmac
import re
from collections.abc import Mapping

PREFIX = "sbself_"
_TOKEN = re.compile(r"sbself_(S[0-9A-Z]{27,41})_(rt_[0-9A-Za-z]{1,64})_([0-9a-f]{64})", re.ASCII)


def self_token(key: bytes, address: str, runtime_id: str) -> str:
    """The token of one runtime."""
    return f"{PREFIX}{address}_{runtime_id}_{_proof(key, address, runtime_id)}"


def read_self_token(key: bytes, token: str) -> tuple[str, str] | None:
    """The address and the runtime that a token is good for; None for one that the holder of `key` has not made."""
    read = _TOKEN.fullmatch(token)
    if not key or read is None:
        return None
    address, runtime_id, proof = read.groups()
    return (address, runtime_id) if hmac.compare_digest(proof, _proof(key, address, runtime_id)) else None


def is_of_sandbox(headers: Mapping[str, str]) -> bool:
    """Whether it was the egress proxy that said who calls, and not what runs inside."""
    return headers.get("Authorization", "").startswith(f"Bearer {PREFIX}")


def _proof(key: bytes, address: str, runtime_id: str) -> str:
    return hmac.digest(key, f"{address} {runtime_id}".encode(), "sha256").hex()
