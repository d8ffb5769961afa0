"""The registry's answer to a handle, believed within limits and kept for a while.

Good answers are kept a minute, "nobody" ten seconds. When the registry is silent an old answer is given, marked stale: good
enough to show a page, never to decide who owns what (that is `gate.genesis`, which fails closed). Two agents can share a
display name, since it is made from an address: then all are shown, and none is guessed.
"""

import asyncio
import json
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import quote

import aiohttp
from yarl import URL

from gate.outside.handle_words import Handle, read_handle
from gate.outside.turns import Turns
from operations.errors import SatboxError
from stacks import Address, AddressError, Network

POSITIVE_SECONDS = 60.0
NEGATIVE_SECONDS = 10.0
STALE_SECONDS = 86_400.0
LISTING_SECONDS = 300.0
CACHE_MAX = 10_000
TIMEOUT_SECONDS = 3.0
BYTES_MAX = 1 << 19
PAGE = 100
PAGES_MAX = 50
CANDIDATES_MAX = 20
TEXT_MAX = 200


@dataclass(frozen=True, slots=True)
class ResolvedAgent:
    """An agent. Addresses are the mainnet ones it is registered with; None where the registry has none."""

    kind: str
    stx_address: str
    btc_address: str | None
    taproot_address: str | None
    display_name: str | None
    bns_name: str | None
    agent_id: int | None
    level: int
    level_name: str
    last_active_at: str | None
    is_stale: bool = False


