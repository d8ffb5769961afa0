"""Where a command goes and for which agent it acts: flags, then the environment, then `satbox.toml`, then defaults."""

import gc
import os
import re
import sys
import tomllib
from argparse import Namespace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from satbox.home import default_home

if TYPE_CHECKING:
    from satbox.agent.keystore import Agent
    from satbox.client import Client
    from satbox.client.purchase import Announce
    from satbox.client.wake_links import HeldLink
    from stacks import Network

GATE_PORT, DEVNET_PORT = 4020, 4021
_PORT = "A port is a number from 0 to 65535."
_AT_LINE = re.compile(r" \(at line (\d+), column \d+\)$")


def read_settings(path: Path) -> dict[str, Any]:
    """What a `satbox.toml` says; nothing when there is none. Raises invalid_request with the line at fault."""
    try:
        text = path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except OSError as error:
        from satbox.agent.local_paths import local_error

        raise local_error(error, path) from error
    try:
        return tomllib.loads(text.decode())
    except ValueError as error:
        from operations.errors import SatboxError

        found = _AT_LINE.search(str(error))
        line = int(found[1]) if found else text.count(b"\n", 0, getattr(error, "start", len(text))) + 1
        reason = _AT_LINE.sub("", str(error)).removesuffix(" (at end of document)")
        message = f"{path}, line {line}: {reason}."
        raise SatboxError("invalid_request", message, hint="Correct that line, or move the file away.") from error


class Context:
    """One command's surroundings."""

    def __init__(self, arguments: Namespace) -> None:
        self.arguments = arguments
        self.home = default_home()
        wants_json = bool(getattr(arguments, "json", False))
        wants_table = bool(getattr(arguments, "table", False))
        self.as_json = wants_json or (not wants_table and not sys.stdout.isatty())
        self.is_live = sys.stderr.isatty()

    def _given(self, name: str) -> str | None:
        return getattr(self.arguments, name, None) or os.environ.get(f"SATBOX_{name.upper()}") or None

    @cached_property
    def _file(self) -> dict[str, Any]:
        return read_settings(self.home / "satbox.toml")

    def check_settings(self) -> None:
        """Raises invalid_request when `satbox.toml` cannot be read."""
        _ = self._file

    def _port(self, section: str, default: int) -> int:
        name = f"SATBOX_{section.upper()}__PORT"
        given = os.environ.get(name)
        configured = self._file.get(section) if not given else None
        kept = configured.get("port", default) if isinstance(configured, dict) else default
        try:
            port = int(given or kept)
            if not 0 <= port <= 65_535:
                raise ValueError("out of range")
        except (TypeError, ValueError) as error:
            from operations.errors import SatboxError

            where = name if given else f"{self.home / 'satbox.toml'}: {section}.port"
            raise SatboxError("invalid_request", f"{where} is no port: {given or kept!r}.", hint=_PORT) from error
        return port

    def gate_setting(self, name: str) -> str | None:
        """What the service on this machine is set to, by environment or file; None when nothing is."""
        section = self._file.get("gate")
        configured = section.get(name) if isinstance(section, dict) else None
        return os.environ.get(f"SATBOX_GATE__{name.upper()}", None if configured is None else str(configured))

    @property
    def gate(self) -> str:
        """The gate's address."""
        return self._given("gate") or f"http://127.0.0.1:{self._port('gate', GATE_PORT)}"

    @property
    def devnet(self) -> str:
        """The devnet's address."""
        return (
            os.environ.get("SATBOX_DEVNET_URL")
            or devnet_of(self._given("stacks_api"))
            or f"http://127.0.0.1:{self._port('devnet', DEVNET_PORT)}"
        )

    @property
    def agent_name(self) -> str:
        """Whose keys."""
        return self._given("agent") or "default"

    @property
    def network(self) -> str:
        """Where money moves."""
        return self._given("network") or str(self._file.get("network", "testnet"))

    @property
    def is_devnet(self) -> bool:
        """Whether the gate is one beside a devnet: on this machine, and not on mainnet. False when the settings are broken."""
        from urllib.parse import urlsplit

        from operations.errors import SatboxError
        from satbox.client.settings import is_loopback

        try:
            return self.network == "testnet" and is_loopback(urlsplit(self.gate).hostname or "")
        except (SatboxError, ValueError):
            return False

    def load_agent(self) -> "Agent":
        """The agent's keys."""
        from satbox.agent.keystore import Keystore

        return Keystore(self.home).load(self.agent_name)

    def operator_token(self) -> str | None:
        """The operator's token, when this is the operator's machine and user."""
        try:
            return (self.home / "keys" / "operator.token").read_text().strip() or None
        except OSError:
            return None

    def client(
        self,
        *,
        with_agent: bool = True,
        as_operator: bool = False,
        announce: "Announce | None" = None,
        link: "HeldLink | None" = None,
    ) -> "Client":
        """A client for this gate. Without the agent only open operations work, and what `link` opens: a link goes to the gate
        that it names, unless another is named. `announce` is called with what will be paid.
        """
        from operations.errors import SatboxError
        from satbox.client import Client, ClientSettings
        from satbox.client.settings import is_loopback
        from stacks import Network

        gc.enable()
        network = self.client_network()
        gate = self._given("gate") or (link and link.gate) or self.gate
        try:
            settings = ClientSettings(gate, network)
        except ValueError as error:
            hint = "Name it with --gate or SATBOX_GATE, as in http://127.0.0.1:4020."
            raise SatboxError("invalid_request", f"{error}.", hint=hint) from error
        stacks_api = self._given("stacks_api")
        if stacks_api is None and network is Network.TESTNET and is_loopback(settings.gate_url.host or ""):
            stacks_api = f"{self.devnet}/stacks"
        settings = ClientSettings(
            gate,
            network,
            stacks_api=stacks_api,
            deployment=self._given("deployment"),
            operator_token=self.operator_token() if as_operator else None,
        )
        api_key = os.environ.get("SATBOX_API_KEY")
        agent = self.load_agent() if with_agent and api_key is None else None
        return Client(settings, agent=agent, announce=announce, wake_link=link, api_key=api_key)

    def client_network(self) -> "Network":
        """The network, checked."""
        from operations.errors import SatboxError
        from stacks import Network

        try:
            return Network(self.network)
        except ValueError as error:
            hint = "SATBOX_NETWORK, or network in satbox.toml, is testnet or mainnet."
            raise SatboxError("invalid_request", f"There is no network {self.network[:40]!r}.", hint=hint) from error


def devnet_of(stacks_api: str | None) -> str | None:
    """The devnet on this machine whose Stacks API was named; None for every other API."""
    from urllib.parse import urlsplit

    from satbox.client.settings import is_loopback

    base, mark, rest = (stacks_api or "").rstrip("/").rpartition("/stacks")
    try:
        is_ours = bool(mark) and not rest and is_loopback(urlsplit(base).hostname or "")
    except ValueError:
        return None
    return base if is_ours else None
