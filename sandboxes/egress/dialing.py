"""From a destination to a connected socket: allowed, resolved once, every address checked, the checked one connected to."""

from __future__ import annotations

import asyncio
import hashlib
import socket
from ipaddress import IPv4Address

from sandboxes.egress.addresses import Address, AddressCheck, plain
from sandboxes.egress.guest import Guest, Origin
from sandboxes.egress.refusals import Refusal
from sandboxes.egress.resolver import Resolver
from sandboxes.egress.rules import Destination
from sandboxes.egress.settings import ALIAS_SUFFIX, EgressSettings

ATTEMPTS_MAX = 4


class Dialer:
    """Makes the connections of all guests."""

    def __init__(self, settings: EgressSettings, resolver: Resolver, check: AddressCheck) -> None:
        self._settings = settings
        self._resolver = resolver
        self._check = check

    async def public(self, guest: Guest, destination: Destination) -> socket.socket:
        """Connect to a public address that the guest's rules let through. Raises Refusal."""
        if destination.host.endswith(ALIAS_SUFFIX) or not guest.rules.permit(destination):
            raise Refusal("egress_denied", f"{destination.host}:{destination.port} is not on this sandbox's allow-list")
        if guest.meter.is_spent:
            raise Refusal("egress_limit", "this sandbox has used up what it may send and fetch")
        addresses = await self._addresses(guest, destination)
        for address in addresses:
            word = self._check.why_refused(address)
            if word is not None:
                # What a name of the host's own network leads to is not for a guest to know.
                told = f"{address} is {word}" if destination.address is not None else "it leads to no public address"
                raise Refusal("egress_private_address", f"{destination.host}: {told}")
        return await self._connect([plain(address) for address in addresses], destination.port)

    async def internal(self, guest: Guest, origin: Origin) -> socket.socket:
        """Connect to an alias's target, which the operator set. On loopback each sandbox has a source address of its own, so
        that the service can tell them apart where it limits by peer. Raises Refusal.
        """
        destination, source = origin.destination, source_of(guest.runtime_id)
        if destination.address is not None:
            return await self._connect([destination.address], destination.port, source)
        return await self._connect(await self._resolve(destination.host, guest), destination.port, source)

    async def _addresses(self, guest: Guest, destination: Destination) -> list[Address]:
        if destination.address is not None:
            return [destination.address]
        if guest.lookups >= self._settings.lookups_per_sandbox_max:
            raise Refusal("egress_limit", "too many names are being looked up for this sandbox")
        return await self._resolve(destination.host, guest)

    async def _resolve(self, name: str, guest: Guest) -> list[Address]:
        # A lookup that is given up still holds its thread, and so its sandbox's place, until the name server has answered.
        lookup = asyncio.ensure_future(self._resolver.resolve(name))
        guest.lookups += 1
        lookup.add_done_callback(lambda done: _looked_up(guest, done))
        try:
            async with asyncio.timeout(self._settings.lookup_seconds_max):
                addresses = await asyncio.shield(lookup)
        except TimeoutError as error:
            raise Refusal("egress_unresolvable", f"{name} was not answered in time") from error
        if not addresses:
            raise Refusal("egress_unresolvable", f"there is no {name}")
        return addresses

    async def _connect(self, addresses: list[Address], port: int, source: IPv4Address | None = None) -> socket.socket:
        """To the first that answers."""
        try:
            async with asyncio.timeout(self._settings.connect_seconds_max):
                for address in addresses[:ATTEMPTS_MAX]:
                    connection = await _try(address, port, source)
                    if connection is not None:
                        return connection
        except TimeoutError as error:
            raise Refusal("egress_unreachable", "no connection in time") from error
        raise Refusal("egress_unreachable", "nothing answers there")


def _looked_up(guest: Guest, lookup: asyncio.Future[list[Address]]) -> None:
    guest.lookups -= 1
    if not lookup.cancelled():
        lookup.exception()  # seen: nobody may be waiting for it


def source_of(runtime_id: str) -> IPv4Address:
    """A runtime's place in 127.64.0.0/10."""
    number = int.from_bytes(hashlib.sha256(runtime_id.encode()).digest()[:4], "big") % (1 << 22)
    return IPv4Address((127 << 24) + (64 << 16) + max(1, number))


async def _try(address: Address, port: int, source: IPv4Address | None) -> socket.socket | None:
    family = socket.AF_INET if isinstance(address, IPv4Address) else socket.AF_INET6
    connection = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    try:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if source is not None and address.is_loopback and address.version == 4:
            connection.bind((str(source), 0))
        await asyncio.get_running_loop().sock_connect(connection, (str(address), port))
    except OSError:
        connection.close()
        return None
    except BaseException:
        connection.close()
        raise
    return connection
