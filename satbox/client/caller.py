"""Calls with identity: the right token on every request, and one new proof when the gate refuses the token."""

import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import TypeVar

import aiohttp

from operations.errors import SatboxError
from operations.identity import GatePass
from operations.registry import Auth
from operations.wake_links import LINK_HEADER
from satbox.client.answers import HttpResponse, error_of, has_error
from satbox.client.calls import Upload
from satbox.client.passes import PassCache
from satbox.client.requests import Request
from satbox.client.settings import ClientSettings
from satbox.client.transport import HttpTransport, refuse_errors
from satbox.client.uploads import is_repeatable, pieces

RENEWABLE = frozenset({"pass_missing", "pass_expired", "pass_revoked", "pass_invalid"})
Result = TypeVar("Result")


class RequestSender:
    """Sends requests for one client. `prove` gets a new pass; without it only open operations work."""

    def __init__(
        self,
        settings: ClientSettings,
        transport: HttpTransport,
        passes: PassCache,
        prove: Callable[[], Awaitable[GatePass]] | None,
        wake_link: str | None = None,
        api_key: str | None = None,
    ) -> None:
        self._settings = settings
        self._transport = transport
        self._passes = passes
        self._prove = prove
        self._wake_link = wake_link
        self._api_key = api_key

    async def _token(self, request: Request, *, is_asked: bool = False) -> str | None:
        if self._api_key is not None and request.operation.auth is not Auth.OPERATOR:
            return None if request.operation.name.startswith("gate.") else self._api_key
        if not request.needs_pass and not is_asked:
            # A kept pass may show more. No new one is proven for that: the caller may have no registered pair.
            kept = self._passes.get() if request.operation.auth is Auth.OPTIONAL else None
            return None if kept is None else kept.token
        operator = self._settings.operator_token
        if request.operation.auth is Auth.OPERATOR or self._prove is None:
            if operator is None and request.operation.auth is Auth.OPERATOR:
                raise SatboxError("operator_only", hint="Give the operator's token.")
            return operator
        kept = self._passes.get()
        return (kept or await self._prove()).token

    def _may_renew(self, request: Request) -> bool:
        """Open operations too: one that has a price at this gate asks for a pass."""
        is_ours = request.operation.auth is not Auth.OPERATOR and not request.operation.name.startswith("gate.")
        return is_ours and self._prove is not None and self._api_key is None

    async def _headers(self, request: Request, extra: Mapping[str, str], *, is_asked: bool = False) -> dict[str, str]:
        if self._wake_link is not None and request.operation.link_scope is not None:
            return {**extra, LINK_HEADER: self._wake_link}
        token = await self._token(request, is_asked=is_asked)
        return {**extra} if token is None else {**extra, "Authorization": f"Bearer {token}"}

    async def send(
        self,
        request: Request,
        *,
        headers: Mapping[str, str] | None = None,
        data: Upload | None = None,
        total_seconds: float | None = None,
    ) -> HttpResponse:
        """One whole answer, errors included. Raises unreachable."""
        for is_last in (False, True):
            answer = await self._transport.send(
                request.operation.method,
                request.path,
                query=request.query,
                headers=await self._headers(request, headers or {}, is_asked=is_last),
                json=request.json,
                data=None if data is None else pieces(data),
                total_seconds=total_seconds,
            )
            can_repeat = not is_last and self._may_renew(request) and is_repeatable(data)
            if not (can_repeat and answer.status == 401 and has_error(answer) and error_of(answer).code in RENEWABLE):
                break
            self._passes.drop()
        return answer

    async def websocket(self, request: Request) -> aiohttp.ClientWebSocketResponse:
        """An open websocket. Raises the gate's refusal, or unreachable."""
        for is_last in (False, True):
            headers = await self._headers(request, {})
            try:
                return await self._transport.websocket(request.path, query=request.query, headers=headers)
            except SatboxError as error:
                if is_last or error.code not in RENEWABLE or not self._may_renew(request):
                    raise
                self._passes.drop()
        raise AssertionError

    @contextlib.asynccontextmanager
    async def stream(
        self, request: Request, *, headers: Mapping[str, str] | None = None, total_seconds: float | None = None
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """A successful response to read piece by piece. Raises the gate's error, or unreachable."""
        for is_last in (False, True):
            try:
                async with self._transport.open(
                    request.operation.method,
                    request.path,
                    query=request.query,
                    headers=await self._headers(request, headers or {}),
                    json=request.json,
                    total_seconds=total_seconds,
                ) as response:
                    await refuse_errors(response)
                    is_last = True  # from here on an error is the reader's, not the pass's
                    yield response
                    return
            except SatboxError as error:
                if is_last or error.code not in RENEWABLE or not self._may_renew(request):
                    raise
                self._passes.drop()
