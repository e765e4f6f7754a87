"""Which hosts are this very machine: the guard and the client speak http to no other."""

from ipaddress import ip_address


def is_loopback(host: str) -> bool:
    """Whether a URL's host is this machine, so that nobody is on the way who could read or change what is said."""
    # Names below it too should never leave the machine (RFC 6761 §6.3), but plain glibc asks DNS for them.
    if host == "localhost":
        return True
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False
