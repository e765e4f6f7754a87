"""POST /login: what a good login gives, and that a bad one tells nothing but that it is bad. On both databases."""

import asyncio
import json
import logging
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import jwt
import pytest
from quart import Response
from quart.typing import TestClientProtocol as Client  # under its own name pytest would take it for tests

from tests.builders import PASSWORD, SECRET, FakeClock, add_user, an_asker, cheap_settings, insert_user
from tests.endpoints.contract import BARE, headers_of, opened, refused
from watchword import create_app
from watchword.clock import system_clock
from watchword.flows import Tools, admin
from watchword.identifiers import new_id
from watchword.model import AccessToken, User
from watchword.passwords import EncodedHash, Hasher, Parameters, backends
from watchword.settings import Settings
from watchword.store import users
from watchword.store.connection import Statement
from watchword.telemetry import JsonFormatter
from watchword.tokens import verify

SESSIONS = Statement("SELECT id, user_id FROM sessions")

UNREADABLE = {
    "empty": "",
    "locked": "!",
    "bcrypt, cut": "$2b$12$KIXQKuPSWVDKRvQ6dvHDaOEcp0d1u8QBS9l2eFhMGoRVfE1OjnZo",
    "bcrypt, absurd rounds": "$2b$31$KIXQKuPSWVDKRvQ6dvHDaOEcp0d1u8QBS9l2eFhMGoRVfE1OjnZoy",
    "scrypt, absurd memory": "scrypt:1073741824:8:1$salt$" + "c" * 128,
    "cut": "$argon2id$v=19$m=8,t=1,p=1$c2FsdHNhbHRzYWx0c2FsdA",
    "absurd memory": "$argon2id$v=19$m=4294967295,t=1,p=1$c2FsdHNhbHRzYWx0c2FsdA$" + "c" * 43,
    "absurd passes": "$argon2id$v=19$m=8,t=4294967295,p=1$c2FsdHNhbHRzYWx0c2FsdA$" + "c" * 43,
    "absurd lanes": "$argon2id$v=19$m=8192,t=1,p=999$c2FsdHNhbHRzYWx0c2FsdA$" + "c" * 43,
    "not base64": "$argon2id$v=19$m=8,t=1,p=1$c2FsdHNhbHRzYWx0c2FsdA$" + "c" * 41,
    "text": "canary",
}

SAME_PASSWORDS = {
    "NFC, then NFD": ("caf\u00e9 au lait", "cafe\u0301 au lait"),
    "NFD, then NFC": ("cafe\u0301 au lait", "caf\u00e9 au lait"),
    "Hangul": ("\ud55c\uad6d\uc5b4 mit Reis!", "\u1112\u1161\u11ab\u1100\u116e\u11a8\u110b\u1165 mit Reis!"),
    "marks in another order": ("a\u0301\u0323 few words", "\u1ea1\u0301 few words"),
}

OTHER_PASSWORDS = {
    "a space behind": (PASSWORD, f"{PASSWORD} "),
    "a space before": (PASSWORD, f" {PASSWORD}"),
    "a line end": (PASSWORD, f"{PASSWORD}\n"),
    "two spaces": (PASSWORD, PASSWORD.replace(" ", "  ")),
    "hard spaces": (PASSWORD, PASSWORD.replace(" ", "\u00a0")),
    "capitals": (PASSWORD, PASSWORD.upper()),
    "a ligature": ("\ufb01ne words alone", "fine words alone"),
    "a superscript": ("x\u00b2 words alone", "x2 words alone"),
    "full width": ("\uff41 few words alone", "a few words alone"),
    "a Cyrillic letter": ("\u0430 few words alone", "a few words alone"),
    "zero width": ("words\u200b all alone", "words all alone"),
}


async def log_in(client: Client, username: str, password: str = PASSWORD) -> Response:
    """Try to log in."""
    return await client.post("/login", json={"username": username, "password": password})


async def works(client: Client, username: str = "alice", password: str = PASSWORD) -> bool:
    """Whether a login is good; if it is not, it must be refused as every bad one is."""
    response = await log_in(client, username, password)
    if response.status_code == 200:
        return True
    assert await refused(response, www_authenticate=BARE) == (401, "invalid_credentials")
    return False


