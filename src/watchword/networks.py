"""Networks: by what part of their addresses callers are told apart, in one spelling; whose word for it counts."""

import logging
from collections.abc import Iterable, Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from itertools import islice
from typing import Final

Network = IPv4Network | IPv6Network

_PREFIX_BITS: Final = 64
"""Of an IPv6 address: behind them every host chooses freely (RFC 7421).

It is the least that a subscriber has. Sites are to have more (RFC 6177), and are as many networks here, for no address
tells how much; by a shorter prefix those who have a /64 would be stopped for what their neighbours do.
"""

_NAT64: Final = IPv6Network("64:ff9b::/96")
"""In whose last bits all of IPv4 is, where a NAT64 translates (RFC 6052 §2.1); by the /64 it would be one network."""
_IPV4_BITS: Final = 0xFFFF_FFFF

_MOST_HOPS: Final = 16
"""Between a client and us. Who writes more of them, and ours, wants us to be busy with reading."""

_log = logging.getLogger(__name__)


def network_of(address: str | None) -> str:
    """The address itself for IPv4, also inside IPv6 or behind a NAT64; the /64 network for IPv6; "" for no address."""
    parsed = _parsed(address)
    if parsed is None:  # a Unix socket has none
        return ""
    if parsed in _NAT64:
        return str(IPv4Address(int(parsed) & _IPV4_BITS))
    if isinstance(parsed, IPv6Address):
        return str(IPv6Network((int(parsed), _PREFIX_BITS), strict=False))
    return str(parsed)


def networks(text: str) -> tuple[Network, ...]:
    """Read networks in CIDR notation, or addresses, separated by commas; IPv4 is IPv4 also inside IPv6.

    Raises:
        ValueError: one of them is none.
    """
    try:
        return tuple(_unmapped(ip_network(part)) for part in text.replace(",", " ").split())
    except ValueError:
        raise ValueError("must be networks such as 10.1.2.0/24 or addresses, separated by commas") from None


class TrustedProxies:
    """Proxies whose word for where a request comes from is taken, and nobody else's.

    Args:
        trusted: in which networks they are.
    """

    def __init__(self, trusted: Sequence[Network] = ()) -> None:
        self._trusted = tuple(trusted)
        self._has_told = False

    def network(self, peer: str | None, *, forwarded: Sequence[str], is_claimed: bool) -> str:
        """The network of whoever sent a request.

        The header is read from its right end, where each proxy has added whom it was talking to: past our own proxies
        until the first that is none. What stands left of that anybody may have written.

        Args:
            peer: the address at the other end of the connection.
            forwarded: the ``X-Forwarded-For`` fields.
            is_claimed: whether there is that header, or another that proxies send.
        """
        hop = _parsed(peer)
        if not self._trusts(hop):
            if is_claimed:
                self._tell(network_of(peer))
            return network_of(peer)
        entries = (entry for field in reversed(forwarded) for entry in reversed(field.split(",")))
        for entry in islice(entries, _MOST_HOPS):
            before = _parsed(_without_port(entry.strip()))
            if before is None:  # a word such as "unknown": the last that is known has to answer for it
                break
            hop = before
            if not self._trusts(hop):
                break
        return network_of(str(hop))

    def _trusts(self, hop: IPv4Address | IPv6Address | None) -> bool:
        return hop is not None and any(hop in network for network in self._of_version(hop.version))

    def _of_version(self, version: int) -> Iterable[Network]:
        return (network for network in self._trusted if network.version == version)

    def _tell(self, peer: str) -> None:
        if not self._has_told:
            self._has_told = True
            _log.warning(
                "%s sent a forwarding header and is no trusted proxy, so the header is ignored; if it is your proxy,"
                " all its clients count as one: name it in WATCHWORD_TRUSTED_PROXIES",
                peer or "a peer without an address",
            )


def _unmapped(network: Network) -> Network:
    """As ``_parsed`` reads the addresses in it, which would else never match."""
    mapped = network.network_address.ipv4_mapped if isinstance(network, IPv6Network) else None
    return network if mapped is None else IPv4Network((int(mapped), network.prefixlen - 96))


def _parsed(address: str | None) -> IPv4Address | IPv6Address | None:
    try:
        parsed = ip_address(address or "")
    except ValueError:
        return None
    return parsed.ipv4_mapped or parsed if isinstance(parsed, IPv6Address) else parsed


def _without_port(entry: str) -> str:
    if entry.startswith("["):
        return entry[1:].partition("]")[0]
    return entry.partition(":")[0] if entry.count(":") == 1 else entry
