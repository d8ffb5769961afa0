"""One SQLite file behind one thread: work is queued, run in its own savepoint, and committed in groups.

A result is handed back only after the commit (fsync) of the group it was in, so whoever awaits it may act on it. Work
that raises is rolled back alone. WAL with synchronous=FULL: what was committed survives a power cut.
"""

import asyncio
import queue
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from storage.connection import Connection
from storage.errors import StorageError, UnavailableError
from storage.files import connect
from storage.sqlite import Database

GROUP_MAX = 128
BUSY_SECONDS = 10.0
QUEUE_MAX = 4_096

T = TypeVar("T")
Work = Callable[[Connection], T]


class StoreClosed(RuntimeError):  # noqa: N818
    """The store takes no more work."""


@dataclass(slots=True)
class _Job:
    work: Callable[[Connection], Any]
    loop: asyncio.AbstractEventLoop
    future: "asyncio.Future[Any]"
    result: Any = None
    error: BaseException | None = None


class GroupWriter:
    """The file at `path`, created and migrated on opening. `close` is the end of its thread."""

    def __init__(self, path: Path, migrate: Callable[[Database], None]) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._connection = connect(path, busy_seconds=BUSY_SECONDS, has_foreign_keys=True)
        migrate(self._connection)
        self._queue: queue.Queue[_Job | None] = queue.Queue(QUEUE_MAX)
        self._closed = False
        self._thread = threading.Thread(target=self._serve, name=f"{path.stem}-writer", daemon=True)
        self._thread.start()

    async def run(self, work: Work[T]) -> T:
        """The result of `work(connection)` once it is committed; raises what it raises, nothing of it kept then."""
        if self._closed:
            raise StoreClosed
        loop = asyncio.get_running_loop()
        job = _Job(work, loop, loop.create_future())
        try:
            self._queue.put_nowait(job)
        except queue.Full as error:
            raise StoreClosed("the store is behind by its whole queue") from error
        result: T = await job.future
        return result

    def close(self) -> None:
        """Finish what is queued and close the file."""
        if not self._closed:
            self._closed = True
            self._queue.put(None)
            self._thread.join()

    def _serve(self) -> None:
        try:
            while (job := self._queue.get()) is not None:
                jobs, last = [job], False
                while len(jobs) < GROUP_MAX and not self._queue.empty():
                    following = self._queue.get()
                    if following is None:
                        last = True
                        break
                    jobs.append(following)
                self._run_group(jobs)
                if last:
                    break
        finally:
            self._connection.close()

    def _run_group(self, jobs: list[_Job]) -> None:
        try:
            self._connection.execute("BEGIN IMMEDIATE")
            for job in jobs:
                self._run_one(job)
            self._connection.execute("COMMIT")
        except StorageError as error:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            for job in jobs:
                job.error = error
        for job in jobs:
            _answer(job)

    def _run_one(self, job: _Job) -> None:
        self._connection.execute("SAVEPOINT one")
        try:
            job.result = job.work(self._connection)
        except Exception as error:
            if not self._connection.in_transaction:
                # As on a full disk: SQLite has rolled all of it back, so the whole group has failed.
                raise UnavailableError("the transaction was rolled back") from error
            self._connection.execute("ROLLBACK TO one")
            job.error = error
        self._connection.execute("RELEASE one")


def _answer(job: _Job) -> None:
    def settle() -> None:
        if job.future.done():
            return  # nobody waits any more; what was committed stays committed
        if job.error is not None:
            job.future.set_exception(job.error)
        else:
            job.future.set_result(job.result)

    try:
        job.loop.call_soon_threadsafe(settle)
    except RuntimeError:
        return  # its event loop is gone
