"""Agents' keys on disk: `SATBOX_HOME/agents/<name>.json`, one file per agent, mode 0600, never overwritten.

An agent has two keys, as AIBTC wallets derive two: one for Stacks, one for Bitcoin (p2wpkh). Both are written with their
addresses on both networks, so that nothing needs the slow Bitcoin library but `keygen`.
"""

import json
import os
import re
import secrets
import shutil
import tempfile
import threading
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from operations.errors import SatboxError
from satbox.agent.local_paths import local_error, local_path
from satbox.agent.private_file import private_folder, read_private, write_private
from stacks import Network, PrivateKey, StacksError

NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
_VERSION = 1
_HOME_HINT = "Set SATBOX_HOME to a folder that can be written."
_IMPORTING = threading.Lock()
"""The environment is the whole process's: two threads that make an agent each do it one after the other."""
_BECH32_PREFIX = {Network.MAINNET: "bc", Network.TESTNET: "tb"}


@dataclass(frozen=True, slots=True)
class Addresses:
    """An agent's pair of addresses on one network."""

    stx: str
    btc: str


@dataclass(frozen=True, slots=True)
class Agent:
    """Two keys, a name, and a folder for what is kept beside them (None: nothing is kept, as in tests)."""

    name: str
    stacks_key: PrivateKey
    bitcoin_key: PrivateKey
    mainnet: Addresses
    testnet: Addresses
    folder: Path | None = None

    def addresses(self, network: Network) -> Addresses:
        """The pair on a network."""
        return self.mainnet if network is Network.MAINNET else self.testnet

    def public(self) -> dict[str, Any]:
        """What may be shown to anybody."""
        return {
            "name": self.name,
            "mainnet": {"stx": self.mainnet.stx, "btc": self.mainnet.btc},
            "testnet": {"stx": self.testnet.stx, "btc": self.testnet.btc},
        }


def new_agent(name: str, folder: Path | None = None) -> Agent:
    """An agent with fresh random keys, on disk nowhere yet."""
    return agent_of(name, PrivateKey(secrets.token_bytes(32)), PrivateKey(secrets.token_bytes(32)), folder)


def agent_of(name: str, stacks_key: PrivateKey, bitcoin_key: PrivateKey, folder: Path | None = None) -> Agent:
    """An agent with these keys. Imports the Bitcoin library (about a second)."""
    btc = _p2wpkh(bitcoin_key)
    pairs = {network: Addresses(str(stacks_key.address(network)), btc[network]) for network in Network}
    return Agent(name, stacks_key, bitcoin_key, pairs[Network.MAINNET], pairs[Network.TESTNET], folder)


def _p2wpkh(key: PrivateKey) -> dict[Network, str]:
    """The key's p2wpkh addresses (BIP-173). bitcoinlib writes to a home folder at import: it gets one of its own."""
    with _IMPORTING:
        return _p2wpkh_alone(key)


def _p2wpkh_alone(key: PrivateKey) -> dict[Network, str]:
    ours = "BCL_DATA_DIR" not in os.environ
    if ours:
        os.environ["BCL_DATA_DIR"] = tempfile.mkdtemp(prefix="satbox-bitcoinlib-")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it leaves a file open at import
            from bitcoinlib.encoding import pubkeyhash_to_addr_bech32

        program = key.public_key.encoded(compressed=True).hash160
        return {
            network: str(pubkeyhash_to_addr_bech32(program, prefix=prefix))
            for network, prefix in _BECH32_PREFIX.items()
        }
    finally:
        if ours:
            shutil.rmtree(os.environ.pop("BCL_DATA_DIR"), ignore_errors=True)


class Keystore:
    """The agents of one home folder."""

    def __init__(self, home: Path) -> None:
        self._folder = home / "agents"

    def path(self, name: str) -> Path:
        """Where an agent's keys are. Raises invalid_request for what cannot be a name."""
        if NAME.fullmatch(name) is None:
            raise SatboxError("invalid_request", f"{name[:40]!r} is not an agent's name: a-z, 0-9, - and _ only.")
        return self._folder / f"{name}.json"

    def create(self, name: str) -> Agent:
        """A new agent, saved. Raises already_exists rather than lose a key."""
        path = self.path(name)
        with local_path(self._folder, _HOME_HINT):
            private_folder(self._folder)
            is_taken = path.exists()
        if is_taken:
            raise self._exists(name)
        return self.save(new_agent(name))

    def save(self, agent: Agent) -> Agent:
        """Write an agent's keys. Raises already_exists rather than lose a key."""
        document = {
            "version": _VERSION,
            "name": agent.name,
            "stacks_private_key": agent.stacks_key.secret.hex(),
            "bitcoin_private_key": agent.bitcoin_key.secret.hex(),
            "addresses": {network: pair for network, pair in agent.public().items() if network != "name"},
        }
        path = self.path(agent.name)
        try:
            write_private(path, json.dumps(document, indent=2).encode() + b"\n", overwrite=False)
        except FileExistsError as error:
            raise self._exists(agent.name) from error
        except OSError as error:
            raise local_error(error, path, _HOME_HINT) from error
        return self.load(agent.name)

    def _exists(self, name: str) -> SatboxError:
        return SatboxError(
            "already_exists",
            f"The agent {name!r} already has keys; they are never overwritten.",
            hint=f"Use another name, or move {self.path(name)} away yourself.",
        )

    def names(self) -> list[str]:
        """The agents that have keys here."""
        return sorted(path.stem for path in self._folder.glob("*.json") if NAME.fullmatch(path.stem))

    def load(self, name: str) -> Agent:
        """An agent, its Stacks addresses checked against its key. Raises not_found, or invalid_request for a bad file."""
        path = self.path(name)
        try:
            document = json.loads(read_private(path))
            agent = self._parsed(document, name)
        except FileNotFoundError as error:
            raise SatboxError(
                "not_found", f"There is no agent {name!r} here.", hint="Make one: satbox keygen."
            ) from error
        except PermissionError as error:
            raise SatboxError("invalid_request", str(error), hint=f"chmod 600 {path}") from error
        except OSError as error:
            raise local_error(error, path, _HOME_HINT) from error
        except (ValueError, KeyError, TypeError, StacksError) as error:
            raise SatboxError("invalid_request", f"{path} is not an agent's key file.") from error
        return agent

    def _parsed(self, document: Any, name: str) -> Agent:
        if document["version"] != _VERSION:
            raise ValueError("another version")
        stacks_key = PrivateKey.from_hex(document["stacks_private_key"])
        bitcoin_key = PrivateKey.from_hex(document["bitcoin_private_key"])
        pairs = {}
        for network in Network:
            pair = document["addresses"][network.value]
            if str(stacks_key.address(network)) != pair["stx"]:
                raise ValueError("the addresses are another key's")
            pairs[network] = Addresses(pair["stx"], str(pair["btc"]))
        return Agent(name, stacks_key, bitcoin_key, pairs[Network.MAINNET], pairs[Network.TESTNET], self._folder / name)