class HandleResolver:
    """A cached client of `GET /api/resolve/{identifier}`. The session is the caller's to close."""

    def __init__(self, base_url: str, session: aiohttp.ClientSession, monotonic_seconds: Callable[[], float]) -> None:
        self._base = base_url.rstrip("/")
        self._session = session
        self._now = monotonic_seconds
        self._kept: OrderedDict[Handle, tuple[float, ResolvedAgent | None]] = OrderedDict()
        self._asking: dict[Handle, asyncio.Task[ResolvedAgent | None]] = {}
        self._names: dict[str, tuple[str, ...]] = {}
        self._names_at: float | None = None
        self._listing: asyncio.Task[None] | None = None
        self._turns = Turns(lambda: int(monotonic_seconds() * 1000))

    async def find(self, text: str) -> ResolvedAgent:
        """Raises SatboxError: handle_invalid, handle_not_found, handle_ambiguous, registry_unavailable, overloaded."""
        handle = read_handle(text)
        kept = self._kept.get(handle)
        now = self._now()
        if kept is not None and now - kept[0] < (POSITIVE_SECONDS if kept[1] else NEGATIVE_SECONDS):
            return self._known(kept[1])
        try:
            found = await self._ask_once(handle)
        except (aiohttp.ClientError, TimeoutError, ValueError, SatboxError) as error:
            is_answer = isinstance(error, SatboxError) and error.code != "overloaded"
            if not is_answer and kept is not None and kept[1] is not None and now - kept[0] < STALE_SECONDS:
                return replace(kept[1], is_stale=True)
            if isinstance(error, SatboxError):
                raise
            raise SatboxError("registry_unavailable", retry_after=5) from error
        return self._known(found)

    def _known(self, found: ResolvedAgent | None) -> ResolvedAgent:
        if found is None:
            raise SatboxError("handle_not_found")
        return found

    async def _ask_once(self, handle: Handle) -> ResolvedAgent | None:
        """Everybody who asks for a handle at the same time waits for one answer."""
        asking = self._asking.get(handle)
        if asking is None:
            asking = self._asking[handle] = asyncio.ensure_future(self._ask(handle))
            asking.add_done_callback(lambda done: self._asked(handle, done))
        return await asyncio.shield(asking)

    def _asked(self, handle: Handle, done: "asyncio.Task[ResolvedAgent | None]") -> None:
        del self._asking[handle]
        if done.cancelled() or done.exception() is not None:
            return
        self._kept[handle] = (self._now(), done.result())
        self._kept.move_to_end(handle)
        while len(self._kept) > CACHE_MAX:
            self._kept.popitem(last=False)

    async def _ask(self, handle: Handle) -> ResolvedAgent | None:
        with self._turns.one():
            return await self._asked_now(handle)

    async def _asked_now(self, handle: Handle) -> ResolvedAgent | None:
        if handle.kind == "display-name":
            bearers = await self._bearers(handle.text)
            if len(bearers) > 1:
                details = {"candidates": list(bearers[:CANDIDATES_MAX]), "count": len(bearers)}
                raise SatboxError("handle_ambiguous", details=details)
        status, page = await self._get(f"/api/resolve/{quote(handle.text, safe='')}")
        if status == 404:
            return None
        if status != 200:
            raise ValueError(f"the registry answered {status}")
        if page.get("found") is not True:
            return None
        found = _read(page)
        if handle.kind == "stx" and found.stx_address != handle.text:
            raise ValueError("the registry answered for another address")
        return replace(found, kind=handle.kind)

    async def _bearers(self, name: str) -> tuple[str, ...]:
        """The Stacks addresses of all agents with this display name, from a list that is read every few minutes."""
        if self._names_at is None or self._now() - self._names_at > LISTING_SECONDS:
            if self._listing is None:
                self._listing = asyncio.ensure_future(self._list())
                self._listing.add_done_callback(self._listed)
            await asyncio.shield(self._listing)
        return self._names.get(name.lower(), ())

    def _listed(self, done: "asyncio.Task[None]") -> None:
        self._listing = None
        if not done.cancelled():
            done.exception()  # mark it as retrieved: those who waited for it have raised it

    async def _list(self) -> None:
        names: dict[str, tuple[str, ...]] = {}
        for number in range(PAGES_MAX):
            status, page = await self._get(f"/api/agents?limit={PAGE}&offset={number * PAGE}")
            agents = page.get("agents")
            if status != 200 or not isinstance(agents, list):
                raise ValueError("the registry's list has another shape")
            for agent in agents[:PAGE]:
                shown, stx = _text(agent, "displayName"), _text(agent, "stxAddress")
                if shown and stx and stx not in names.get(shown.lower(), ()):
                    names[shown.lower()] = (*names.get(shown.lower(), ()), stx)[: CANDIDATES_MAX + 1]
            pagination = page.get("pagination")
            if not isinstance(pagination, dict) or pagination.get("hasMore") is not True:
                break
        self._names, self._names_at = names, self._now()

    async def _get(self, path: str) -> tuple[int, dict[str, Any]]:
        async with asyncio.timeout(TIMEOUT_SECONDS):
            url = URL(self._base + path, encoded=True)
            async with self._session.get(url, allow_redirects=False) as response:
                body = bytearray()
                async for chunk in response.content.iter_any():
                    body += chunk
                    if len(body) > BYTES_MAX:
                        raise ValueError("the registry's answer is too long")
                status = response.status
        try:
            page = json.loads(body)
        except RecursionError as error:
            raise ValueError("the registry's answer nests too deeply") from error
        if not isinstance(page, dict):
            raise ValueError("the registry's answer is no object")
        return status, page


def _text(record: Any, name: str) -> str | None:
    value = record.get(name) if isinstance(record, dict) else None
    return value[:TEXT_MAX] if isinstance(value, str) and value else None


def _read(page: dict[str, Any]) -> ResolvedAgent:
    identity, trust = page.get("identity"), page.get("trust")
    stx = _text(identity, "stxAddress")
    if not isinstance(identity, dict) or stx is None:
        raise ValueError("the registry's answer has another shape")
    try:
        address = str(Address.parse(stx).to_network(Network.MAINNET))
    except AddressError as error:
        raise ValueError("the registry's answer holds no Stacks address") from error
    level = trust.get("level") if isinstance(trust, dict) else None
    agent_id = identity.get("agentId")
    return ResolvedAgent(
        "",
        address,
        _text(identity, "btcAddress"),
        _text(identity, "taprootAddress"),
        _text(identity, "displayName"),
        _text(identity, "bnsName"),
        agent_id if isinstance(agent_id, int) and not isinstance(agent_id, bool) else None,
        level if isinstance(level, int) and not isinstance(level, bool) and 0 <= level <= 9 else 0,
        _text(trust, "levelName") or "Unverified",
        _text(page.get("activity"), "lastActiveAt"),
    )
