"""Networks: one spelling for what is one subscriber's, and nobody's word for it but a trusted proxy's."""

import logging

import pytest

from watchword.networks import TrustedProxies, network_of, networks


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("64:ff9b::192.0.2.7", "192.0.2.7"),
        ("64:ff9b:1::192.0.2.7", "64:ff9b:1::/64"),
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
    """IPv4 as it is, also inside IPv6; of IPv6 the part that no host chooses; else nothing."""
    assert network_of(address) == network


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("::ffff:10.0.0.0/104", ["10.0.0.0/8"]),
        ("::ffff:10.0.0.1", ["10.0.0.1/32"]),
        ("::ffff:0:0/96", ["0.0.0.0/0"]),
        ("10.0.0.0/24, 2001:db8::/32 ::/0", ["10.0.0.0/24", "2001:db8::/32", "::/0"]),
    ],
)
def test_a_network_is_spelt_as_the_addresses_in_it(text: str, read: list[str]) -> None:
    """IPv4 inside IPv6 is IPv4, as the peers from there are: a proxy that is named like this is trusted (row 87)."""
    assert [str(each) for each in networks(text)] == read


def test_a_proxy_named_by_ipv4_inside_ipv6_is_trusted() -> None:
    """However its own address arrives."""
    proxies = TrustedProxies(networks("::ffff:10.0.0.0/104"))
    for peer in ("10.0.0.1", "::ffff:10.0.0.1"):
        assert proxies.network(peer, forwarded=["203.0.113.9"], is_claimed=True) == "203.0.113.9"


OURS = TrustedProxies(networks("10.0.0.0/24, 2001:db8:ffff::/48"))


@pytest.mark.parametrize(
    ("peer", "forwarded", "network"),
    [
        ("10.0.0.1", ["203.0.113.9"], "203.0.113.9"),
        ("10.0.0.1", ["203.0.113.9, 10.0.0.2"], "203.0.113.9"),
        ("10.0.0.1", ["203.0.113.9, 10.0.0.3", "10.0.0.2"], "203.0.113.9"),
        ("10.0.0.1", ["192.0.2.66, 203.0.113.9"], "203.0.113.9"),
        ("10.0.0.1", ["192.0.2.66, 10.0.0.7, 203.0.113.9, 10.0.0.2"], "203.0.113.9"),
        ("10.0.0.1", ["10.0.0.7, 203.0.113.9"], "203.0.113.9"),
        ("10.0.0.1", [" 203.0.113.9:4711 "], "203.0.113.9"),
        ("10.0.0.1", ["2001:db8::7"], "2001:db8::/64"),
        ("10.0.0.1", ["[2001:db8::7]:443"], "2001:db8::/64"),
        ("::ffff:10.0.0.1", ["::ffff:203.0.113.9"], "203.0.113.9"),
        ("10.0.0.1", ["64:ff9b::203.0.113.9"], "203.0.113.9"),
        ("64:ff9b::10.0.0.1", ["203.0.113.9"], "10.0.0.1"),
        ("2001:db8:ffff::1", ["203.0.113.9"], "203.0.113.9"),
        ("10.0.0.1", [], "10.0.0.1"),
        ("10.0.0.1", ["10.0.0.2, 10.0.0.3"], "10.0.0.2"),
        ("10.0.0.1", ["203.0.113.9" + 15 * ", 10.0.0.2"], "203.0.113.9"),
        ("10.0.0.1", ["203.0.113.9" + 16 * ", 10.0.0.2"], "10.0.0.2"),
        ("10.0.0.1", ["203.0.113.9, unknown"], "10.0.0.1"),
        ("10.0.0.1", ["203.0.113.9, unknown, 10.0.0.2"], "10.0.0.2"),
        ("10.0.0.1", ["203.0.113.9, "], "10.0.0.1"),
        ("10.0.0.1", [""], "10.0.0.1"),
        ("192.0.2.1", ["203.0.113.9"], "192.0.2.1"),
        ("192.0.2.1", ["203.0.113.9, 10.0.0.1"], "192.0.2.1"),
        ("10.0.1.1", ["203.0.113.9"], "10.0.1.1"),
        ("2001:db8::1", ["203.0.113.9"], "2001:db8::/64"),
        (None, ["203.0.113.9"], ""),
    ],
)
def test_a_trusted_proxys_word_counts(peer: str | None, forwarded: list[str], network: str) -> None:
    """From the right, past trusted hops alone, and few; from anybody else the header says nothing (row 87)."""
    assert OURS.network(peer, forwarded=forwarded, is_claimed=True) == network


def test_an_untrusted_header_is_told_once(caplog: pytest.LogCaptureFixture) -> None:
    """A proxy that was forgotten in the settings shows in the log, and a flood of such headers does not fill it."""
    proxies = TrustedProxies()
    with caplog.at_level(logging.WARNING):
        proxies.network("192.0.2.1", forwarded=[], is_claimed=False)
        assert caplog.records == []
        for _ in range(3):
            proxies.network("192.0.2.1", forwarded=["198.51.100.66"], is_claimed=True)
    (record,) = caplog.records
    assert "192.0.2.1 sent a forwarding header" in record.getMessage()
    assert "WATCHWORD_TRUSTED_PROXIES" in record.getMessage()
    assert "198.51" not in record.getMessage()