async def sessions_of(tools: Tools) -> list[tuple[str, str]]:
    """Session and user ids of all sessions."""
    return [(row[0], row[1]) for row in await tools.store.read(lambda connection: connection.fetch(SESSIONS))]


async def hash_of(tools: Tools, name: str = "alice") -> str | None:
    """The stored hash of a user."""
    user = await tools.store.read(lambda connection: users.find_by_name(connection, canonical_name=name))
    assert user is not None
    return user.password_hash


def a_user(name: str, password_hash: str | None, *, disabled_at: int | None = None) -> User:
    """A user exactly as given."""
    return User(
        id=new_id(),
        username=name,
        canonical_name=name,
        password_hash=password_hash,
        password_version=1,
        scope="",
        disabled_at=disabled_at,
        created_at=1,
    )


class TestGoodLogin:
    """What the right credentials give."""

    async def test_the_token_answer(self, tools: Tools, client: Client, settings: Settings) -> None:
        """The members, their types and their order are the contract's; expires_in is the token's life."""
        await add_user(tools)
        members = await opened(await log_in(client, "alice"), pragma="no-cache")
        assert {name: type(value) for name, value in members.items()} == {
            "token": str,
            "token_type": str,
            "expires_in": int,
            "refresh_token": str,
            "refresh_expires_in": int,
        }
        assert (members["token_type"], members["expires_in"]) == ("Bearer", settings.access_token_lifetime)
        assert members["refresh_expires_in"] == settings.refresh_idle_lifetime

    async def test_the_token_says_who_and_for_how_long(self, tools: Tools, client: Client, clock: FakeClock) -> None:
        """The claims name the user, the scope, the session that was opened, and the times of this login."""
        alice = await add_user(tools, "Alice", scope="a b")
        members = await opened(await log_in(client, "ALICE"), pragma="no-cache")
        token = verify(members["token"], find_key=tools.ring.find, profile=tools.profile, now=clock.now)
        ((sid, user_id),) = await sessions_of(tools)
        assert user_id == alice.id
        assert token == AccessToken(
            sub=alice.id,
            username="Alice",
            scope="a b",
            sid=sid,
            jti=token.jti,
            client_id="watchword",
            iat=clock.now,
            exp=clock.now + members["expires_in"],
            auth_time=clock.now,
        )

    async def test_each_login_has_a_session_and_a_token_of_its_own(self, tools: Tools, client: Client) -> None:
        """Twenty logins at once give twenty sessions, jti and tokens (row 66)."""
        alice = await add_user(tools)
        answers = [await r.get_json() for r in await asyncio.gather(*(log_in(client, "alice") for _ in range(20)))]
        claims = [jwt.decode(answer["token"], options={"verify_signature": False}) for answer in answers]
        assert len({claim["jti"] for claim in claims}) == 20
        assert sorted((claim["sid"], alice.id) for claim in claims) == sorted(await sessions_of(tools))

    async def test_further_members_are_passed_over(self, tools: Tools, client: Client) -> None:
        """What else the body asks for is neither stored nor in the token (row 23)."""
        await add_user(tools)
        asked = {"is_admin": True, "id": "canary", "role": "canary", "scope": "admin", "sub": "canary", "__proto__": {}}
        response = await client.post("/login", json={"username": "alice", "password": PASSWORD, **asked})
        claims = jwt.decode((await response.get_json())["token"], options={"verify_signature": False})
        assert claims["scope"] == ""
        assert "canary" not in str(claims)
        assert set(claims) & set(asked) == {"scope", "sub"}

    @pytest.mark.parametrize(
        ("registered", "written"),
        [
            ("Alice", "alice"),
            ("Alice", "ALICE"),
            ("Alice", "\uff21\uff2c\uff29\uff23\uff25"),  # full-width
            ("Zo\u00eb", "zoe\u0308"),
            ("zoe\u0308", "ZO\u00cb"),
            ("100%", "100%"),
            ("'or'1'='1", "'OR'1'='1"),
            ("a\\b{{7*7}}${x}%(x)s", "a\\b{{7*7}}${x}%(x)s"),
        ],
    )
    async def test_a_name_has_many_spellings(self, tools: Tools, client: Client, registered: str, written: str) -> None:
        """Names are compared in their canonical form, and the token shows the registered one (rows 34 and 86)."""
        await add_user(tools, registered)
        response = await log_in(client, written)
        assert response.status_code == 200
        claims = jwt.decode((await response.get_json())["token"], options={"verify_signature": False})
        assert claims["username"] == registered


