"""One bounded HTTP exchange: a deadline, a size limit, JSON or a named reason why not. Redirects are not followed."""

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import aiohttp

RESPONSE_BYTES_MAX = 1_048_576
TOO_MANY_REQUESTS = 429


class Trouble(StrEnum):
    """Why there is no answer to read."""

    UNREACHABLE = "unreachable"
    TIMEOUT = "timeout"
    UNREADABLE = "unreadable"


class NoAnswer(Exception):  # noqa: N818
    """The other side may or may not have done what was asked; nothing it said can be read."""

    def __init__(self, trouble: Trouble, detail: str) -> None:
        self.trouble = trouble
        self.detail = detail[:200]
        super().__init__(f"{trouble}: {self.detail}")


@dataclass(frozen=True, slots=True)
class JsonResponse:
    """A status, a JSON body, and the seconds of a Retry-After header when there was one."""

    status: int
    body: Any
    retry_after_seconds: int | None = None

    @property
    def fields(self) -> Mapping[str, Any]:
        """The body when it is an object, else nothing."""
        return self.body if isinstance(self.body, dict) else {}


def _retry_after(response: aiohttp.ClientResponse) -> int | None:
    text = response.headers.get("Retry-After", "")
    return max(1, int(text)) if text.isascii() and text.isdigit() and len(text) <= 6 else None


async def _read_bounded(response: aiohttp.ClientResponse, limit_bytes: int) -> bytes:
    chunks: list[bytes] = []
    size = 0
    async for chunk in response.content.iter_chunked(65_536):
        size += len(chunk)
        if size > limit_bytes:
            raise NoAnswer(Trouble.UNREADABLE, f"answer over {limit_bytes} bytes")
        chunks.append(chunk)
    return b"".join(chunks)


async def exchange(
    session: aiohttp.ClientSession,
    method: str,
    url: str,
    *,
    timeout_seconds: float,
    body: Any = None,
    raw: bytes | None = None,
    headers: Mapping[str, str] | None = None,
    limit_bytes: int = RESPONSE_BYTES_MAX,
) -> JsonResponse:
    """Send one request and read its JSON; raises NoAnswer for everything that leaves the outcome open."""
    sent = dict(headers or {})
    data = raw
    if raw is not None:
        sent["content-type"] = "application/octet-stream"
    elif body is not None:
        data = json.dumps(body, separators=(",", ":")).encode()
        sent["content-type"] = "application/json"
    try:
        async with (
            asyncio.timeout(timeout_seconds),
            session.request(
                method,
                url,
                data=data,
                headers=sent,
                allow_redirects=False,
                timeout=aiohttp.ClientTimeout(total=timeout_seconds),
            ) as response,
        ):
            text = await _read_bounded(response, limit_bytes)
            status, retry_after_seconds = response.status, _retry_after(response)
    except TimeoutError as error:
        raise NoAnswer(Trouble.TIMEOUT, f"{method} took over {timeout_seconds} s") from error
    except (aiohttp.ClientError, OSError, ValueError) as error:
        raise NoAnswer(Trouble.UNREACHABLE, f"{type(error).__name__}: {error}") from error
    try:
        return JsonResponse(status, json.loads(text), retry_after_seconds)
    except (ValueError, RecursionError) as error:
        if status == TOO_MANY_REQUESTS:
            return JsonResponse(
                status, None, retry_after_seconds
            )  # turned away by whatever stands in front, in its own words
        raise NoAnswer(Trouble.UNREADABLE, f"HTTP {status} without JSON") from error
