"""The blocking face: the async client on a loop of its own, in a thread of its own."""

import asyncio
import contextlib
import threading
from collections.abc import AsyncIterator, Coroutine, Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

from operations import folders as f
from operations import refunds as r
from operations.identity import GatePass
from operations.models import Scope
from operations.sandbox import Event, Paid, PaymentStatus
from satbox.agent.journal import OpenPayment
from satbox.agent.keystore import Agent
from satbox.client._generated import SyncOperations
from satbox.client.calls import Result
from satbox.client.client import Client
from satbox.client.settings import DEFAULT_GATE, ClientSettings
from satbox.client.streams import ExecEvent, LogEvent
from satbox.client.wake_links import HeldLink

Item = TypeVar("Item")


class SyncClient(SyncOperations):
    """`Client` for code without an event loop. Use it as a context manager, or call `close`."""

    def __init__(
        self,
        gate: str | ClientSettings = DEFAULT_GATE,
        *,
        agent: Agent | None = None,
        wake_link: str | HeldLink | None = None,
    ) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="satbox client", daemon=True)
        self._thread.start()
        self._async = self._run(self._made(gate, agent, wake_link))
        self._client = self._async

    @staticmethod
    async def _made(gate: str | ClientSettings, agent: Agent | None, wake_link: str | HeldLink | None) -> Client:
        return Client(gate, agent=agent, wake_link=wake_link)

    def _run(self, work: Coroutine[Any, Any, Result]) -> Result:
        if self._loop.is_closed():
            work.close()
            raise RuntimeError("this client is closed")
        future = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return future.result()
        except BaseException:
            future.cancel()  # Ctrl-C here ends the request there
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections and end the thread."""
        if self._loop.is_closed():
            return
        self._run(self._async.close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def prove(self, *, scope: Scope = "owner") -> GatePass:
        """Prove the agent's keys and keep the pass."""
        return self._run(self._async.prove(scope=scope))

    def reclaim(self, quote: r.Reclaim) -> r.Reclaim:
        """Sign a quote of `sandbox_reclaim` with both keys, and do it."""
        return self._run(self._async.reclaim(quote))

    def open_payments(self) -> list[OpenPayment]:
        """Payments that were sent and whose outcome is not known."""
        return self._async.open_payments()

    def resume(self) -> list[Paid]:
        """Send every open payment again, unchanged, until its outcome is known."""
        return self._run(self._async.resume())

    def wait_confirmed(self, payment_id: str, *, timeout_seconds: float = 600.0) -> PaymentStatus:
        """Poll a payment until it is confirmed."""
        return self._run(self._async.wait_confirmed(payment_id, timeout_seconds=timeout_seconds))

    def download(self, path: str, to: Path, *, address: str | None = None) -> int:
        """Copy a file of any size out of the sandbox; its size in bytes."""
        return self._run(self._async.download(path, to, address=address))

    def events(self, *, address: str | None = None, after: int = 0) -> Iterator[Event]:
        """Follow a wallet's events."""
        return self._iterated(self._async.events(address=address, after=after))

    def exec_stream(self, **command: Any) -> Iterator[ExecEvent]:
        """Run a command and follow its output."""
        return self._iterated(self._async.exec_stream(**command))

    def read_stream(self, path: str, *, address: str | None = None) -> Iterator[bytes]:
        """Read a file of any size in pieces."""
        return self._iterated(self._async.read_stream(path, address=address))

    def files_watch(self, path: str, *, recursive: bool = False, address: str | None = None) -> Iterator[f.Change]:
        """Follow what changes in a folder; the first change is `watching`."""
        return self._iterated(self._async.files_watch(path, recursive=recursive, address=address))

    def follow_logs(self, process_id: str, *, after: int = 0, address: str | None = None) -> Iterator[LogEvent]:
        """Follow what a process writes; the last event is `exit` and has the process."""
        return self._iterated(self._async.follow_logs(process_id, after=after, address=address))

    def _iterated(self, items: AsyncIterator[Item]) -> Iterator[Item]:
        async def following() -> list[Item]:
            try:
                return [await anext(items)]
            except StopAsyncIteration:
                return []

        try:
            while found := self._run(following()):
                yield from found
        finally:
            aclose = getattr(items, "aclose", None)
            if aclose is not None and not self._loop.is_closed():
                with contextlib.suppress(RuntimeError):
                    self._run(aclose())

    # Short names of the everyday operations.
    create = SyncOperations.sandbox_create
    extend = SyncOperations.sandbox_extend
    status = SyncOperations.sandbox_status
    exec = SyncOperations.sandbox_exec
    wake = SyncOperations.sandbox_wake
    reap = SyncOperations.sandbox_reap
    upload = SyncOperations.files_write
