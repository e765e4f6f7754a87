"""Whatever comes in, each reader gives what it promises or its one refusal; those beside whose tests this is not said.

Inputs are nearly right, or anything at all. What was taken must also be fit for what it is taken for.
"""

from base64 import b64encode
from contextlib import suppress
from dataclasses import replace
from typing import Final

import httpx
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from quart import Quart

from tests.builders import SECRET, Stopwatch, a_session, a_user, an_asker
from tests.endpoints.services import FORM, basic
from tests.fuzz.nearly import documents, mangled, near_objects, near_texts, seldom
from tests.races.rounds import IS_FULL
from watchword import client_secrets, usernames
from watchword.client.wire import read_token_answer, refuses, retry_after, service_url
from watchword.denials import Denials
from watchword.endpoints.bodies import check_label, read_struct
from watchword.endpoints.login import Credentials
from watchword.endpoints.oauth import read_token_form
from watchword.endpoints.password import Passwords
from watchword.errors import (
    InvalidClient,
    InvalidRefreshToken,
    InvalidRequest,
    InvalidToken,
    InvalidUsername,
    MissingToken,
    SettingRefused,
    UnsupportedMediaType,
)
from watchword.flows import Tools
from watchword.flows.imports import import_users
from watchword.guard.checkpoint import bearer_text
from watchword.guard.issuer import MAX_LIFETIME, MIN_LIFETIME, Issuer, Trouble, lifetime_of, read_news
from watchword.keys import KeyRefused, KeyRing, SigningKey, seal, unseal
from watchword.networks import network_of
from watchword.passwords import PasswordRules
from watchword.refresh_tokens import RefreshKeys, RefreshToken
from watchword.settings import Settings, unknown_names

NOW: Final = 1_800_000_000
ISSUER: Final = "https://login.example.com:8443/auth"
CANARY: Final = "kV9w-Qz3_Xr7LmT1-bN5y_Hc8JpD2fGs"
REFRESH_TOKEN: Final = RefreshKeys(SECRET.encode()).mint(a_session(a_user()))
CLIENT_SECRET: Final = client_secrets.make("T0c3kFv2Qm6nH1yR8sXbLw")
APP: Final = Quart("tests")
SIGNING_KEY: Final = SigningKey.generate("ES256")
SEALED: Final = seal(SIGNING_KEY, secret=SECRET.encode(), generation=1, now=NOW)

HEADERS: Final = st.text(st.characters(max_codepoint=255, exclude_characters="\r\n\x00"), max_size=40)
"""What a header field may hold by the time that it reaches us."""


def near_headers(text: str, *more: str) -> st.SearchStrategy[str]:
    """What is nearly this field."""
    near = near_texts(text, *more).map(lambda some: some.encode("latin-1", "replace").decode("latin-1"))
    return seldom(near.filter(lambda some: not {"\r", "\n", "\x00"} & set(some)), HEADERS)


def in_base64(text: str) -> str:
    """HTTP Basic with whatever inside."""
    return f"Basic {b64encode(text.encode('utf-8', 'surrogatepass')).decode()}"


any_input = settings(max_examples=20_000 if IS_FULL else 50, deadline=None, suppress_health_check=list(HealthCheck))


@any_input
@given(text=near_texts(REFRESH_TOKEN, "0", "-1", "1e5", "٣", "wwr_"))
def test_a_refresh_token(text: str) -> None:
    """A text has the one spelling of a token, or is InvalidRefreshToken (row 61)."""
    with suppress(InvalidRefreshToken):
        token = RefreshToken.parse(text)
        assert text == f"wwr_{token.session_id}.{token.counter}.{token.mac}"


@any_input
@given(text=near_texts(CLIENT_SECRET, "wws_"))
def test_a_clients_secret(text: str) -> None:
    """A text names a client, or nobody."""
    client_id = client_secrets.client_id_of(text)
    assert client_id is None or text.startswith(f"wws_{client_id}.")


@any_input
@given(data=near_objects(["username", "password"], st.sampled_from(["alice", "secret"])))
def test_a_body(data: bytes) -> None:
    """A body gives two texts that are not empty and have no NUL, or is InvalidRequest (row 37)."""
    with suppress(InvalidRequest):
        body = read_struct(data, Credentials)
        assert all(isinstance(each, str) and each and "\x00" not in each for each in (body.username, body.password))


@any_input
@given(data=documents({"current_password": "a" * 20, "new_password": "b" * 20}))
def test_another_body(data: bytes) -> None:
    """The same for a body with other members."""
    with suppress(InvalidRequest):
        body = read_struct(data, Passwords)
        assert all(isinstance(each, str) and each for each in (body.current_password, body.new_password))


@any_input
@given(labels=st.lists(near_headers("application/json; charset=utf-8", "charset*=utf-8''utf-8", 'charset="', ";")))
@example(labels=['application/json; charset*=x"'])
def test_the_label_of_a_body(labels: list[str]) -> None:
    """A body is JSON, or UnsupportedMediaType."""
    with suppress(UnsupportedMediaType):
        check_label(labels, is_compressed=False)
        (label,) = labels
        assert label.lower().lstrip().startswith("application/json")


