"""Call named Ray actors, patiently while Ray brings one back, with errors that survive the way."""

import asyncio
import pickle
import time
from collections.abc import Awaitable, Callable
from typing import Any

import ray
from ray.exceptions import RayActorError

from operations.errors import SatboxError
from storage.errors import StorageError
from storage.full_disk import FULL_SECONDS, is_full

NAMESPACE = "satbox"
CALL_SECONDS_MAX = 30.0
HANG_SECONDS_MAX = 60.0
"""An actor that lives and does not answer: longer than any wait a caller may ask for."""

RETRY_SECONDS = 0.1

Make = Callable[[str], Any]


class NamedActors:
    """Handles by name. Every call we make is idempotent, so one whose actor died is made again."""

    def __init__(self, make: Make | None = None) -> None:
        self._make = make
        self._handles: dict[str, Any] = {}

    def handle(self, name: str) -> Any:
        """The named actor; made first when this set makes its actors on demand."""
        handle = self._handles.get(name)
        if handle is None:
            handle = self._make(name) if self._make is not None else ray.get_actor(name, namespace=NAMESPACE)
            self._handles[name] = handle
        return handle

    async def call(self, name: str, method: str, *arguments: Any) -> Any:
        """What the actor's method returns; an error it answered with is raised here."""
        give_up = time.monotonic() + CALL_SECONDS_MAX
        while True:
            try:
                async with asyncio.timeout(HANG_SECONDS_MAX):
                    answer = await getattr(self.handle(name), method).remote(*arguments)
                break
            except TimeoutError as error:
                raise SatboxError("timeout", f"{name} does not answer", retry_after=2) from error
            except (RayActorError, ValueError) as error:
                # ValueError: nothing goes by that name yet, or again.
                self._handles.pop(name, None)
                if time.monotonic() > give_up:
                    raise SatboxError("timeout", f"{name} does not answer", retry_after=2) from error
            await asyncio.sleep(RETRY_SECONDS)
        if isinstance(answer, Exception):
            raise answer
        return answer


async def answered(work: Awaitable[Any]) -> Any:
    """The result, or the SatboxError as a value: Ray would wrap a raised one beyond recognition."""
    try:
        return await work
    except SatboxError as error:
        return error
    except (OSError, StorageError) as error:
        if not is_full(error):
            raise
        return SatboxError("storage_full", retry_after=FULL_SECONDS)


def packed(value: Any) -> bytes:
    """A value for Ray's channel, which its token guards."""
    return pickle.dumps(value, protocol=5)


def unpacked(data: bytes) -> Any:
    """What `packed` packed, on our own channel only."""
    return pickle.loads(data)  # noqa: S301


def start_actor(kind: type, name: str, *arguments: Any, concurrency: int) -> Any:
    """Make the named actor, or get it when it is there. Ray restarts it for as long as the cluster lives."""
    actor: Any = ray.remote(kind)
    return actor.options(
        name=name,
        namespace=NAMESPACE,
        get_if_exists=True,
        lifetime="detached",
        max_restarts=-1,
        max_concurrency=concurrency,
        num_cpus=0,
    ).remote(*arguments)
