"""Wallets and the node's runtimes held against one another: none is lost unnoticed, none runs for nobody."""

import asyncio
import logging
from concurrent.futures import Executor

from actors.errors import is_damage
from actors.hosting.host_settings import HostSettings
from actors.hosting.residents import Residents
from actors.wallet import commands as c
from sandboxes.protocol import RuntimeLost, SandboxNode, StartFileEnded, StopRequest

log = logging.getLogger(__name__)


class Reconciler:
    """Of one host and its node."""

    def __init__(self, settings: HostSettings, residents: Residents, node: SandboxNode, executor: Executor) -> None:
        self._settings = settings
        self._residents = residents
        self._node = node
        self._executor = executor

    async def lost(self, lost: RuntimeLost) -> None:
        """The node says that a runtime is gone."""
        for actor in list(self._residents.actors.values()):
            if actor.state.runtime is not None and actor.state.runtime.runtime_id == lost.runtime_id:
                await actor.ask(c.Lost(lost.runtime_id, lost.reason))
                return

    async def start_file_ended(self, ended: StartFileEnded) -> None:
        """The node says that a workspace's start file has failed for good."""
        for actor in list(self._residents.actors.values()):
            if actor.state.runtime is not None and actor.state.runtime.runtime_id == ended.runtime_id:
                await actor.ask(c.StartFileFailed(ended.runtime_id, ended.exit_code, ended.signal, ended.process_id))
                return

    async def connected(self) -> None:
        """After (re)connecting: a runtime the node does not know is lost, one that no wallet owns is ended."""
        infos = {info.runtime_id: info for info in await self._node.runtimes()}
        owned: set[str] = set()
        for actor in list(self._residents.actors.values()):
            runtime = actor.state.runtime
            if runtime is None:
                continue
            owned.add(runtime.runtime_id)
            if runtime.is_healthy and runtime.runtime_id not in infos:
                await actor.ask(c.Lost(runtime.runtime_id, "unknown"))
        for info in infos.values():
            is_ours = self._settings.owns is None or self._settings.owns(info.address)
            if is_ours and info.runtime_id not in owned and not await self._owns_now(info.address, info.runtime_id):
                log.warning("ending runtime %s of %s: no wallet owns it", info.runtime_id, info.address)
                await self._node.stop(StopRequest(info.runtime_id, snapshot=True))

    async def _owns_now(self, address: str, runtime_id: str) -> bool:
        try:
            actor = await self._residents.get(address)
        except Exception as error:
            if not is_damage(error):
                raise
            log.exception("who owns runtime %s of %s cannot be read, so it is left alone", runtime_id, address)
            return True
        runtime = actor.state.runtime
        if runtime is not None and runtime.runtime_id == runtime_id:
            return True
        # An old host that lives on knows an old state: what runs by now is the newer copy's business.
        return not await asyncio.get_running_loop().run_in_executor(self._executor, actor.store.is_newest)
