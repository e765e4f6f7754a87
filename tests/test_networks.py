"""Networks: one spelling for what is one subscriber's."""

import pytest

from watchword.networks import network_of


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:0DB8:0001:0002::1", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("::1", "::/64"),
        (None, ""),
        ("", ""),
        ("<local>", ""),
        ("192.0.2.7:443", ""),
        ("192.0.2.07", ""),
    ],
)
def test_the_network_of_an_address(address: str | None, network: str) -> None:
    """IPv4 as it is, also inside IPv6; of IPv6 the part that a subscriber does not choose; else nothing."""
    assert network_of(address) == network