@any_input
@given(
    data=near_texts(
        f"token={CLIENT_SECRET}&client_id=a&client_secret=%C3%A9&token_type_hint=+", "token=%", "=", "%00=%ff"
    )
    .map(lambda text: text.encode(errors="replace"))
    .flatmap(mangled),
    authorization=st.none()
    | st.just(basic("reports", CLIENT_SECRET)["Authorization"])
    | HEADERS.map("Basic {}".format)
    | near_texts(f"reports:{CLIENT_SECRET}", "%", "%zz", "%ff", "%00", "+", ":", "é", "\ud800").map(in_base64),
    label=st.just(FORM["Content-Type"]) | near_headers("application/x-www-form-urlencoded; charset=utf-8"),
)
async def test_a_form(data: bytes, authorization: str | None, label: str) -> None:
    """A form and what proves the client give texts, or one of the two refusals."""
    headers = {"Content-Type": label} | ({} if authorization is None else {"Authorization": authorization})
    context = APP.test_request_context("/oauth/introspect", method="POST", headers=headers, data=data)
    async with context:
        with suppress(InvalidRequest, InvalidClient):
            credentials, token = await read_token_form()
            assert token
            assert isinstance(credentials.name, str)


@any_input
@given(authorization=st.lists(near_headers("Bearer eyJ.eyJ.x", "bearer", "Basic", "\t", ","), max_size=3))
def test_an_authorization(authorization: list[str]) -> None:
    """Headers hold a bearer's token, or none, or several."""
    with suppress(MissingToken, InvalidToken):
        token = bearer_text(authorization)
        assert authorization[0].endswith(token)


@any_input
@given(text=near_texts("Ælice.Smith", "．", "\u200d", "ß", "İ", "\ud800", "ﷺ"))
def test_a_user_name(text: str) -> None:
    """A name has a canonical form, which is its own, or is InvalidUsername."""
    with suppress(InvalidUsername):
        name = usernames.canonical(text)
        assert usernames.canonical(name) == name


@any_input
@given(text=near_texts("2001:db8::192.0.2.1", "::ffff", "%eth0", "192.0.2.256", "/64") | st.ip_addresses().map(str))
def test_a_network(text: str) -> None:
    """Any text is a network, in its one spelling, or none."""
    network = network_of(text)
    assert not network or network_of(network.removesuffix("/64")) == network


@any_input
@given(data=documents(KeyRing([SIGNING_KEY]).jwks()) | near_objects(["keys"], st.just("")))
def test_a_key_set(data: bytes) -> None:
    """A document is a ring whose keys it publishes again, or KeyRefused."""
    with suppress(KeyRefused):
        ring = KeyRing.from_jwks(data)
        assert len(ring) == len(ring.jwks()["keys"])


@any_input
@given(box=mangled(SEALED.sealed) | st.binary(max_size=40), generation=st.integers(1, 3))
def test_a_sealed_key(box: bytes, generation: int) -> None:
    """What is stored is the key that was sealed, or KeyRefused."""
    with suppress(KeyRefused):
        opened = unseal(replace(SEALED, sealed=box, generation=generation), secrets_to_try=[SECRET.encode()])
        assert opened.kid == SIGNING_KEY.kid


@any_input
@given(
    text=near_texts(
        ISSUER, "[::1]", "127.0.0.1", "http:", "@", "%2f", "\\", "#", "?", "..", "：", "ß", " ", "\n", "99999"
    )
)
@example(text="https://[::1")
@example(text="https://1.2.3.4.5:0443/")
def test_an_issuer(text: str) -> None:
    """An address is an issuer, and then httpx and we see the same origin in it, or ValueError."""
    try:
        issuer = Issuer.at(text)
    except ValueError:
        return
    for url in (issuer.metadata_url, issuer.revocations_url):
        assert url.startswith(issuer.origin + "/")
        with suppress(httpx.InvalidURL):  # httpx refuses some more, such as a label of 64 letters, and asks nobody
            parsed = httpx.URL(url)
            assert f"{parsed.scheme}://{parsed.host}" in text.lower().replace("[", "").replace("]", "")


@any_input
@given(document=documents({"issuer": ISSUER, "jwks_uri": "https://login.example.com:8443/auth/.well-known/jwks.json"}))
def test_metadata(document: bytes) -> None:
    """A document names an address at the issuer's origin, or is Trouble."""
    with suppress(Trouble):
        assert Issuer.at(ISSUER).read_jwks_uri(document).startswith("https://login.example.com:8443/")


