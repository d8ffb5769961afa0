"""The oracle on Ray: one actor that keeps prices fresh, and the client through which gates follow it."""

import asyncio
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
from ray.exceptions import RayError

from actors.on_ray.call import NamedActors, answered, start_actor
from actors.on_ray.steady_scheduler import SteadyScheduler
from operations import logs
from operations.errors import SatboxError
from oracle import AnchorBook, Oracle, OracleSettings, Snapshot, http_sources
from storage.errors import StorageError

NAME = "oracle"
REFRESH_SECONDS = 2
"""How often the sources are looked at; each is asked by its own heartbeat."""
CONCURRENCY_MAX = 500


@dataclass(frozen=True, slots=True)
class OracleSpec:
    """What the oracle process is told; it crosses to the process pickled. `bases` are base URLs by source."""

    home: Path
    bases: Mapping[str, str]
    headers: Mapping[str, Mapping[str, str]] = field(default_factory=dict, repr=False)
    settings: OracleSettings = field(default_factory=OracleSettings)


class OracleProcess:
    """The Ray actor. What it must not forget, the anchors, is in `oracle.sqlite`; quotes are no business of its own."""

    def __init__(self, spec: OracleSpec) -> None:
        logs.configure()
        self._spec = spec
        self._oracle: Oracle | None = None
        self._session: aiohttp.ClientSession | None = None
        self._scheduler: SteadyScheduler | None = None
        self._book: AnchorBook | None = None

    def _started(self) -> Oracle:
        if self._oracle is None:
            spec = self._spec
            self._session = aiohttp.ClientSession()
            self._book = AnchorBook(spec.home / "oracle.sqlite")
            self._oracle = Oracle(
                http_sources(spec.bases, self._session, spec.headers),
                self._book,
                spec.settings,
                now_ms=lambda: time.time_ns() // 1_000_000,
            )
            self._scheduler = SteadyScheduler()
            self._scheduler.add_job(
                self._oracle.refresh, "interval", seconds=REFRESH_SECONDS, max_instances=1, coalesce=True,
                misfire_grace_time=None,
            )  # fmt: skip
            self._scheduler.start()
        return self._oracle

    async def ping(self) -> int:
        """Be up, and say which process this is."""
        self._started()
        return os.getpid()

    async def snapshot(self) -> Any:
        """What is known of prices now; the first answer waits for the first round."""
        return await answered(self._snapshot())

    async def _snapshot(self) -> Snapshot:
        oracle = self._started()
        try:
            await oracle.first_round()
        except (StorageError, OSError) as error:
            raise SatboxError("internal", "The oracle cannot read its anchors.") from error
        return oracle.snapshot()

    async def close(self) -> None:
        """Stop asking."""
        if self._oracle is None or self._scheduler is None or self._session is None or self._book is None:
            return
        self._scheduler.shutdown(wait=False)
        await self._oracle.aclose()
        await self._session.close()
        await asyncio.to_thread(self._book.close)
        self._oracle = None


class RayOracle:
    """The oracle wherever it runs."""

    def __init__(self) -> None:
        self._actors = NamedActors()

    async def snapshot(self) -> Snapshot:
        """What is known of prices now; raises SatboxError when the oracle does not answer."""
        try:
            snapshot: Snapshot = await self._actors.call(NAME, "snapshot")
        except RayError as error:
            raise SatboxError("timeout", "The oracle does not answer.") from error
        return snapshot


def start_oracle(spec: OracleSpec) -> Any:
    """Make the oracle actor, or get it."""
    return start_actor(OracleProcess, NAME, spec, concurrency=CONCURRENCY_MAX)
