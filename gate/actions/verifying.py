"""Verification for anybody, on one thread of its own: whoever asks for much of it waits behind itself, not before payments."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from gate.settings import GateSettings
from operations.errors import SatboxError
from stacks import AddressError, StacksError
from stacks.verification import UnusableInput

WAITING_MAX = 16
"""Reports under way at once; each takes milliseconds, and at most a few tenths of a second for the largest inputs."""

_thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="verifying")
_waiting = 0


async def report(settings: GateSettings, make: Callable[..., dict[str, Any]], *arguments: Any) -> dict[str, Any]:
    """A report of `stacks.verification`; its errors in the service's words, `overloaded` when too many wait."""
    global _waiting
    if not settings.verifies_for_anybody:
        raise SatboxError("not_found", "This service does not verify for others.")
    if _waiting >= WAITING_MAX:
        raise SatboxError("overloaded", retry_after=1)
    _waiting += 1
    try:
        return await asyncio.get_running_loop().run_in_executor(_thread, make, *arguments)
    except UnusableInput as error:
        raise SatboxError(
            "invalid_request", details={"fields": [{"field": error.field, "problem": error.problem}]}
        ) from error
    except AddressError as error:
        raise SatboxError("stx_address_invalid", details={"reason": str(error)}) from error
    except StacksError as error:
        raise SatboxError("bytes_invalid", details={"reason": error.code, "problem": str(error)}) from error
    finally:
        _waiting -= 1
