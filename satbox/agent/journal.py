"""Payments that were signed and whose outcome is not known yet. On disk before they go on the wire, so that no crash and no lost
answer can lead to a second payment for one request: the same bytes are repeated instead.
"""

import asyncio
import contextlib
import fcntl
import json
import os
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

from operations.errors import SatboxError
from satbox.agent.private_file import private_folder, read_private, remove_private, write_private

LOCK_SECONDS_MAX = 300.0
_LOCK_POLL_SECONDS = 0.05


@dataclass(frozen=True, slots=True)
class OpenPayment:
    """One signed payment and the very request it pays for. `key` names the request: gate, operation and input."""

    key: str
    gate: str
    operation: str
    values: dict[str, Any]
    header: str
    payment_id: str
    txid: str | None
    sats: int
    symbol: str
    signed_at: str


class Journal(Protocol):
    """Where open payments are kept."""

    def lock(self) -> AbstractAsyncContextManager[None]:
        """One payment at a time: two at once would sign the same nonce."""

    def open(self) -> list[OpenPayment]:
        """Everything unresolved, oldest first."""

    def keep(self, payment: OpenPayment) -> None:
        """Remember, durably; returns only when it is."""

    def resolve(self, payment: OpenPayment) -> None:
        """The outcome is known."""


class MemoryJournal:
    """For agents whose keys are not on disk either."""

    def __init__(self) -> None:
        self._open: dict[str, OpenPayment] = {}
        self._lock = asyncio.Lock()

    def lock(self) -> AbstractAsyncContextManager[None]:
        """One payment at a time in this process."""
        return _held(self._lock)

    def open(self) -> list[OpenPayment]:
        """Everything unresolved."""
        return list(self._open.values())

    def keep(self, payment: OpenPayment) -> None:
        """Remember."""
        self._open[payment.key] = payment

    def resolve(self, payment: OpenPayment) -> None:
        """Forget."""
        self._open.pop(payment.key, None)


@contextlib.asynccontextmanager
async def _held(lock: asyncio.Lock) -> AsyncIterator[None]:
    async with lock:
        yield


class FileJournal:
    """One file per open payment below the agent's folder; a lock file keeps other processes out."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder / "payments"
        self._lock = asyncio.Lock()

    @contextlib.asynccontextmanager
    async def lock(self) -> AsyncIterator[None]:
        """One payment at a time on this machine. Raises timeout when another process does not end its own."""
        async with self._lock:
            private_folder(self._folder)
            descriptor = os.open(self._folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
            try:
                await _acquire(descriptor)
                yield
            finally:
                os.close(descriptor)

    def open(self) -> list[OpenPayment]:
        """Everything unresolved, oldest first. Raises ambiguous when a file cannot be read: it may hold money."""
        found = []
        for path in self._folder.glob("*.json"):
            try:
                found.append(OpenPayment(**json.loads(read_private(path))))
            except (OSError, ValueError, TypeError) as error:
                raise SatboxError(
                    "ambiguous", f"{path} holds a payment and cannot be read.", funds_moved="unknown",
                    hint="Restore the file, or remove it when you know what became of that payment.",
                ) from error  # fmt: skip
        return sorted(found, key=lambda payment: payment.signed_at)

    def keep(self, payment: OpenPayment) -> None:
        """Write it and sync it."""
        data = json.dumps(asdict(payment), indent=1).encode()
        write_private(self._folder / f"{payment.key}.json", data, overwrite=False)

    def resolve(self, payment: OpenPayment) -> None:
        """Remove it."""
        remove_private(self._folder / f"{payment.key}.json")


async def _acquire(descriptor: int) -> None:
    try:
        async with asyncio.timeout(LOCK_SECONDS_MAX):
            while True:
                try:
                    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    await asyncio.sleep(_LOCK_POLL_SECONDS)
                else:
                    return
    except TimeoutError as error:
        raise SatboxError("timeout", "Another process of this agent is still paying.") from error
