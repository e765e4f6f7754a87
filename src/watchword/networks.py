"""Networks: what part of an address tells one subscriber from another, in one spelling."""

from ipaddress import IPv6Address, IPv6Network, ip_address
from typing import Final

_SUBSCRIBER_BITS: Final = 64
"""Of an IPv6 address: behind them a subscriber chooses freely (RFC 6177 §2)."""


def network_of(address: str | None) -> str:
    """The address itself for IPv4, also inside IPv6; the /64 network for IPv6; "" for what is no address."""
    try:
        parsed = ip_address(address or "")
    except ValueError:  # a Unix socket has none
        return ""
    if not isinstance(parsed, IPv6Address):
        return str(parsed)
    if parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return str(IPv6Network((int(parsed), _SUBSCRIBER_BITS), strict=False))