class TestPasswords:
    """Every character of a password counts, and how a keyboard composed it does not."""

    @pytest.fixture
    def database_url(self, sqlite_url: str) -> str:
        """A database sees hashes alone."""
        return sqlite_url

    @pytest.mark.parametrize("kind", SAME_PASSWORDS)
    async def test_composed_or_not(self, tools: Tools, client: Client, kind: str) -> None:
        """NFC and NFD of one text are one password (row 6)."""
        stored, typed = SAME_PASSWORDS[kind]
        assert stored != typed
        await add_user(tools, password=stored)
        assert await works(client, password=typed)

    @pytest.mark.parametrize("kind", OTHER_PASSWORDS)
    async def test_nothing_else_is_the_same(self, tools: Tools, client: Client, kind: str) -> None:
        """Case, spaces, compatibility forms and look-alikes make another password, in either direction (row 7)."""
        stored, typed = OTHER_PASSWORDS[kind]
        await add_user(tools, "alice", password=stored)
        await add_user(tools, "bob", password=typed)
        assert await works(client, "alice", stored)
        assert not await works(client, "alice", typed)
        assert await works(client, "bob", typed)
        assert not await works(client, "bob", stored)

    @pytest.mark.parametrize("length", [64, 72, 73, 128, 1024])
    async def test_long_ones_count_to_the_last_character(self, tools: Tools, client: Client, length: int) -> None:
        """A long password is taken whole: wrong in the last character alone, or cut, or longer, it is wrong (row 8)."""
        password = ("correct horse " * 80)[: length - 1]
        await add_user(tools, password=f"{password}x")
        assert await works(client, password=f"{password}x")
        assert not await works(client, password=f"{password}y")
        assert not await works(client, password=password)

    async def test_too_long_is_refused_whosever_it_is(self, tools: Tools, client: Client) -> None:
        """Beyond 1,024 characters or 4,096 bytes it is 400, in the same bytes for a user and for nobody (row 2)."""
        await add_user(tools)
        for password in ("x" * 1025, "\U0001f600" * 1025):
            answers = []
            for name in ("alice", "nobody", "no name at all"):
                response = await log_in(client, name, password)
                assert await refused(response) == (400, "invalid_request")
                answers.append((await response.get_json())["error"])
            assert len(set(answers)) == 1

    async def test_a_login_never_asks_the_rules_for_new_ones(self, tools: Tools, client: Client) -> None:
        """A password that is shorter than the rules now ask still opens its account."""
        stored = await tools.hasher.hash("x")
        await insert_user(tools, a_user("alice", stored))
        assert await works(client, password="x")

    async def test_a_password_does_not_grow_old(self, tools: Tools, client: Client, clock: FakeClock) -> None:
        """After ten years it still opens its account (row 13)."""
        await add_user(tools)
        clock.advance(10 * 366 * 86_400)
        assert await works(client)


