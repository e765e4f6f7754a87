"""What a login service elsewhere may say: which addresses, metadata and feed, and for how long keys are kept."""

import json
from typing import Any

import pytest

from watchword.guard.issuer import Issuer, Trouble, lifetime_of, read_news
from watchword.model import Revocation

ENTRY: dict[str, Any] = {"seq": 7, "sid": "session", "revoked_at": 1_800_000_000, "expires_at": 1_800_000_900}
NEWS: dict[str, Any] = {"seq": 7, "more": False, "now": 1_800_000_001, "keys": "fingerprint", "revocations": [ENTRY]}


@pytest.mark.parametrize(
    ("url", "metadata", "feed"),
    [
        (
            "https://l.example",
            "https://l.example/.well-known/oauth-authorization-server",
            "https://l.example/revocations",
        ),
        (
            "https://l.example/",
            "https://l.example/.well-known/oauth-authorization-server",
            "https://l.example/revocations",
        ),
        (
            "https://l.example:8443/a/b/",
            "https://l.example:8443/.well-known/oauth-authorization-server/a/b",
            "https://l.example:8443/a/b/revocations",
        ),
        ("http://[::1]:80", "http://[::1]:80/.well-known/oauth-authorization-server", "http://[::1]:80/revocations"),
    ],
)
def test_where_its_documents_are(url: str, metadata: str, feed: str) -> None:
    """Below the origin, and the path in its place (RFC 8414 §3.1); the issuer itself stays as it was written."""
    issuer = Issuer.at(url)
    assert (issuer.url, issuer.metadata_url, issuer.revocations_url) == (url, metadata, feed)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.9.9.9:8000", "localhost:8000", "[::1]:8000"])
def test_http_is_for_this_machine(host: str) -> None:
    """Loopback addresses, and one name."""
    assert Issuer.at(f"http://{host}").origin == f"http://{host}"


@pytest.mark.parametrize(
    "url",
    [
        "http://login.example.com",
        "http://127.evil.example",
        "http://127.0.0.1.evil.example",
        "http://10.0.0.1",
        "http://[2001:db8::1]",
        "http://localhost.evil.example",
        "http://login.localhost",  # a resolver may ask DNS for it
        "ftp://127.0.0.1",
        "login.example.com",
        "//login.example.com",
        "https://",
        "https://user:word@login.example.com",
        "https://login.example.com?x=1",
        "https://login.example.com/#x",
        "https://login.example.com\\@evil.example",
        "https://login.example.com/ x",
        "https://login.example.com\n",
        "https://lögin.example.com",
        "https://login.example.com:99999",
        "https://[::1",
        "",
    ],
)
def test_what_is_no_address_of_a_login_service(url: str) -> None:
    """Refused when the guard is made, without showing what may be a password."""
    with pytest.raises(ValueError, match="the issuer must be") as refusal:
        Issuer.at(url)
    assert "word@" not in str(refusal.value)


@pytest.mark.parametrize(
    "jwks_uri",
    [
        "https://evil.example/jwks",
        "http://l.example/jwks",
        "https://l.example:443/jwks",
        "https://L.example/jwks",
        "https://l.example.evil.example/jwks",
        "https://l.example@evil.example/jwks",
        "https://l.example",
        "https://l.example/jwks?x",
        "https://l.example/jwks#x",
        "https://l.example/\\..\\x",
        "https://l.example/a b",
        "https://l.example/\r\nX: y",
        "https://l.example/a/../jwks",
        "/jwks",
        7,
        None,
    ],
)
def test_keys_are_at_the_issuers_own_origin(jwks_uri: object) -> None:
    """Character for character, so that no two readers of a URL see two hosts."""
    issuer = Issuer.at("https://l.example")
    with pytest.raises(Trouble, match="own origin"):
        issuer.read_jwks_uri(json.dumps({"issuer": issuer.url, "jwks_uri": jwks_uri}).encode())
    good = {"issuer": issuer.url, "jwks_uri": "https://l.example/any/where.json"}
    assert issuer.read_jwks_uri(json.dumps(good).encode()) == "https://l.example/any/where.json"


def test_the_feed_is_read() -> None:
    """Members that we do not know are passed over."""
    news = read_news(json.dumps({**NEWS, "unknown": {}, "revocations": [{**ENTRY, "unknown": 1}]}).encode())
    ended = Revocation(seq=7, session_id="session", revoked_at=1_800_000_000, expires_at=1_800_000_900)
    assert (news.seq, news.more, news.keys, news.revocations) == (7, False, "fingerprint", (ended,))


WRONG: list[object] = [None, "7", 7.0, True, -1, [], {}]


@pytest.mark.parametrize(
    ("name", "value"),
    [(name, value) for name in NEWS for value in WRONG if type(value) is not type(NEWS[name]) or value == -1],
)
def test_a_feed_of_other_types_is_refused(name: str, value: object) -> None:
    """Each member has one type; one that is missing has none."""
    with pytest.raises(Trouble):
        read_news(json.dumps({**NEWS, name: value}).encode())
    with pytest.raises(Trouble):
        read_news(json.dumps({other: NEWS[other] for other in NEWS if other != name}).encode())


@pytest.mark.parametrize("value", [None, "", 7.0, True, -1, 10**18, [], {}, "x" * 257])
@pytest.mark.parametrize("name", ["seq", "sid", "revoked_at", "expires_at"])
def test_an_entry_of_other_types_is_refused(name: str, value: object) -> None:
    """One bad entry spoils the answer: to pass it over would be to miss an end."""
    with pytest.raises(Trouble, match="the feed has"):
        read_news(json.dumps({**NEWS, "revocations": [ENTRY, {**ENTRY, name: value}]}).encode())


@pytest.mark.parametrize("entry", [None, "7", 7, []])
def test_an_entry_that_is_none_is_refused(entry: object) -> None:
    """Nor is something else passed over."""
    with pytest.raises(Trouble, match="an entry that is none"):
        read_news(json.dumps({**NEWS, "revocations": [ENTRY, entry]}).encode())


@pytest.mark.parametrize("document", [b"", b"[]", b"{", b'{"seq": NaN}', b"\xff", b'{"seq": 1, "seq": 2}'])
def test_what_is_no_feed_is_refused(document: bytes) -> None:
    """With words of ours."""
    with pytest.raises(Trouble, match="the feed"):
        read_news(document)


@pytest.mark.parametrize(
    ("cache_control", "seconds"),
    [
        ("public, max-age=600", 600),
        ("max-age=120", 120),
        ("MAX-AGE=120, public", 120),
        ("max-age=1", 60),
        ("max-age=0", 60),
        ("max-age=86400", 600),
        ("max-age=999999999999", 600),
        ("s-maxage=120", 600),
        ("no-store", 600),
        ("max-age=-1", 600),
        ("", 600),
    ],
)
def test_for_how_long_keys_are_kept(cache_control: str, seconds: int) -> None:
    """As long as ``max-age`` says, from one minute to ten."""
    assert lifetime_of(cache_control) == seconds