@any_input
@given(
    document=documents(
        {
            "seq": 7,
            "more": False,
            "now": NOW,
            "keys": "fingerprint",
            "revocations": [{"seq": 7, "sid": "session", "revoked_at": NOW, "expires_at": NOW + 900}],
        }
    ),
    entry=documents({"seq": 7, "sid": "session", "revoked_at": NOW, "expires_at": NOW + 900}),
)
def test_the_feed(document: bytes, entry: bytes) -> None:
    """A document is news that can be learnt, or Trouble."""
    frame = b'{"seq":7,"more":false,"now":1,"keys":"k","revocations":[%b]}' % entry
    for data in (document, frame):
        denials = Denials(monotonic=Stopwatch())
        with suppress(Trouble):
            news = read_news(data)
            denials.learn(news.revocations, now=NOW)
            denials.learnt_all(seq=news.seq, asked_at=denials.monotonic(), now=NOW)
            for revocation in news.revocations:
                with pytest.raises(InvalidToken):
                    denials.check(revocation.session_id)


@any_input
@given(
    text=near_texts('public, max-age=600, s-maxage="60"', "max-age=", "max-age=-1", "max-age=9999999999", "٣") | HEADERS
)
def test_how_long_keys_are_kept(text: str) -> None:
    """Whatever is said, within the bounds."""
    assert MIN_LIFETIME <= lifetime_of(text) <= MAX_LIFETIME


@any_input
@given(
    content=documents({"token": "a.b.c", "token_type": "Bearer", "expires_in": 900, "refresh_token": REFRESH_TOKEN}),
    wait=near_headers("120 Wed, 21 Oct 2026 07:28:00 GMT", "-1", "1e3", "9" * 30),
    challenge=near_headers('Bearer realm="x", error="invalid_token"', "Bearer", "error=", '"'),
)
def test_what_a_client_is_answered(content: bytes, wait: str, challenge: str) -> None:
    """An answer holds a token that can be sent, or is ValueError; any headers can be read."""
    headers = [(b"Retry-After", wait.encode("latin-1")), (b"WWW-Authenticate", challenge.encode("latin-1"))]
    request = httpx.Request("GET", "http://127.0.0.1/", headers={"Authorization": "Bearer a"})
    with suppress(ValueError):
        answer = read_token_answer(httpx.Response(200, headers=headers, content=content, request=request))
        assert answer.expires_in > 0
        httpx.Request("GET", "http://127.0.0.1/", headers={"Authorization": f"Bearer {answer.token}"})
    refused = httpx.Response(401, headers=headers, request=request)
    assert (retry_after(refused) or 0) >= 0
    assert refuses(refused, "Bearer a") in {True, False}


@any_input
@given(text=near_texts(ISSUER, "[::1]", "user:pass@", "%00", "：", "ß", "xn--", " ", "\x00", "\n", "\ud800", "99999"))
@example(text="http://\ud800")
@example(text="http://xn--a")
def test_the_address_of_a_login_service(text: str) -> None:
    """An address is one that requests can go to, or ValueError."""
    with suppress(ValueError):
        assert service_url(text).host


@any_input
@given(
    values=st.dictionaries(
        st.sampled_from([name.upper() for name in Settings.__dataclass_fields__ if name != "instance"]),
        st.sampled_from(
            ["on", "off", "0", "60", "1.5", "ES256", "RS256", "127.0.0.1:9464", "[::1]:1", "", "sqlite:///", CANARY]
        )
        | near_texts("postgresql://user:password@host:5432/database?x=1", "[", "]", "%", "#")
        | near_texts(f"{CANARY},{CANARY}", " ")
        | st.text(st.characters(exclude_characters="\x00"), max_size=40),
        max_size=4,
    ),
    hidden=st.text(st.characters(max_codepoint=126, exclude_characters="\x00"), min_size=12, max_size=31),
)
def test_settings(values: dict[str, str], hidden: str) -> None:
    """An environment is settings, or SettingRefused in one line that has nothing of the secret (row 98)."""
    environ = {"WATCHWORD_SECRET_KEY": CANARY} | {f"WATCHWORD_{name}": value for name, value in values.items()}
    with suppress(SettingRefused):
        assert Settings.read(environ).secret_key
    with pytest.raises(SettingRefused) as refusal:
        Settings.read({"WATCHWORD_SECRET_KEY": hidden})
    assert hidden not in str(refusal.value)
    assert "\n" not in str(refusal.value)


@any_input
@given(names=st.lists(near_texts("WATCHWORD_SECRET_KEY_FALLBACKS", "FILE", "\udcff"), max_size=4))
def test_names_of_settings(names: list[str]) -> None:
    """Any names of variables can be looked at."""
    assert set(unknown_names(dict.fromkeys(names, ""))) <= set(names)


@any_input
@given(
    lines=st.lists(
        documents({"username": "bob", "password": "x" * 20, "scope": "a b", "disabled": False})
        | st.binary(max_size=20),
        max_size=4,
    )
)
async def test_lines_of_users(tools: Tools, lines: list[bytes]) -> None:
    """Each line that is not blank is judged, and a database of either kind takes those that are taken."""
    importing = import_users(
        tools.store,
        tools.hasher,
        lines,
        rules=PasswordRules(min_length=8),
        now=NOW,
        dry_run=True,
        asker=an_asker(tools),
    )
    outcomes = [outcome async for outcome in importing]
    assert sorted(outcome.line for outcome in outcomes) == [n for n, line in enumerate(lines, start=1) if line.strip()]
