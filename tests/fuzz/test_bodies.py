"""JSON made by a grammar, nearly right, for the two routes that anyone may send JSON to, at a real server (row 37)."""

import json
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from http.client import HTTPConnection
from typing import Any, Final

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.builders import PASSWORD
from tests.endpoints.description import Described
from tests.fuzz.nearly import good_objects, near_objects
from tests.postgresql import fresh_database
from tests.races.clients import add_users
from tests.races.rounds import IS_FULL
from tests.servers import Server, watchword_server

EXAMPLES: Final = 25_000 if IS_FULL else 100
REFUSED: Final = {400, 401, 413}
SECONDS: Final = 10.0

LOGIN: Final = json.dumps({"username": "bob", "password": PASSWORD}).encode()
"""Of somebody at whose password nobody guesses, or the throttle would stop the login."""
TOKEN, HEAD, TAIL = "\ue000", "\ue001", "\ue002"
"""What stands for a token, and for its parts around one character, while it is not known yet."""

bounded = settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))


@dataclass(frozen=True, slots=True)
class Api:
    """A server's interface, as it is and as it says that it is."""

    address: tuple[str, int]
    described: Described

    def post(self, path: str, body: bytes) -> tuple[int, Any]:
        """Send a body; status and members of an answer that is as the description says."""
        # A kept connection could be closed while Hypothesis thinks.
        with closing(HTTPConnection(*self.address, timeout=SECONDS)) as connection:
            connection.request("POST", path, body, {"Content-Type": "application/json"})
            response = connection.getresponse()
            members = json.load(response)
        content = self.described.operation(f"POST {path}")["responses"][str(response.status)]["content"]
        self.described.check(content["application/json"]["schema"], members)
        assert response.headers["Content-Type"] == "application/json"
        return response.status, members


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def fuzzed(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Two workers on a database of either kind, where alice and bob may log in."""
    instance = tmp_path_factory.mktemp("fuzzed") / "instance"
    if request.param == "sqlite":
        with watchword_server(instance, workers=2, HASH_MAX_WAIT="60") as server:
            add_users(server, "alice", "bob")
            yield server
    else:
        with (
            fresh_database(request.getfixturevalue("postgresql_server")) as url,
            watchword_server(instance, workers=2, HASH_MAX_WAIT="60", DATABASE_URL=url) as server,
        ):
            add_users(server, "alice", "bob")
            yield server


@pytest.fixture(scope="module")
def api(fuzzed: Server) -> Api:
    """Where to send what."""
    with urllib.request.urlopen(f"{fuzzed.url}/openapi.json", timeout=SECONDS) as response:
        api = Api(fuzzed.address, Described(response.read()))
    api.post("/login", LOGIN)  # from now on the throttle knows where bob is from
    return api


@pytest.fixture(autouse=True)
def nothing_went_wrong(fuzzed: Server) -> Iterator[None]:
    """Whatever was sent, the log tells of no error."""
    before = len(fuzzed.log.read_bytes())
    yield
    assert '"level": "error"' not in fuzzed.logged(since=before)
    assert "Traceback" not in fuzzed.logged(since=before)


@bounded
@given(body=good_objects({"username": "alice", "password": PASSWORD}))
def test_a_login_is_a_login_however_it_is_spelt(api: Api, body: bytes) -> None:
    """Escapes, blanks, other members and any order make no difference."""
    assert api.post("/login", body)[0] == 200


@bounded
@given(
    body=near_objects(
        ["username", "password"], st.sampled_from(["alice", PASSWORD, "ALICE", "Ａlice", "alice\u200b", "ß"])
    )
)
def test_what_is_nearly_a_login_is_one_or_refused(api: Api, body: bytes) -> None:
    """The answer is described, and who is asked for a password has sent one name and one password.

    Sooner or later so many have been wrong that the throttle closes.
    """
    status, _ = api.post("/login", body)
    assert status in {200, 429, *REFUSED}
    if status in {200, 401}:
        members = json.loads(body)
        assert all(isinstance(members[name], str) and members[name] for name in ("username", "password"))
    if status == 200:
        assert members["password"] == PASSWORD


@bounded
@given(
    start=st.integers(0, 60),
    body=near_objects(
        ["refresh_token"],
        st.just(TOKEN) | st.sampled_from(["", "A", ".", "=", "\u0661", "\x00"]).map(lambda some: f"{HEAD}{some}{TAIL}"),
    ),
    good=good_objects({"refresh_token": TOKEN}),
)
def test_what_is_nearly_a_refresh_is_one_or_refused(api: Api, start: int, body: bytes, good: bytes) -> None:
    """The answer is described; what is not our token is refused, and does it no harm."""
    token: str = api.post("/login", LOGIN)[1]["refresh_token"]
    parts = {TOKEN: token, HEAD: token[:start], TAIL: token[start + 1 :]}
    body, good = _filled(body, parts), _filled(good, parts)
    status, _ = api.post("/refresh", body)
    assert status in {200, *REFUSED}
    if status == 200:
        assert json.loads(body)["refresh_token"] == token
    else:
        assert api.post("/refresh", good)[0] == 200


def _filled(body: bytes, parts: Mapping[str, str]) -> bytes:
    """A body in which the parts of a token stand where their places were kept."""
    for place, part in parts.items():
        for spelt in (place, f"\\u{ord(place):04x}"):
            body = body.replace(spelt.encode(), part.encode())
    return body
