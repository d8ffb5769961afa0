"""Plain requests (`GET http://...`): to public hosts, to the service's own aliases, and with a secret added on the way.

One request per connection on both sides. Request and answer are parsed and written again, so that what reaches the other end
has one meaning.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from sandboxes.egress.dialing import Dialer
from sandboxes.egress.guest import Guest, HeaderSecret, Origin
from sandboxes.egress.heads import (
    AnswerHead,
    Body,
    Framing,
    HeadInvalid,
    RequestHead,
    answer_body,
    end_to_end,
    framing_fields,
    read_answer,
    request_body,
    values,
    write_head,
)
from sandboxes.egress.paths import stays_below
from sandboxes.egress.refusals import Refusal
from sandboxes.egress.rules import Destination, read_authority
from sandboxes.egress.settings import EgressSettings
from sandboxes.egress.streams import Patience, Side

INTERIM_MAX = 8
_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
ECHOES = frozenset(("TRACE", "TRACK", "DEBUG"))
"""Methods that have the other end say what it was sent."""
_METHODS = ("x-http-method-override", "x-http-method", "x-method-override")
_TARGETS = ("x-original-url", "x-original-uri", "x-rewrite-url")
"""Headers by which some servers take another path than the one that was asked for."""
_FORWARDING = ("forwarded", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", "x-real-ip")


@dataclass(frozen=True, slots=True)
class _Route:
    """Where one request goes, by which way, and what is put on it. `is_operators`: to a service the operator named."""

    origin: Origin
    is_operators: bool = False
    secret: HeaderSecret | None = None
    alias: str = ""

    @property
    def host(self) -> str:
        origin = self.origin
        if self.is_operators and origin.scheme == "http":
            return self.alias
        return origin.url.partition("//")[2] if origin.scheme == "https" else origin.destination.authority


class Forwarder:
    """Carries one plain request and its answer."""

    def __init__(
        self, settings: EgressSettings, dialer: Dialer, tls: ssl.SSLContext, internal: Mapping[str, Origin],
        patience: Patience,
    ) -> None:  # fmt: skip
        self._settings = settings
        self._dialer = dialer
        self._tls = tls
        self._internal = internal
        self._patience = patience

    async def forward(self, guest: Guest, side: Side, head: RequestHead) -> None:
        """Answer the request that has just begun on `side`. Raises Refusal and HeadInvalid while nothing was answered."""
        scheme, found, rest = head.target.partition("://")
        if not found or scheme.lower() != "http":
            raise Refusal("egress_bad_request", "this is a proxy: ask for http://host/path, or CONNECT host:port")
        cut = next((place for place, letter in enumerate(rest) if letter in "/?#"), len(rest))
        authority, path = rest[:cut], rest[cut:]
        if "#" in path:
            raise Refusal("egress_bad_request", "a fragment stays with the client")
        if not path.startswith("/"):
            path = "/" + path
        body = request_body(head)
        route = self._route(guest, read_authority(authority, 80), path)
        if route.alias == self._settings.self_alias and route.secret is None:
            route = replace(route, secret=_in_its_name(guest, head, route))
        if route.secret is not None and _is_echo(head):
            raise Refusal("egress_denied", f"{head.method} would have the other end repeat a secret")
        upstream = await self._connect(guest, route)
        try:
            await self._exchange(guest, side, upstream, route, head, route.origin.path + path, body)
        finally:
            upstream.abort()

    def _route(self, guest: Guest, destination: Destination, path: str) -> _Route:
        origin = self._internal.get(destination.host)
        secret = guest.secrets.get(destination.host)
        if origin is None and secret is None:
            return _Route(Origin("http", destination))
        if destination.port != 80:
            raise Refusal("egress_denied", "an alias is asked by plain http, without a port")
        if origin is None:
            assert secret is not None
            # An alias may lead to one of the operator's: those go by their own way in.
            inner = self._internal.get(secret.origin.destination.host)
            origin = secret.origin if inner is None else inner
            route = _Route(origin, inner is not None, secret, destination.host)
        else:
            route = _Route(origin, True, None, destination.host)
        if origin.path and not stays_below(path.partition("?")[0]):
            raise Refusal("egress_bad_request", "a path below an alias has no dots and no escapes that lead elsewhere")
        if route.secret is not None and not route.is_operators and origin.scheme != "https":
            raise Refusal("egress_denied", "a secret leaves by TLS only")
        return route

    async def _connect(self, guest: Guest, route: _Route) -> Side:
        destination = route.origin.destination
        connection = await (
            self._dialer.internal(guest, route.origin)
            if route.is_operators
            else self._dialer.public(guest, destination)
        )
        if route.origin.scheme == "http":
            return await Side.connected(connection, self._patience)
        try:
            async with asyncio.timeout(self._settings.connect_seconds_max):
                return await Side.connected(connection, self._patience, self._tls, destination.host)
        except (ssl.SSLError, OSError, TimeoutError) as error:
            connection.close()
            raise Refusal("egress_unreachable", f"no TLS that holds with {destination.host}") from error

    async def _exchange(
        self, guest: Guest, side: Side, upstream: Side, route: _Route, head: RequestHead, path: str, body: Body
    ) -> None:
        added = [] if route.secret is None else [(route.secret.header, route.secret.value)]
        without = ["host", *_FORWARDING, *(_TARGETS if route.alias else ()), *(name for name, _value in added)]
        fields = [("Host", route.host), *end_to_end(head.fields, without), *added, *framing_fields(body)]
        data = write_head(f"{head.method} {path} HTTP/1.1", [*fields, ("Connection", "close")])
        await _count(guest, route, out=len(data))
        try:
            await upstream.send(data)
            if body.framing is not Framing.NONE and any(
                v.lower() == "100-continue" for v in values(head.fields, "expect")
            ):
                await side.send(_CONTINUE)
            sending = asyncio.ensure_future(self._send_body(guest, side, upstream, route, body))
            try:
                answer = await self._read_answer(upstream, sending)
            except BaseException:
                await _stop(sending)
                raise
        except (OSError, TimeoutError) as error:
            raise Refusal("egress_unreachable", "the other end hung up, or was silent for too long") from error
        try:
            await self._pass_answer(guest, side, upstream, route, head, answer)
        finally:
            await _stop(sending)

    async def _send_body(self, guest: Guest, side: Side, upstream: Side, route: _Route, body: Body) -> None:
        """May continue while the answer already arrives. An upstream that stops reading the body is not an error."""
        async for piece in side.pieces(body):
            await _count(guest, route, out=len(piece))
            await upstream.send_piece(piece, body.framing)
        await upstream.send_piece(b"", body.framing)

    async def _read_answer(self, upstream: Side, sending: asyncio.Future[None]) -> AnswerHead:
        """The final answer's head. Its time begins when the request is sent in full. Raises HeadInvalid for a request with
        an invalid body, Refusal for an invalid answer.
        """
        settings = self._settings
        for _interim in range(INTERIM_MAX):
            reading = asyncio.ensure_future(upstream.head(settings.head_bytes_max, settings.connection_seconds_max))
            both: tuple[asyncio.Future[Any], ...] = (reading, sending)
            try:
                await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
                if not reading.done():
                    failure = sending.exception()
                    if failure is not None and not isinstance(failure, ConnectionResetError | BrokenPipeError):
                        raise failure
                    async with asyncio.timeout(settings.answer_seconds_max):
                        await asyncio.wait([reading])
                data = await reading
                if not data:
                    raise Refusal("egress_unreachable", "the other end hung up")
                answer = read_answer(data, settings.head_fields_max)
            except HeadInvalid as error:
                if sending.done() and sending.exception() is error:
                    raise
                raise Refusal("egress_bad_answer", f"the answer can't be passed on: {error}") from error
            finally:
                await _stop(reading)
            if answer.status >= 200:
                return answer
            if answer.status == 101:
                break
        raise Refusal("egress_bad_answer", "the answer never came, or was none to this request")

    async def _pass_answer(
        self, guest: Guest, side: Side, upstream: Side, route: _Route, head: RequestHead, answer: AnswerHead
    ) -> None:
        try:
            body = answer_body(answer, head.method)
        except HeadInvalid as error:
            raise Refusal("egress_bad_answer", f"the answer can't be passed on: {error}") from error
        onward = Body(Framing.CLOSE) if body.framing is Framing.CHUNKED and head.minor == 0 else body
        fields = [*_inward(end_to_end(answer.fields), route), *framing_fields(onward)]
        if body.framing is Framing.NONE:  # an answer to HEAD tells the length of what it does not send
            fields += [("Content-Length", value) for value in values(answer.fields, "content-length")[:1]]
        reason = route.secret.redactor(answer.reason) if route.secret else answer.reason
        data = write_head(f"HTTP/1.1 {answer.status} {reason}", [*fields, ("Connection", "close")])
        await _count(guest, route, in_=len(data))
        await side.send(data)
        try:
            async for piece in upstream.pieces(body):
                await _count(guest, route, in_=len(piece))
                await side.send_piece(piece, onward.framing)
        except HeadInvalid as error:
            raise ConnectionAbortedError("the answer is cut short") from error  # and so it is passed on: aborted
        await side.send_piece(b"", onward.framing)


def _inward(fields: list[tuple[str, str]], route: _Route) -> list[tuple[str, str]]:
    """An answer's fields without the secret, should the other end repeat it; redirects to itself lead to the alias again."""
    if not route.alias:
        return fields
    if route.secret is not None:
        fields = route.secret.redactor.fields(fields)
    base = route.origin.url + route.origin.path
    return [
        (name, _redirect(value, base, route.alias) if name.lower() == "location" else value) for name, value in fields
    ]


def _in_its_name(guest: Guest, head: RequestHead, route: _Route) -> HeaderSecret | None:
    """The header that names this sandbox to the gate. Requests with a pass, a key or a payment do not get it."""
    if not guest.self_token or any(values(head.fields, name) for name in ("authorization", "payment-signature")):
        return None
    return guest.self_secret(route.alias, route.origin.url)


def _is_echo(head: RequestHead) -> bool:
    methods = [head.method, *(value for name in _METHODS for value in values(head.fields, name))]
    return any(method.strip().upper() in ECHOES for method in methods)


def _redirect(location: str, base: str, alias: str) -> str:
    rest = location.removeprefix(base)
    return f"http://{alias}{rest}" if location.startswith(base) and (not rest or rest[0] in "/?#") else location


async def _count(guest: Guest, route: _Route, *, out: int = 0, in_: int = 0) -> None:
    """Meter, and keep the pace. The operator's own services cost nothing: an agent can always pay for more."""
    if route.is_operators:
        return
    wait = guest.meter.count_out(out) if out else guest.meter.count_in(in_)
    if wait > 0:
        await asyncio.sleep(wait)
    if guest.meter.is_spent:
        raise ConnectionAbortedError("used up")


async def _stop(task: asyncio.Future[Any]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
