"""Secrets on their way from the store to a runtime: variables with each command, headers to the node's egress proxy.

They go over the node's unix socket, never through Ray, and are in no log and no wallet's state.
"""

from __future__ import annotations

import asyncio
import re
from collections import OrderedDict
from typing import Protocol

from actors.wallet.state import WalletState
from gate.parts.secret_store import SecretStore, StoredSecret
from sandboxes.egress.settings import ALIAS_SUFFIX

DELIVERED_MAX = 65_536
_RESERVED = re.compile(
    r"(http|https|all|no|ftp)_proxy|satbox_.*|ld_.*|gconv_path|path|home|shell|user|logname|pwd|oldpwd|tmpdir|ifs|env|bash_env"
    r"|bash_func.*|shellopts|bashopts|ps4|pythonhome|pythonpath|pythonstartup",
    re.IGNORECASE,
)


def is_reserved(name: str) -> bool:
    """Whether a variable is the service's own, or decides for every command what code it runs."""
    return _RESERVED.fullmatch(name) is not None


class HeaderTaker(Protocol):
    """The part of a node's client that takes header secrets."""

    async def set_secrets(self, runtime_id: str, version: int, secrets: list[dict[str, str]]) -> None:
        """Replace a runtime's header secrets; an older version changes nothing."""
        ...


class Secrets:
    """The secrets of all wallets, as one gate uses them."""

    def __init__(self, store: SecretStore) -> None:
        self.store = store
        self._delivered: OrderedDict[str, int] = OrderedDict()

    def variables(self, state: WalletState) -> dict[str, str]:
        """What every command of a wallet gets to see."""
        kept = self.store.open(state.address, state.lifetime, "env")
        return {each.secret.name: each.value for each in kept if not is_reserved(each.secret.name)}

    async def deliver(self, state: WalletState, runtime_id: str, node: HeaderTaker) -> None:
        """Let the runtime's proxy have the headers as they are now, unless it does. Raises SandboxError.

        Every gate does this before it first reaches a runtime, and after each change: a proxy may have them twice, but a
        runtime reached through a gate never lacks them.
        """
        version = self.store.version(state.address)
        if version == 0 or self._delivered.get(runtime_id) == version:
            return
        await self.forget(state)
        headers = [
            self._header(each.secret, each.value) for each in self.store.open(state.address, state.lifetime, "header")
        ]
        await node.set_secrets(runtime_id, version, headers)
        self._delivered[runtime_id] = version
        self._delivered.move_to_end(runtime_id)
        while len(self._delivered) > DELIVERED_MAX:
            self._delivered.popitem(last=False)

    @staticmethod
    def _header(secret: StoredSecret, value: str) -> dict[str, str]:
        details = secret.details
        return {
            "alias": details["alias"] + ALIAS_SUFFIX,
            "upstream": details["upstream"],
            "header": details["header"],
            "value": details["template"].replace("{}", value),
        }

    async def set(self, state: WalletState, secret: StoredSecret, value: str) -> None:
        """Keep one. Raises SatboxError (`secret_limit`)."""
        await asyncio.to_thread(self.store.set, state.address, state.lifetime, secret, value)

    async def delete(self, state: WalletState, name: str) -> bool:
        """Delete one; whether there was one."""
        return await asyncio.to_thread(self.store.delete, state.address, state.lifetime, name)

    async def forget(self, state: WalletState) -> None:
        """Delete those of the wallet's destroyed lifetimes."""
        await asyncio.to_thread(self.store.forget, state.address, state.lifetime)

    def all(self, state: WalletState) -> list[StoredSecret]:
        """What is known of a wallet's secrets."""
        return self.store.all(state.address, state.lifetime)
