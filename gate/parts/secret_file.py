"""Wallets' secrets at rest: one file, each value sealed by AES-256-GCM under the deployment's own key.

What a seal holds is bound to its row (address, lifetime, name, kind): a sealed value moved to another row does not open.
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from gate.parts.secret_store import SECRETS_MAX, VARIABLES_BYTES_MAX, OpenSecret, StoredSecret
from operations.errors import SatboxError
from storage.files import connect
from storage.migration import run_script
from storage.transactions import Transaction

NONCE_BYTES = 12
_SCHEMA = """
CREATE TABLE IF NOT EXISTS secrets (
  address TEXT NOT NULL, lifetime INTEGER NOT NULL, name TEXT NOT NULL, kind TEXT NOT NULL, details TEXT NOT NULL,
  value_bytes INTEGER NOT NULL, set_at_ms INTEGER NOT NULL, sealed BLOB NOT NULL, PRIMARY KEY (address, name)
) STRICT;
CREATE TABLE IF NOT EXISTS versions (address TEXT PRIMARY KEY, version INTEGER NOT NULL) STRICT;
"""


class SecretFile:
    """A `SecretStore`. Several gates of a machine may use it at once; which thread calls does not matter."""

    def __init__(self, path: Path, key: bytes, random: Callable[[int], bytes] = os.urandom) -> None:
        self._seal = AESGCM(key)
        self._random = random
        self._lock = threading.Lock()
        path.parent.mkdir(parents=True, exist_ok=True)
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
        self._db = connect(path)
        run_script(self._db, _SCHEMA)

    def close(self) -> None:
        """See `SecretStore`."""
        with self._lock:
            self._db.close()

    def set(self, address: str, lifetime: int, secret: StoredSecret, value: str) -> None:
        """See `SecretStore`."""
        raw = value.encode()
        sealed_by = _bound(address, lifetime, secret.name, secret.kind)
        nonce = self._random(NONCE_BYTES)
        sealed = nonce + self._seal.encrypt(nonce, raw, sealed_by)
        with self._lock, Transaction(self._db):
            self._db.execute("DELETE FROM secrets WHERE address = ? AND lifetime != ?", (address, lifetime))
            self._db.execute(
                "INSERT OR REPLACE INTO secrets VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                (address, lifetime, secret.name, secret.kind, json.dumps(secret.details), len(raw), secret.set_at_ms,
                 sealed),
            )  # fmt: skip
            count, variables = self._db.execute(
                "SELECT count(*), sum(CASE kind WHEN 'env' THEN value_bytes + length(name) ELSE 0 END) "
                "FROM secrets WHERE address = ?",
                (address,),
            ).fetchone()
            if count > SECRETS_MAX or variables > VARIABLES_BYTES_MAX + 64 * SECRETS_MAX:
                raise SatboxError(
                    "secret_limit",
                    details={"secrets_max": SECRETS_MAX, "variables_bytes_max": VARIABLES_BYTES_MAX},
                )
            self._bump(address)

    def _bump(self, address: str) -> None:
        self._db.execute(
            "INSERT INTO versions VALUES (?, 1) ON CONFLICT (address) DO UPDATE SET version = version + 1", (address,)
        )

    def delete(self, address: str, lifetime: int, name: str) -> bool:
        """See `SecretStore`."""
        return self._delete("address = ? AND lifetime = ? AND name = ?", address, lifetime, name)

    def forget(self, address: str, before_lifetime: int) -> None:
        """See `SecretStore`."""
        with self._lock:
            query = "SELECT 1 FROM secrets WHERE address = ? AND lifetime < ?"
            found = self._db.execute(query, (address, before_lifetime)).fetchone()
        if found is not None:
            self._delete("address = ? AND lifetime < ?", address, before_lifetime)

    def _delete(self, condition: str, address: str, *values: object) -> bool:
        with self._lock, Transaction(self._db):
            deleted = self._db.execute(f"DELETE FROM secrets WHERE {condition}", (address, *values)).rowcount  # noqa: S608 - ours
            if deleted:
                self._bump(address)
        return bool(deleted)

    def version(self, address: str) -> int:
        """See `SecretStore`."""
        with self._lock:
            row = self._db.execute("SELECT version FROM versions WHERE address = ?", (address,)).fetchone()
        return 0 if row is None else int(row[0])

    def all(self, address: str, lifetime: int) -> list[StoredSecret]:
        """See `SecretStore`."""
        return [secret for secret, _sealed in self._rows(address, lifetime, "%")]

    def open(self, address: str, lifetime: int, kind: str) -> list[OpenSecret]:
        """See `SecretStore`."""
        found = []
        for secret, sealed in self._rows(address, lifetime, kind):
            bound = _bound(address, lifetime, secret.name, secret.kind)
            try:
                value = self._seal.decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], bound).decode()
            except (InvalidTag, ValueError):
                continue
            found.append(OpenSecret(secret, value))
        return found

    def _rows(self, address: str, lifetime: int, kind: str) -> list[tuple[StoredSecret, bytes]]:
        with self._lock:
            rows = self._db.execute(
                "SELECT name, kind, details, set_at_ms, sealed FROM secrets "
                "WHERE address = ? AND lifetime = ? AND kind LIKE ? ORDER BY name",
                (address, lifetime, kind),
            ).fetchall()
        return [
            (StoredSecret(name, kind, json.loads(details), at), bytes(sealed))
            for name, kind, details, at, sealed in rows
        ]


def _bound(address: str, lifetime: int, name: str, kind: str) -> bytes:
    return json.dumps([address, lifetime, name, kind]).encode()
