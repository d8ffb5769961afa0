"""The three hashes Stacks uses, whatever the local OpenSSL was built with."""

import hashlib


def sha256(data: bytes) -> bytes:
    """SHA-256."""
    return hashlib.sha256(data).digest()


def _probe(name: str) -> bool:
    try:
        hashlib.new(name)
    except ValueError:
        return False
    return True


_HAS_RIPEMD160 = _probe("ripemd160")
_HAS_SHA512_256 = _probe("sha512_256")


def hash160(data: bytes) -> bytes:
    """RIPEMD-160 of SHA-256: what an address holds of a public key."""
    inner = sha256(data)
    if _HAS_RIPEMD160:
        return hashlib.new("ripemd160", inner).digest()
    # OpenSSL 3 without the legacy provider lacks it; the fallback costs 90 ms to import, so only then.
    from Crypto.Hash import RIPEMD160

    return RIPEMD160.new(inner).digest()


def sha512_256(data: bytes) -> bytes:
    """SHA-512/256: transaction ids and signature hashes (SIP-005)."""
    if _HAS_SHA512_256:
        return hashlib.new("sha512_256", data).digest()
    from Crypto.Hash import SHA512

    return SHA512.new(data, truncate="256").digest()
