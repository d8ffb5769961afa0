"""The payout key at rest: AES-256-GCM under a key that scrypt (RFC 7914) makes of a passphrase. One file, mode 0600.

Whoever has the home folder has not got the key; whoever has the passphrase alone has not either. The header is authenticated
with the secret, so that nobody weakens its parameters unseen.
"""

import json
import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from stacks import Network, PrivateKey

VERSION = 1
FILE_BYTES_MAX = 4096
PASSPHRASE_CHARS_MIN = 12
N, R, P = 2**16, 8, 1


class KeyUnavailable(Exception):  # noqa: N818
    """There is no key, or it can't be opened. The text is fit to be shown."""


def _key(passphrase: str, header: dict[str, Any]) -> bytes:
    salt, n, r, p = bytes.fromhex(header["salt"]), int(header["n"]), int(header["r"]), int(header["p"])
    if not (len(salt) == 16 and 2**14 <= n <= 2**20 and r == R and p == P):
        raise KeyUnavailable("the key file asks for odd scrypt parameters")
    return Scrypt(salt=salt, length=32, n=n, r=r, p=p).derive(passphrase.encode())


def _header_bytes(header: dict[str, Any]) -> bytes:
    return json.dumps(header, sort_keys=True, separators=(",", ":")).encode()


def write_key(path: Path, key: PrivateKey, passphrase: str) -> None:
    """Seal a key into a new file; FileExistsError rather than lose one, ValueError for a passphrase that is too short."""
    if len(passphrase) < PASSPHRASE_CHARS_MIN:
        raise ValueError(f"a passphrase has at least {PASSPHRASE_CHARS_MIN} characters")
    header = {
        "version": VERSION, "kdf": "scrypt", "n": N, "r": R, "p": P, "salt": secrets.token_hex(16), "cipher": "aes-256-gcm",
        "testnet": str(key.address(Network.TESTNET)), "mainnet": str(key.address(Network.MAINNET)),
    }  # fmt: skip
    nonce = secrets.token_bytes(12)
    sealed = AESGCM(_key(passphrase, header)).encrypt(nonce, key.secret, _header_bytes(header))
    document = {"header": header, "nonce": nonce.hex(), "sealed": sealed.hex()}
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(json.dumps(document, indent=2) + "\n")
        file.flush()
        os.fsync(file.fileno())


def read_key(path: Path, passphrase: str) -> PrivateKey:
    """Open a key file. Raises KeyUnavailable."""
    try:
        if path.stat().st_mode & 0o077:
            raise KeyUnavailable(f"{path.name} can be read by others: chmod 600")
        with path.open("rb") as file:
            document = json.loads(file.read(FILE_BYTES_MAX))
        header = document["header"]
        if header["version"] != VERSION or header["kdf"] != "scrypt" or header["cipher"] != "aes-256-gcm":
            raise KeyUnavailable("the key file is of another version")
        cipher = AESGCM(_key(passphrase, header))
        secret = cipher.decrypt(
            bytes.fromhex(document["nonce"]), bytes.fromhex(document["sealed"]), _header_bytes(header)
        )
        return PrivateKey(secret)
    except FileNotFoundError as error:
        raise KeyUnavailable("there is no payout key") from error
    except InvalidTag as error:
        raise KeyUnavailable("the passphrase does not open the payout key") from error
    except (OSError, ValueError, ArithmeticError, LookupError, TypeError, AttributeError, RecursionError) as error:
        raise KeyUnavailable("the payout key file can't be read") from error


@dataclass(frozen=True, slots=True)
class KeyFile:
    """Where the key is, and where its passphrase comes from: a file, or else a variable of the environment."""

    path: Path
    passphrase_file: Path | None = None
    passphrase_variable: str = "SATBOX_PAYOUT_PASSPHRASE"  # noqa: S105 - its name
    environment: Mapping[str, str] | None = field(default=None, repr=False)
    """The process's own when None."""

    def passphrase(self) -> str:
        """The passphrase. Raises KeyUnavailable."""
        if self.passphrase_file is not None:
            try:
                return self.passphrase_file.read_text().rstrip("\n")
            except (OSError, ValueError) as error:
                raise KeyUnavailable("the payout passphrase file can't be read") from error
        found = (os.environ if self.environment is None else self.environment).get(self.passphrase_variable)
        if not found:
            raise KeyUnavailable(f"no payout passphrase: set {self.passphrase_variable} or name a file")
        return found

    def __call__(self) -> PrivateKey:
        """The key. Raises KeyUnavailable; blocks for as long as scrypt takes."""
        if not self.path.exists():
            raise KeyUnavailable("there is no payout key")
        return read_key(self.path, self.passphrase())