class TestBadLogin:
    """Why a login failed is told to nobody."""

    async def test_every_reason_is_the_same_answer(self, tools: Tools, client: Client) -> None:
        """Unknown, wrong, disabled, without a password, unreadable, no name: one answer but for the id (rows 3, 4)."""
        good = await tools.hasher.hash(PASSWORD)
        for user in (
            a_user("alice", good),
            a_user("disabled", good, disabled_at=1),
            a_user("passwordless", None),
            *(a_user(f"unreadable-{number}", stored) for number, stored in enumerate(UNREADABLE.values())),
        ):
            await insert_user(tools, user)
        attempts = {
            "wrong": await log_in(client, "alice", "not the password"),
            "unknown": await log_in(client, "nobody"),
            "disabled, wrong": await log_in(client, "disabled", "not the password"),
            "disabled, right": await log_in(client, "disabled"),
            "without a password": await log_in(client, "passwordless"),
            **{name: await log_in(client, f"unreadable-{n}") for n, name in enumerate(UNREADABLE)},
            "spaces": await log_in(client, "a name"),
            "zero width": await log_in(client, "ali\u200bce"),
            "a long name": await log_in(client, "a" * 2000),
            "SQL": await log_in(client, "' OR 1=1--"),
            "a jndi look-up": await log_in(client, "${jndi:ldap://127.0.0.1/a}"),
            "an emoji": await log_in(client, "\U0001f600"),
        }
        answers = {}
        for name, response in attempts.items():
            assert await refused(response, www_authenticate=BARE) == (401, "invalid_credentials"), name
            request_id = response.headers["X-Request-Id"]
            headers = [(n, v) for n, v in headers_of(response) if n != "x-request-id"]
            answers[name] = headers, (await response.get_data(as_text=True)).replace(request_id, "")
        assert len({str(answer) for answer in answers.values()}) == 1
        assert json.loads(await attempts["wrong"].get_data())["error"] == "Invalid username or password"
        assert await sessions_of(tools) == []

    async def test_enabled_again(self, tools: Tools, client: Client) -> None:
        """A disabled user is out, with the right password too, until enabled again."""
        await add_user(tools)
        await admin.disable_user(tools.store, username="alice", now=1, token_lifetime=900, asker=an_asker(tools))
        assert not await works(client)
        await admin.enable_user(tools.store, username="alice", asker=an_asker(tools))
        assert await works(client)

    @pytest.mark.parametrize("kind", UNREADABLE)
    async def test_an_unreadable_hash_is_logged_without_it(
        self, tools: Tools, client: Client, kind: str, caplog: pytest.LogCaptureFixture
    ) -> None:
        """The operator gets one error that names the user by id and holds nothing of the hash (row 19)."""
        user = await insert_user(tools, a_user("alice", UNREADABLE[kind]))
        with caplog.at_level(logging.DEBUG, logger="watchword"):
            assert not await works(client)
        (error,) = [record for record in caplog.records if record.levelno >= logging.ERROR]
        assert user.id in error.getMessage()
        for record in caplog.records:
            line = JsonFormatter().format(record)
            assert "argon2id" not in line
            assert "$2b$" not in line
            assert "canary" not in line
            assert PASSWORD not in line
        assert await hash_of(tools) == UNREADABLE[kind]


