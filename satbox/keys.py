"""The deployment's own secrets, each in a file of its own under `SATBOX_HOME/keys`, mode 0600, made when first needed."""

import os
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from stacks import Network, PrivateKey


@dataclass(frozen=True, slots=True)
class DeploymentKeys:
    """`operator` signs receipts, passes, challenges and quotes; `operator_token` authenticates the operator; `ray_token`
    the Ray cluster; `treasury` receives payments on a devnet (a real deployment names `pay_to` and keeps its key away);
    `secrets_key` seals what agents keep here; with `self_key` the node says in whose name a sandbox calls the gate.
    """

    operator: Ed25519PrivateKey = field(repr=False)
    operator_token: str = field(repr=False)
    ray_token_path: Path
    treasury: PrivateKey = field(repr=False)
    secrets_key: bytes = field(repr=False)
    self_key: bytes = field(repr=False)
    self_key_path: Path

    def pay_to(self, network: Network) -> str:
        """Where a devnet deployment receives."""
        return str(self.treasury.address(network))


def load_keys(home: Path) -> DeploymentKeys:
    """Read the keys, making those that do not exist yet."""
    folder = home / "keys"
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    operator = serialization.load_pem_private_key(_secret(folder / "operator.pem", _new_operator), password=None)
    if not isinstance(operator, Ed25519PrivateKey):
        raise TypeError("keys/operator.pem is not an Ed25519 key")
    token = _secret(folder / "operator.token", lambda: secrets.token_urlsafe(32).encode()).decode().strip()
    _secret(folder / "ray.token", lambda: secrets.token_hex(32).encode())
    treasury = _secret(folder / "treasury.key", lambda: secrets.token_hex(32).encode()).decode().strip()
    sealing = bytes.fromhex(_secret(folder / "secrets.key", lambda: secrets.token_hex(32).encode()).decode().strip())
    own = bytes.fromhex(_secret(folder / "self.key", lambda: secrets.token_hex(32).encode()).decode().strip())
    paying = PrivateKey.from_hex(treasury)
    return DeploymentKeys(operator, token, folder / "ray.token", paying, sealing, own, folder / "self.key")


def _new_operator() -> bytes:
    return Ed25519PrivateKey.generate().private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _secret(path: Path, make: Callable[[], bytes]) -> bytes:
    """The content of a secret file; made whole or not at all, so that a crash leaves no half key."""
    if not path.exists():
        temporary = path.with_name(f".{path.name}.{os.getpid()}")
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(make())
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(temporary, path)  # never over a key that another process made meanwhile
        except FileExistsError:
            pass
        finally:
            temporary.unlink()
    return path.read_bytes()
