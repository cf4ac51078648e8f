"""The network as strangers see it: what is only for this machine or those around it can't be reached through it.

Addresses come from users, from providers and from redirects. One that leads inside would have this site read for a
stranger what its machine may read: the database's port, the cloud's metadata. What counts is the address that is
connected to, not how it is written: each name is looked up once, and the address that was checked is the one that is
taken. So a decimal or octal spelling, a name of `127.0.0.1`, and one that answers differently the second time are all
the same here.
"""

import asyncio
import socket
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

import httpcore2
from django.conf import settings

type Address = IPv4Address | IPv6Address
type Network = IPv4Network | IPv6Network

PORTS = {80, 443}
"""Whatever else is on a public machine, its mail server say, is not HTTP's to speak to."""
MAX_ADDRESSES = 3
"""Of a name, that are tried one after the other."""
GLOBAL_UNICAST = ip_network("2000::/3")
NAT64 = ip_network("64:ff9b::/96")
"""IPv4 addresses as machines without IPv4 write them."""
AZURE_METADATA = ip_address("168.63.129.16")
"""By its number a public address; each machine there has its own behind it."""

# The system's lookup is the one that knows /etc/hosts and the like, and it waits. Threads of its own: names that
# nobody answers for hold up no other work.
_lookups = ThreadPoolExecutor(16, thread_name_prefix="lookup")


class NotPublic(Exception):
    """Nothing was sent, and no connection opened."""


class PublicNetwork(httpcore2.AsyncNetworkBackend):
    """Opens connections for HTTPX2, whose TLS then still verifies the name, not the address."""

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - the interface
        local_address: str | None = None,
        socket_options: Iterable[httpcore2.SOCKET_OPTION] | None = None,
    ) -> httpcore2.AsyncNetworkStream:
        """Raises `NotPublic`. `timeout`: seconds for all of it."""
        failure: Exception = httpcore2.ConnectError(f"{host} has no address")
        try:
            async with asyncio.timeout(timeout):
                addresses = await _look_up(host, port)
                _check(host, port, addresses)
                del addresses[MAX_ADDRESSES:]
                for number, address in enumerate(addresses):
                    try:
                        return await httpcore2.AnyIOBackend().connect_tcp(
                            str(address),
                            port,
                            # The others shall have their turn, where one does not answer.
                            timeout=timeout / (len(addresses) - number + 1) if timeout and addresses[1:] else None,
                            local_address=local_address,
                            socket_options=socket_options,
                        )
                    except (httpcore2.ConnectError, httpcore2.ConnectTimeout) as error:
                        failure = error
        except TimeoutError as error:
            raise httpcore2.ConnectTimeout(f"{host} does not answer") from error
        raise failure


async def _look_up(host: str, port: int) -> list[Address]:
    lookup = asyncio.get_running_loop().run_in_executor(
        _lookups, lambda: socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    )
    try:
        return list(dict.fromkeys(ip_address(str(info[4][0])) for info in await lookup))
    except (OSError, ValueError) as error:  # ValueError: what can't be a name
        raise httpcore2.ConnectError(f"{host}: {error}") from error


def _check(host: str, port: int, addresses: Iterable[Address]) -> None:
    """One that is not public is enough: a name for the public has none."""
    for address in addresses:
        if _is_trusted(host, address):
            continue
        if not is_public(address):
            raise NotPublic(f"{host} is {address}, which is not public. OUTGOING_TRUSTED can name it.")
        if port not in PORTS:
            raise NotPublic(f"{host} is asked for at port {port}. OUTGOING_TRUSTED can name it.")


def is_public(address: Address) -> bool:
    """Whether anybody on the internet reaches the same machine there."""
    if isinstance(address, IPv4Address):
        return address.is_global and not address.is_multicast and address != AZURE_METADATA
    if address in NAT64:
        return is_public(IPv4Address(address.packed[-4:]))
    # To an IPv4 address, which may be any. (Before Python 3.12.4 such a tunnel counts as global.)
    is_tunnel = address.sixtofour or address.teredo
    return address in GLOBAL_UNICAST and address.is_global and not is_tunnel


def _is_trusted(host: str, address: Address) -> bool:
    names, networks = _trusted(tuple(settings.OUTGOING_TRUSTED))
    return host.lower() in names or any(address in network for network in networks)


@cache
def _trusted(entries: tuple[str, ...]) -> tuple[frozenset[str], tuple[Network, ...]]:
    names, networks = set(), []
    for entry in entries:
        try:
            networks.append(ip_network(entry, strict=False))
        except ValueError:
            names.add(entry.lower())
    return frozenset(names), tuple(networks)
