"""From a wallet to the runtime that may be reached now, and from the node's words to ours."""

import contextlib
from collections.abc import Iterator

from actors.view import View
from actors.wallet.budget import spent_usat
from actors.wallet.decide_runtime import RECOVERED
from actors.wallet.state import Phase, RuntimeRef, WalletState
from gate.parts.services import Services
from operations.errors import SatboxError
from sandboxes.client import NodeClient
from sandboxes.protocol import NodeUnavailable, RuntimeGone, SandboxError, StorageFull

NODE_CODES = {
    "bad_request": "invalid_request",
    "bad_path": "path_invalid",
    "is_directory": "path_invalid",
    "not_directory": "path_invalid",
    "not_regular": "path_invalid",
    "not_found": "path_not_found",
    "already_exists": "path_exists",
    "not_empty": "path_exists",
    "permission_denied": "path_forbidden",
    "no_space": "disk_full",
    "storage_full": "storage_full",
    "too_large": "body_too_large",
    "bad_archive": "archive_invalid",
    "supervisor_busy": "overloaded",
    "no_capacity": "overloaded",
    "runtime_paused": "sandbox_paused",
    "process_not_found": "process_not_found",
    "process_ended": "process_ended",
    "port_closed": "port_closed",
    "context_not_found": "context_not_found",
    "context_unavailable": "context_unavailable",
    "context_died": "context_died",
    "context_busy": "context_busy",
    "pause_unavailable": "pause_unavailable",
    "snapshot_failed": "snapshot_failed",
    "snapshots_full": "snapshots_full",
    "snapshot_not_found": "snapshot_not_found",
}
"""The node's words in ours; one without an entry is a request we should not have passed on."""


def runtime_of(view: View, *, paused_too: bool = False) -> RuntimeRef:
    """The runtime a command may reach now; otherwise why not, and what to do."""
    state = view.state
    if not state.exists:
        raise SatboxError("wallet_not_found")
    match state.phase:
        case Phase.ALIVE | Phase.GRACE if state.runtime is not None and state.runtime.is_paused and not paused_too:
            if state.is_held:
                raise SatboxError("budget_reached", details=spent(state))
            raise SatboxError("sandbox_paused")
        case Phase.ALIVE | Phase.GRACE if state.runtime is not None:
            return state.runtime
        case _ if was_lost(state):
            raise lost(state)
        case Phase.NONE | Phase.STARTING:
            raise SatboxError("sandbox_starting", retry_after=1)
        case Phase.STOPPING if state.comes_back:
            raise SatboxError("sandbox_starting", retry_after=1)
        case _:
            raise SatboxError("sandbox_reaped", details={"reason": state.reason, "owed_usat": state.accounts.debt_usat})


def was_lost(state: WalletState) -> bool:
    """Whether it ended by itself, or with its node, and is being started again: nobody has reaped it."""
    if state.phase is Phase.STARTING:
        return state.reason == RECOVERED
    return state.comes_back and state.stop is not None and state.stop.fault is not None


def lost(state: WalletState | None = None) -> SatboxError:
    """The error for callers of a sandbox that was lost and starts again. Nothing of what they asked for was done."""
    reason = "runtime_gone" if state is None else state.reason if state.stop is None else state.stop.reason
    words = "The sandbox was lost, and is being started again."
    return SatboxError("node_unavailable", words, details={"reason": reason}, retry_after=1)


def spent(state: WalletState) -> dict[str, object]:
    """What a budget allows and what of it is spent in this hour, in micro-sats, by meter (`total`: all together)."""
    hour = state.hour
    return {
        "caps_usat_per_hour": dict(state.budget.caps),
        "spent_usat": {name: 0 if hour is None else spent_usat(hour, name) for name, _cap in state.budget.caps},
    }


class Reach:
    """A context manager that turns the node's errors into ours, by what the wallet says at that moment. It gives the node that
    the wallet's state names, and the runtime there.
    """

    def __init__(self, services: Services, address: str, *, paused_too: bool = False) -> None:
        self._paused_too = paused_too
        self._services = services
        self._address = address
        self._state: WalletState | None = None
        self._runtime: RuntimeRef | None = None

    async def __aenter__(self) -> tuple[NodeClient, str]:
        view = await self._services.views.get(self._address)
        self._state = view.state
        runtime = self._runtime = runtime_of(view, paused_too=self._paused_too)
        try:
            node = self._services.nodes.for_runtime(runtime)
            if self._services.secrets is not None:
                await self._services.secrets.deliver(view.state, runtime.runtime_id, node)
        except SandboxError as error:
            await self.__aexit__(type(error), error, None)
            raise
        return node, runtime.runtime_id

    @property
    def runtime(self) -> RuntimeRef:
        """What is reached, once it is."""
        assert self._runtime is not None
        return self._runtime

    def variables(self, given: dict[str, str]) -> dict[str, str]:
        """A command's variables: the wallet's `env` secrets, and over them what the caller gave."""
        assert self._state is not None
        secrets = self._services.secrets
        return given if secrets is None else {**secrets.variables(self._state), **given}

    async def __aexit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, RuntimeGone):
            # Our snapshot may be a second old: look again, so that the answer says what is true now.
            runtime_of(await self._services.views.get(self._address, fresh=True), paused_too=self._paused_too)
            # The wallet has not heard yet, or has another by now. Nothing was done: the same request may be made again.
            raise lost() from error
        if isinstance(error, SandboxError):
            raise _ours(error) from error

    def header_secrets(self) -> dict[str, dict[str, str]]:
        """What is known of the wallet's `header` secrets, by name: alias, upstream, header; no values."""
        assert self._state is not None
        secrets = self._services.secrets
        found = [] if secrets is None else secrets.all(self._state)
        return {secret.name: secret.details for secret in found if secret.kind == "header"}


@contextlib.contextmanager
def told() -> Iterator[None]:
    """The node's errors as ours, where no runtime is reached for."""
    try:
        yield
    except SandboxError as error:
        raise _ours(error) from error


def _ours(error: SandboxError) -> SatboxError:
    if isinstance(error, NodeUnavailable | StorageFull):
        return SatboxError(NODE_CODES.get(error.code, "node_unavailable"), error.message, retry_after=1)
    return SatboxError(NODE_CODES.get(error.code, "invalid_request"), error.message)