class TestWork:
    """How much a login hashes tells nothing about the user (rows 1, 2 and 18)."""

    @pytest.fixture
    def hashed(self, monkeypatch: pytest.MonkeyPatch) -> list[Parameters]:
        """What the back ends compute from now on; it is all that the stopwatch of a new service shows."""
        seen: list[Parameters] = []
        derive_with = backends.derive_with

        def counted(
            backend: backends.BackEnd, password: bytes, salt: bytes, parameters: Parameters, length: int
        ) -> bytes:
            seen.append(parameters)
            return derive_with(backend, password, salt, parameters, length)

        monkeypatch.setattr(backends, "derive_with", counted)
        monkeypatch.setattr(time, "thread_time", lambda: float(sum(parameters.work for parameters in seen)))
        return seen

    async def test_one_hash_per_attempt(self, tools: Tools, client: Client, hashed: list[Parameters]) -> None:
        """Good or bad for whatever reason, an attempt computes exactly one hash at the current parameters."""
        good = await tools.hasher.hash(PASSWORD)
        await insert_user(tools, a_user("alice", good))
        await insert_user(tools, a_user("disabled", good, disabled_at=1))
        await insert_user(tools, a_user("passwordless", None))
        names = ["alice", "disabled", "passwordless", "nobody", "a name with spaces", "a" * 2000]
        for number, stored in enumerate(UNREADABLE.values()):
            await insert_user(tools, a_user(f"unreadable-{number}", stored))
            names.append(f"unreadable-{number}")
        for name in names:
            for password in (PASSWORD, "not the password"):
                hashed.clear()
                assert await works(client, name, password) == (name == "alice" and password == PASSWORD)
                assert hashed == [tools.hasher.parameters], name

    async def test_what_is_no_password_costs_no_hash(
        self, tools: Tools, client: Client, hashed: list[Parameters]
    ) -> None:
        """A request that is refused for its form is refused before any work (row 11)."""
        await add_user(tools)
        hashed.clear()
        for password in ("", "x" * 1025, "a\x00b"):
            assert (await log_in(client, "alice", password)).status_code == 400
        assert (await log_in(client, "alice", "x" * 20_000)).status_code == 413
        assert hashed == []

    @pytest.fixture
    async def stronger(
        self, settings: Settings, tools: Tools, clock: FakeClock, hashed: list[Parameters]
    ) -> AsyncIterator[Client]:
        """A client of a service whose hashes cost sixteen times what the stored ones did."""
        app = create_app(replace(settings, hash_memory_kib=64, hash_passes=2), clock=clock)
        async with app.test_app():
            yield app.test_client()

    async def test_an_old_hash_costs_as_much_as_a_new_one(
        self, tools: Tools, stronger: Client, hashed: list[Parameters]
    ) -> None:
        """Against an old, cheaper hash a bad login is as much work as against no user at all, disabled or not."""
        await add_user(tools)
        await add_user(tools, "disabled")
        await admin.disable_user(tools.store, username="disabled", now=1, token_lifetime=900, asker=an_asker(tools))
        work = []
        for name, password in (("nobody", PASSWORD), ("alice", "not the password"), ("disabled", PASSWORD)):
            hashed.clear()
            assert not await works(stronger, name, password)
            work.append(sum(parameters.work for parameters in hashed))
        assert work == [128, 128, 128]

    async def test_an_old_hash_is_renewed_by_a_good_login_alone(self, tools: Tools, stronger: Client) -> None:
        """A bad login leaves an old hash as it is; fifty good ones at once all succeed, and it is renewed for good."""
        await add_user(tools)
        before = await hash_of(tools)
        assert not await works(stronger, password="not the password")
        assert await hash_of(tools) == before
        assert all(await asyncio.gather(*(works(stronger) for _ in range(50))))
        after = await hash_of(tools)
        assert after is not None
        assert EncodedHash.parse(after).parameters == Parameters(memory_kib=64, passes=2)
        assert await works(stronger)
        assert await hash_of(tools) == after
        assert len(await sessions_of(tools)) == 51

    async def test_a_stronger_hash_is_brought_to_the_current_cost(self, tools: Tools, client: Client) -> None:
        """A hash of other parameters, here a dearer one, still opens its account and is replaced."""
        dearer = Hasher(Parameters(memory_kib=64, passes=3), threads=1, max_wait=5.0)
        await insert_user(tools, a_user("alice", await dearer.hash(PASSWORD)))
        dearer.close()
        assert await works(client)
        after = await hash_of(tools)
        assert after is not None
        assert EncodedHash.parse(after).parameters == tools.hasher.parameters


class TestAlgorithms:
    """The token under each algorithm that the operator may choose."""

    @pytest.fixture(params=["ES256", "RS256", "EdDSA", "HS256"])
    def settings(self, request: pytest.FixtureRequest, sqlite_url: str, tmp_path: Path) -> Settings:
        """Settings for one algorithm; a token says the same whatever database the user is in."""
        audience = None if request.param == "HS256" else "watchword"
        return cheap_settings(
            instance=tmp_path, database_url=sqlite_url, algorithm=request.param, audience=audience, issuer="https://a.b"
        )

    async def test_other_libraries_read_it(
        self, settings: Settings, tools: Tools, client: Client, clock: FakeClock
    ) -> None:
        """PyJWT verifies the token with the published key, or as the tutorial does with the secret."""
        await add_user(tools)
        clock.now = system_clock()  # the only time that PyJWT knows
        token = (await (await log_in(client, "alice")).get_json())["token"]
        if settings.algorithm == "HS256":
            claims = jwt.decode(token, SECRET, algorithms=["HS256"])
        else:
            document = await (await client.get("/.well-known/jwks.json")).get_data(as_text=True)
            key = jwt.PyJWKSet.from_json(document)[jwt.get_unverified_header(token)["kid"]]
            claims = jwt.decode(token, key, algorithms=[settings.algorithm], audience="watchword", issuer="https://a.b")
        assert claims["username"] == "alice"
        assert jwt.get_unverified_header(token) == {
            "alg": settings.algorithm,
            "kid": tools.ring.signer.kid,
            "typ": "at+jwt",
        }

    async def test_the_service_takes_its_own_token(self, tools: Tools, client: Client) -> None:
        """What POST /login gives opens GET /me."""
        await add_user(tools)
        token = (await (await log_in(client, "alice")).get_json())["token"]
        response = await client.get("/me", headers={"Authorization": f"Bearer {token}"})
        assert response.status_code == 200
