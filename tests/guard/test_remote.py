"""A guard that knows its login service by the URL alone: real HTTP, and a login service that does as it likes."""

import asyncio
import json
import os
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
from quart import Quart, Response
from quart.testing.app import LifespanError

from tests import waiting
from tests.builders import SECRET, Stopwatch
from tests.guard.elsewhere import FEED, JWKS, METADATA, SERVICE_TOKEN, LoginService, Reply, login_service, reply
from tests.guard.issuer import Issuer, status
from tests.servers import free_port
from watchword import Guard, current_token, token_required, told
from watchword.base64url import b64encode
from watchword.guard.feed import Feed
from watchword.guard.published import INTERVAL, PublishedKeys
from watchword.keys import KeyRing, SigningKey

Lines = Callable[[str], list[str]]


@pytest.fixture
async def service() -> AsyncIterator[LoginService]:
    """The login service."""
    async with login_service() as service:
        yield service


@pytest.fixture
def lines(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> Lines:
    """The log's lines of the guard that have a text in them; the end of a trouble is told at once."""
    monkeypatch.setattr(told, "CALM", 0)
    caplog.set_level("INFO", "watchword.guard")
    return lambda text: [
        record.getMessage()
        for record in caplog.records
        if record.name == "watchword.guard" and text in record.getMessage()
    ]


@pytest.fixture
def stopwatch() -> Stopwatch:
    """The guard's monotonic clock."""
    return Stopwatch()


def guarded(guard: Guard, **config: object) -> Quart:
    """An application with one guarded view."""
    app = Quart(__name__)
    app.config.update(config)
    guard.init_app(app)

    @app.get("/")
    @token_required
    async def view() -> str:
        return current_token.sid

    return app


async def eventually(outcome: Callable[[], Awaitable[int]], wanted: int) -> None:
    """Wait for an outcome of what goes on beside the requests."""
    async with asyncio.timeout(10):
        while await outcome() != wanted:
            await asyncio.sleep(0.01)


async def test_the_url_is_all_that_it_needs(service: LoginService, lines: Lines) -> None:
    """Keys are fetched once, for many tokens; the log says plainly what is not known without a service token."""
    app = guarded(Guard(issuer=service.issuer.url))
    async with app.test_app():
        assert [await status(app, service.issuer) for _ in range(20)] == [200] * 20
        assert [arrived.path for arrived in service.arrived] == [METADATA, JWKS]
    (line,) = lines("a token is good until it expires")
    assert service.issuer.url in line
    assert "WATCHWORD_SERVICE_TOKEN" in line


async def test_an_issuer_with_a_path() -> None:
    """The well-known part stands between host and path (RFC 8414 §3.1), the feed below the path."""
    async with login_service("/tenant/one") as service:
        app = guarded(Guard(issuer=service.issuer.url, service_token=SERVICE_TOKEN))
        async with app.test_app():
            assert await status(app, service.issuer) == 200
            paths = {arrived.path for arrived in service.arrived}
            assert paths == {f"{METADATA}/tenant/one", f"/tenant/one{JWKS}", f"/tenant/one{FEED}"}


async def test_another_issuers_tokens_are_refused(service: LoginService) -> None:
    """The keys alone are not enough: issuer and audience are compared."""
    app = guarded(Guard(issuer=service.issuer.url))
    async with app.test_app():
        assert await status(app, Issuer(url="https://other.example", key=service.issuer.key)) == 401
        assert await status(app, Issuer(url=service.issuer.url, audience="other", key=service.issuer.key)) == 401


async def test_two_applications_of_one_guard(service: LoginService) -> None:
    """Each asks the issuer of its own configuration."""
    guard = Guard()
    async with login_service() as other:
        apps = [guarded(guard, WATCHWORD_ISSUER=each.issuer.url) for each in (service, other)]
        async with apps[0].test_app(), apps[1].test_app():
            assert [await status(app, service.issuer) for app in apps] == [200, 401]
            assert [await status(app, other.issuer) for app in apps] == [401, 200]


class TestWhatTheKeysAre:
    """Which of several sources counts."""

    async def test_a_secret_for_cookies_verifies_no_token(self, service: LoginService) -> None:
        """With a SECRET_KEY and a named issuer, HS256 tokens of that secret are refused (row 41)."""
        app = guarded(Guard(), SECRET_KEY=SECRET, WATCHWORD_ISSUER=service.issuer.url)
        key = SigningKey.from_secret(SECRET.encode())
        async with app.test_app():
            assert await status(app, service.issuer) == 200
            for audience in (None, "watchword"):
                assert await status(app, Issuer(url=service.issuer.url, audience=audience, key=key)) == 401

    async def test_the_environment_may_name_the_issuer(
        self, service: LoginService, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """After what the application says, and before its SECRET_KEY."""
        monkeypatch.setenv("WATCHWORD_ISSUER", service.issuer.url)
        app = guarded(Guard(), SECRET_KEY=SECRET)
        async with app.test_app():
            assert await status(app, service.issuer) == 200

    async def test_keys_that_are_given_ask_nobody(self, service: LoginService) -> None:
        """With ``keys`` there is no network."""
        app = guarded(Guard(keys=service.issuer.keys, issuer=service.issuer.url))
        async with app.test_app():
            assert await status(app, service.issuer) == 200
        assert service.arrived == []

    async def test_a_secret_that_is_given_names_no_audience(self) -> None:
        """``KeyRing.from_secret`` is how HS256 goes with another issuer; former secrets verify too."""
        url = "https://login.example"
        former = SECRET[::-1]
        app = guarded(Guard(keys=KeyRing.from_secret(SECRET, former), issuer=url))
        for secret, expected in ((SECRET, 200), (former, 200), (SECRET.upper(), 401)):
            key = SigningKey.from_secret(secret.encode())
            assert await status(app, Issuer(url=url, audience=None, key=key)) == expected

    @pytest.mark.parametrize(
        "arguments", [{"keys": KeyRing()}, *({"max_staleness": each} for each in (0, 0.99, float("inf"), float("nan")))]
    )
    def test_arguments_that_make_no_sense_are_refused(self, arguments: dict[str, object]) -> None:
        """A service token beside keys; less time without news than passes between two answers, or all of it."""
        with pytest.raises(ValueError, match=r"service_token|max_staleness"):
            Guard(service_token="token", **arguments)  # type: ignore[arg-type]

    @pytest.mark.parametrize("token", ["two words", "a\r\nX: y", "ünï"])
    def test_a_service_token_that_is_none_is_refused(self, token: str) -> None:
        """Before it could end a header, and without being shown."""
        with pytest.raises(ValueError, match="is no bearer token") as refusal:
            guarded(Guard(issuer="https://login.example", service_token=token))
        assert token not in str(refusal.value)


class TestALoginServiceThatIsAway:
    """The application starts without it, keeps what it knew, and recovers by itself."""

    async def test_the_application_starts(self, lines: Lines) -> None:
        """Guarded routes answer 503 until keys are known, one line says why; a token that is none is 401 as ever."""
        issuer = Issuer(url=f"http://127.0.0.1:{free_port()}")
        service = LoginService(issuer, [issuer.key])
        app = guarded(Guard(issuer=issuer.url))
        async with app.test_app():
            response = await app.test_client().get("/", headers=issuer.bearer())
            assert (response.status_code, response.headers["Retry-After"]) == (503, "1")
            assert (await response.get_json())["code"] == "unavailable"
            assert (await app.test_client().get("/")).status_code == 401
            assert (await app.test_client().get("/", headers={"Authorization": "Bearer x"})).status_code == 401
            assert len(lines("cannot be had: no connection")) == 1
            await service.start()
            await eventually(lambda: status(app, issuer), 200)
            await service.stop()
        assert len(lines("cannot be had")) == 1
        await waiting.eventually(lambda: len(lines("are there")) == 1)

    async def test_a_start_without_an_answer_does_not_wait_for_ever(
        self, service: LoginService, monkeypatch: pytest.MonkeyPatch, lines: Lines
    ) -> None:
        """One that accepts the connection and says nothing holds up neither the start nor the end."""
        monkeypatch.setattr("watchword.guard.remote.START_SECONDS", 0.05)
        monkeypatch.setattr("watchword.guard.published._SECONDS", 0.1)
        silent = asyncio.Event()
        service.before[METADATA] = silent.wait
        app = guarded(Guard(issuer=service.issuer.url, service_token=SERVICE_TOKEN))
        async with app.test_app():
            async with asyncio.timeout(10):
                while not lines("no answer within 0.1 s") or not service.count(METADATA):  # the first may not get there
                    await asyncio.sleep(0.01)
        silent.set()

    async def test_known_keys_stay(self, service: LoginService, stopwatch: Stopwatch, lines: Lines) -> None:
        """Without a service token everything goes on while it is away, but for a key that may be a new one: 503."""
        app = guarded(Guard(issuer=service.issuer.url, monotonic=stopwatch))
        async with app.test_app():
            assert await status(app, service.issuer) == 200
            await service.stop()
            for _ in range(3):
                stopwatch.seconds += 3600
                assert await status(app, Issuer(url=service.issuer.url)) == 503
                assert await status(app, service.issuer) == 200
            assert len(lines("cannot be had: no connection")) == 1
            await service.start()

    async def test_it_may_be_another_when_it_is_back(self, service: LoginService, stopwatch: Stopwatch) -> None:
        """With other keys the former ones are gone."""
        app = guarded(Guard(issuer=service.issuer.url, monotonic=stopwatch))
        async with app.test_app():
            assert await status(app, service.issuer) == 200
            await service.stop()
            reborn = Issuer(url=service.issuer.url, key=SigningKey.generate("ES256"))
            service.keys = [reborn.key]
            await service.start()
            assert await status(app, reborn) == 200
            assert await status(app, service.issuer) == 401


class TestUnknownKeys:
    """A token whose ``kid`` is not on the ring."""

    async def test_a_new_key_is_fetched_for_the_first_token(self, service: LoginService) -> None:
        """A key that signs as soon as it is published costs nobody a refusal (row 93)."""
        app = guarded(Guard(issuer=service.issuer.url))
        async with app.test_app():
            newer = service.rotate()
            assert await asyncio.gather(*(status(app, newer) for _ in range(20))) == [200] * 20
            assert await status(app, service.issuer) == 200
            assert service.count(JWKS) == 2

    async def test_a_thousand_cause_one_fetch(
        self, service: LoginService, stopwatch: Stopwatch, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """In one interval; the next interval has one of its own (row 43)."""
        monkeypatch.setattr("watchword.guard.published.PATIENCE", 10)  # who waits in vain is answered 503
        app = guarded(Guard(issuer=service.issuer.url, monotonic=stopwatch))
        stranger = Issuer(url=service.issuer.url)
        _, rest = stranger.token().split(".", 1)
        client = app.test_client()

        def request(number: int) -> Awaitable[Response]:
            named = json.dumps({"alg": "EdDSA", "kid": f"unknown{number}", "typ": "at+jwt"}).encode()
            return client.get("/", headers={"Authorization": f"Bearer {b64encode(named)}.{rest}"})

        async with app.test_app():
            for start in range(0, 1000, 100):
                answers = await asyncio.gather(*(request(start + number) for number in range(100)))
                assert {answer.status_code for answer in answers} == {401}
            assert service.count(JWKS) == 2
            stopwatch.seconds += INTERVAL
            await asyncio.gather(*(request(number) for number in range(10)))
            assert service.count(JWKS) == 3

    async def test_each_fetch_is_past_all_caches(self, service: LoginService) -> None:
        """One on the way that heeds no ``no-cache``, as nginx does, would hide the new key while its copy lasts."""
        app = guarded(Guard(issuer=service.issuer.url))
        async with app.test_app():
            assert await status(app, service.issuer) == 200
            assert await status(app, service.rotate()) == 200
        (first,), (second,) = (asked.query["fresh"] for asked in service.arrived if asked.path == JWKS)
        assert first != second

    async def test_a_slow_fetch_is_not_waited_for(self, service: LoginService, monkeypatch: pytest.MonkeyPatch) -> None:
        """For longer than a second, and is 503 then; nor does a client that hangs up end it for the others."""
        app = guarded(Guard(issuer=service.issuer.url))
        async with app.test_app():
            newer, go_on = service.rotate(), asyncio.Event()
            service.before[JWKS] = go_on.wait
            first = asyncio.create_task(status(app, newer))
            await service.until(JWKS, 2)
            first.cancel()
            second = asyncio.create_task(status(app, newer))
            await asyncio.wait([first])
            monkeypatch.setattr("watchword.guard.published.PATIENCE", 0.01)
            assert await status(app, newer) == 503
            go_on.set()
            assert await second == 200

    @pytest.mark.parametrize("member", ["jwk", "jku", "x5u", "x5c", "x5t", "crit"])
    async def test_no_address_in_a_token_is_asked(
        self, service: LoginService, stopwatch: Stopwatch, member: str
    ) -> None:
        """A header that brings its key or says where it is: 401, and nobody is asked but the issuer (row 42)."""
        async with login_service() as listener:
            app = guarded(Guard(issuer=service.issuer.url, monotonic=stopwatch))
            thief = Issuer(url=service.issuer.url)
            value: object = thief.key.verification.jwk() if member == "jwk" else f"{listener.issuer.url}{JWKS}"
            header = {"alg": "EdDSA", "kid": thief.key.kid, "typ": "at+jwt", member: value}
            claims = thief.token().split(".")[1]
            message = f"{b64encode(json.dumps(header).encode())}.{claims}"
            token = f"{message}.{b64encode(thief.key.sign(message.encode()))}"
            async with app.test_app():
                response = await app.test_client().get("/", headers={"Authorization": f"Bearer {token}"})
                assert response.status_code == 401
            assert listener.arrived == []


def jwks_with(**changes: object) -> Reply:
    """A key set whose one key has other members, or misses those that are None."""
    jwk = SigningKey.generate("ES256").verification.jwk() or {}
    return reply({"keys": [{name: value for name, value in {**jwk, **changes}.items() if value is not None}]})


def metadata_with(service: LoginService, **changes: object) -> Reply:
    """Metadata with other members."""
    url = service.issuer.url
    return reply({"issuer": url, "jwks_uri": f"{url}{JWKS}", **changes})


BAD: dict[str, Callable[[LoginService], dict[str, Reply]]] = {
    "metadata that are no JSON": lambda service: {METADATA: Reply(b"<html>")},
    "metadata that are no object": lambda service: {METADATA: reply([])},
    "metadata with a repeated member": lambda service: {METADATA: Reply(b'{"issuer": "a", "issuer": "b"}')},
    "no metadata": lambda service: {METADATA: Reply(status=404)},
    "another issuer": lambda service: {METADATA: metadata_with(service, issuer="https://evil.example")},
    "almost the issuer": lambda service: {METADATA: metadata_with(service, issuer=f"{service.issuer.url}/")},
    "keys elsewhere": lambda service: {METADATA: metadata_with(service, jwks_uri="https://evil.example/jwks")},
    "keys at a longer port": lambda service: {METADATA: metadata_with(service, jwks_uri=f"{service.issuer.url}0/j")},
    "keys behind an at sign": lambda service: {
        METADATA: metadata_with(service, jwks_uri=f"{service.issuer.url}@evil.example/jwks")
    },
    "keys nowhere": lambda service: {METADATA: metadata_with(service, jwks_uri=None)},
    "a redirect of the metadata": lambda service: {METADATA: Reply(status=302, headers={"Location": JWKS})},
    "a redirect of the keys": lambda service: {
        JWKS: Reply(status=307, headers={"Location": f"{service.issuer.url}/elsewhere"}),
        "/elsewhere": jwks_with(),
    },
    "an error": lambda service: {JWKS: Reply(status=500)},
    "keys that are no JSON": lambda service: {JWKS: Reply(b"{")},
    "no set of keys": lambda service: {JWKS: reply({"keys": {}})},
    "no place of keys, as under HS256": lambda service: {METADATA: reply({"issuer": service.issuer.url})},
    "no keys": lambda service: {JWKS: reply({"keys": []})},
    "a private key": lambda service: {JWKS: jwks_with(d="AAAA")},
    "a shared secret": lambda service: {JWKS: reply({"keys": [{"kty": "oct", "k": "c2VjcmV0", "alg": "HS256"}]})},
    "an algorithm that does not fit": lambda service: {JWKS: jwks_with(alg="RS256")},
    "another curve's algorithm": lambda service: {JWKS: jwks_with(alg="ES384")},
    "no algorithm": lambda service: {JWKS: jwks_with(alg=None)},
    "no algorithm at all": lambda service: {JWKS: jwks_with(alg="none")},
    "a key for encryption": lambda service: {JWKS: jwks_with(use="enc")},
    "a key that only signs": lambda service: {JWKS: jwks_with(key_ops=["sign"])},
    "a point beside the curve": lambda service: {JWKS: jwks_with(x="A" * 43)},
    "two keys of one id": lambda service: {
        JWKS: reply({"keys": [SigningKey.generate("ES256").verification.jwk() | {"kid": "a"} for _ in "ab"]})  # type: ignore[operator]
    },
    "keys without an end": lambda service: {JWKS: Reply(b"{", is_endless=True)},
    "metadata without an end": lambda service: {METADATA: Reply(b"{", is_endless=True)},
    "keys byte by byte": lambda service: {
        JWKS: Reply(json.dumps(KeyRing(service.keys).jwks()).ljust(256).encode(), part=1)
    },
    "a compressed answer": lambda service: {
        JWKS: Reply(json.dumps(KeyRing(service.keys).jwks()).encode(), headers={"Content-Encoding": "br"})
    },
    "no HTTP": lambda service: {JWKS: Reply(headers={"no": "header\r\n\x00:"})},
}


@pytest.mark.parametrize("case", BAD)
async def test_what_must_not_be_believed(service: LoginService, stopwatch: Stopwatch, lines: Lines, case: str) -> None:
    """Is refused with one clear line, however often it is said, and the keys that were known stay (rows 92, 94)."""
    app = guarded(Guard(issuer=service.issuer.url, monotonic=stopwatch))
    async with app.test_app():
        assert await status(app, service.issuer) == 200
        service.planned |= BAD[case](service)
        for fetches in (2, 3):
            assert await status(app, Issuer(url=service.issuer.url)) == 503
            assert await status(app, service.issuer) == 200
            assert service.count(METADATA) == fetches
            stopwatch.seconds += INTERVAL
        assert service.count("/elsewhere") == 0
        (line,) = lines("cannot be had")
        assert service.issuer.url in line
        assert "evil" not in line
        service.planned.clear()
        assert await status(app, service.rotate()) == 200
        await waiting.eventually(lambda: len(lines("are there")) == 1)
    if "without an end" in case:
        async with asyncio.timeout(10):
            await service.hung_up.wait()


async def test_an_answer_may_come_in_parts(service: LoginService) -> None:
    """A large one in as many as networks make of it."""
    service.planned[JWKS] = Reply(json.dumps(KeyRing(service.keys).jwks()).ljust(60_000).encode(), part=300)
    app = guarded(Guard(issuer=service.issuer.url))
    async with app.test_app():
        assert await status(app, service.issuer) == 200


async def test_what_must_not_be_believed_at_the_start(service: LoginService, lines: Lines) -> None:
    """Without keys from before, guarded routes answer 503."""
    service.planned[METADATA] = metadata_with(service, issuer="https://evil.example")
    app = guarded(Guard(issuer=service.issuer.url))
    async with app.test_app():
        assert await status(app, service.issuer) == 503
        assert len(lines("cannot be had: it answers for another issuer")) == 1


class TestEndedSessions:
    """With a service token the guard follows the feed."""

    @pytest.fixture
    async def app(self, service: LoginService) -> AsyncIterator[Quart]:
        """A guarded application, started."""
        app = guarded(Guard(issuer=service.issuer.url, service_token=SERVICE_TOKEN))
        async with app.test_app():
            yield app

    async def test_a_logout_bites(self, service: LoginService, app: Quart, lines: Lines) -> None:
        """A token that passed is refused with one of the next answers; another session goes on (row 65)."""
        ended, other = service.issuer.bearer(), service.issuer.bearer()
        client = app.test_client()
        service.end(await (await client.get("/", headers=ended)).get_data(as_text=True))
        polls = service.count(FEED)

        async def outcome() -> int:
            return (await client.get("/", headers=ended)).status_code

        await service.until(FEED, polls + 2)  # the one that may have been under way, and the one after it
        await eventually(outcome, 401)
        assert (await client.get("/", headers=other)).status_code == 200
        asked = [arrived for arrived in service.arrived if arrived.path == FEED]
        assert [arrived.query.get("after") for arrived in asked[:2]] == [None, ["0"]]
        assert len({arrived.connection for arrived in asked}) == 1
        assert lines("a token is good until it expires") == []

    async def test_what_ended_before_the_start_is_known_at_the_start(self, service: LoginService) -> None:
        """All pages of it, before the first answer."""
        service.page = 2
        bearers = [service.issuer.bearer() for _ in range(5)]
        app = guarded(Guard(keys=service.issuer.keys, issuer=service.issuer.url))
        for bearer in bearers:
            service.end(await (await app.test_client().get("/", headers=bearer)).get_data(as_text=True))
        app = guarded(Guard(issuer=service.issuer.url, service_token=SERVICE_TOKEN))
        async with app.test_app():
            for bearer in bearers:
                assert (await app.test_client().get("/", headers=bearer)).status_code == 401
            assert await status(app, service.issuer) == 200

    async def test_a_retired_key_dies_with_the_feed(self, service: LoginService, app: Quart) -> None:
        """The feed says that other keys are published now; nobody needs to present an unknown one (row 93)."""
        assert await status(app, service.issuer) == 200
        newer = service.rotate()
        del service.keys[0]
        await eventually(lambda: status(app, service.issuer), 401)
        assert await status(app, newer) == 200

    async def test_without_news_nobody_passes(self, service: LoginService, stopwatch: Stopwatch, lines: Lines) -> None:
        """503 when the last news are older than the bound, 200 again soon after the service is back."""
        app = guarded(Guard(issuer=service.issuer.url, service_token=SERVICE_TOKEN, monotonic=stopwatch))
        async with app.test_app():
            assert await status(app, service.issuer) == 200
            await service.stop()
            stopwatch.seconds += 5.1
            assert await status(app, service.issuer) == 503
            await service.start()
            await eventually(lambda: status(app, service.issuer), 200)

    async def test_for_how_long_without_news_is_the_applications_choice(
        self, service: LoginService, stopwatch: Stopwatch
    ) -> None:
        """``max_staleness`` seconds, and no more."""
        guard = Guard(issuer=service.issuer.url, service_token=SERVICE_TOKEN, monotonic=stopwatch, max_staleness=60)
        app = guarded(guard)
        async with app.test_app():
            await service.stop()
            stopwatch.seconds += 59
            assert await status(app, service.issuer) == 200
            stopwatch.seconds += 2
            assert await status(app, service.issuer) == 503
            await service.start()

    async def test_no_following_dies_unseen(
        self, service: LoginService, lines: Lines, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """What nobody foresaw ends it, for keys and for news; the log names which, at once."""

        async def give_up(_: object) -> None:
            raise ZeroDivisionError

        monkeypatch.setattr("watchword.guard.remote.START_SECONDS", 0.05)
        for following in (PublishedKeys.keep, Feed.follow):
            give_up.__qualname__ = following.__qualname__
            with monkeypatch.context() as broken:
                broken.setattr(f"{following.__module__}.{following.__qualname__}", give_up)
                app = guarded(Guard(issuer=service.issuer.url, service_token=SERVICE_TOKEN))
                async with app.test_app():
                    assert len(lines(f"{following.__qualname__} has ended and is not begun again")) == 1

    async def test_a_token_that_the_feed_refuses(self, service: LoginService, lines: Lines) -> None:
        """One clear line without the token, and 503: whoever asked for news does not go on without them."""
        app = guarded(Guard(issuer=service.issuer.url, service_token="not-the-token"))
        async with app.test_app():
            assert await status(app, service.issuer) == 503
            assert service.count(FEED) == 1
        (line,) = lines("no news of ended sessions")
        assert "the service token is refused with 401" in line
        assert not lines("not-the-token")

    def test_a_file_that_is_not_there(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        """Is an error at the start, and not a guard without news."""
        monkeypatch.setenv("WATCHWORD_SERVICE_TOKEN_FILE", str(tmp_path / "nowhere"))
        with pytest.raises(RuntimeError, match="WATCHWORD_SERVICE_TOKEN_FILE: cannot be read"):
            guarded(Guard(issuer="https://login.example"))

    @pytest.mark.parametrize("name", ["SERVICE_TOKEN", "ISSUER", "AUDIENCE"])
    def test_a_setting_that_the_process_has_twice(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str
    ) -> None:
        """Is an error, as it is to the login service: nobody knows which was meant."""
        (tmp_path / "value").write_text("https://login.example")
        monkeypatch.setenv(f"WATCHWORD_{name}", "https://login.example")
        monkeypatch.setenv(f"WATCHWORD_{name}_FILE", str(tmp_path / "value"))
        with pytest.raises(RuntimeError, match=f"WATCHWORD_{name}: is set twice"):
            guarded(Guard(), **({} if name == "ISSUER" else {"WATCHWORD_ISSUER": "https://login.example"}))

    def test_a_pipe_in_the_place_of_a_file(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        """Is an error too: the application would wait for somebody to write, for ever."""
        os.mkfifo(tmp_path / "pipe")
        monkeypatch.setenv("WATCHWORD_SERVICE_TOKEN_FILE", str(tmp_path / "pipe"))
        with pytest.raises(RuntimeError, match="WATCHWORD_SERVICE_TOKEN_FILE: cannot be read"):
            guarded(Guard(issuer="https://login.example"))

    def test_a_file_that_anybody_may_write(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        """Is an error: whoever has an account on the machine would choose whose tokens the application believes."""
        path = tmp_path / "issuer"
        path.write_text("https://login.example")
        path.chmod(0o666)
        monkeypatch.setenv("WATCHWORD_ISSUER_FILE", str(path))
        with pytest.raises(RuntimeError, match="WATCHWORD_ISSUER_FILE: is open for others to write"):
            guarded(Guard())

    @pytest.mark.parametrize("place", ["config", "environment", "file", "no file"])
    @pytest.mark.parametrize("name", ["SERVICE_TOKEN", "ISSUER", "AUDIENCE"])
    def test_a_setting_that_is_there_but_empty(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str, place: str
    ) -> None:
        """Is an error at the start: a shell empties the file for a secret before a command that is refused.

        Taken for left out, it is a guard that hears of no logout, or that believes what a secret for cookies signed.
        """
        key = f"WATCHWORD_{name}"
        config = {"SECRET_KEY": SECRET, "WATCHWORD_ISSUER": "https://login.example"}
        if place == "config":
            config[key] = ""
        else:
            config.pop(key, None)
            (tmp_path / "empty").write_text("\n")
            paths = {"file": str(tmp_path / "empty"), "no file": ""}
            monkeypatch.setenv(key if place == "environment" else f"{key}_FILE", paths.get(place, ""))
        with pytest.raises(RuntimeError, match=rf"{key} is empty|{key}_FILE: cannot be read"):
            guarded(Guard(), **config)

    @pytest.mark.parametrize("name", ["SERVICE_TOKEN", "ISSUER", "AUDIENCE"])
    @pytest.mark.parametrize("value", [7, False, b"bytes", ["a list"]], ids=lambda value: type(value).__name__)
    def test_a_setting_that_is_no_text(self, name: str, value: object) -> None:
        """Is an error too, by its name: False is not none, and of bytes nobody knows the encoding."""
        config = {"SECRET_KEY": SECRET, "WATCHWORD_ISSUER": "https://login.example", f"WATCHWORD_{name}": value}
        with pytest.raises(RuntimeError, match=f"WATCHWORD_{name} must be a text"):
            guarded(Guard(), **config)

    @pytest.mark.parametrize("name", ["service_token", "issuer", "audience"])
    def test_an_empty_argument_is_refused(self, name: str) -> None:
        """It is what a program hands over that found nothing where it looked."""
        with pytest.raises(ValueError, match="not be empty"):
            Guard(**{"issuer": "https://login.example", name: ""})  # type: ignore[arg-type]

    @pytest.mark.parametrize("guard", [Guard(), Guard(keys=KeyRing()), Guard(service_token="token")])
    def test_a_service_token_without_a_login_service_is_refused(
        self, monkeypatch: pytest.MonkeyPatch, guard: Guard
    ) -> None:
        """Where SECRET_KEY or ``keys`` verify, nobody would be asked, and logouts would not be heard of."""
        monkeypatch.setenv("WATCHWORD_SERVICE_TOKEN", SERVICE_TOKEN)
        with pytest.raises(RuntimeError, match="is for the login service at WATCHWORD_ISSUER") as refusal:
            guarded(guard, SECRET_KEY=SECRET)
        assert SERVICE_TOKEN not in str(refusal.value)

    @pytest.mark.parametrize("place", ["config", "environment", "file", "environment beside None"])
    async def test_where_the_token_may_be(
        self, service: LoginService, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, place: str
    ) -> None:
        """In the application's configuration, in the environment, or in a file that the environment names.

        None in the configuration is no token that is left out: a slip in a name that is looked up gives it.
        """
        config: dict[str, str | None] = {"WATCHWORD_SERVICE_TOKEN": SERVICE_TOKEN} if place == "config" else {}
        if place == "environment beside None":
            config = {"WATCHWORD_SERVICE_TOKEN": None}
        if place.startswith("environment"):
            monkeypatch.setenv("WATCHWORD_SERVICE_TOKEN", SERVICE_TOKEN)
        if place == "file":
            path = tmp_path / "token"
            path.write_text(f"{SERVICE_TOKEN}\n")
            monkeypatch.setenv("WATCHWORD_SERVICE_TOKEN_FILE", str(path))
        app = guarded(Guard(issuer=service.issuer.url), **config)
        async with app.test_app():
            assert await status(app, service.issuer) == 200
            assert service.count(FEED) >= 1


async def test_an_application_that_is_not_started_says_so(service: LoginService, lines: Lines) -> None:
    """A server without lifespan events would leave everybody outside without a word."""
    app = guarded(Guard(issuer=service.issuer.url))
    assert [await status(app, service.issuer) for _ in range(3)] == [503] * 3
    assert len(lines("was not started")) == 1
    async with app.test_app():
        assert await status(app, service.issuer) == 200


async def test_an_application_under_testing_is_not_told_that_it_was_not_started(
    service: LoginService, lines: Lines
) -> None:
    """It was, and says at its start why nobody is asked: a word on lifespan events would lead the reader astray."""
    app = guarded(Guard(issuer=service.issuer.url), TESTING=True)
    async with app.test_app():
        assert await status(app, service.issuer) == 503
    assert len(lines("under TESTING")) == 1
    assert lines("was not started") == []


def test_an_event_loop_that_ended_without_a_stop_hinders_no_later_one() -> None:
    """What ran in it is gone: the stop in another one neither fails with it nor leaves its threads behind."""
    app = guarded(Guard(issuer=f"http://localhost:{free_port()}", service_token=SERVICE_TOKEN))

    async def start_and_stop() -> None:
        async with app.test_app():
            assert await status(app, Issuer(url=f"http://localhost:{free_port()}")) == 503

    before = set(threading.enumerate())
    for _ in range(3):
        asyncio.run(app.startup())
    asyncio.run(start_and_stop())
    for left in set(threading.enumerate()) - before:
        left.join(10)
        assert not left.is_alive(), left.name


@pytest.mark.parametrize("content", [None, "no certificate"])
async def test_certificates_that_cannot_be_read(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, content: str | None
) -> None:
    """The start is refused with the name of the setting, of which the system's own words say nothing."""
    path = tmp_path / "authority.pem"
    if content is not None:
        path.write_text(content)
    monkeypatch.setenv("SSL_CERT_FILE", str(path))
    app = guarded(Guard(issuer="https://login.example"))
    with pytest.raises(LifespanError, match=r"SSL_CERT_FILE\) cannot be read: \["):
        async with app.test_app():
            pass


class TestUnderTest:
    """The tests of an application do not depend on a login service."""

    async def test_nobody_is_asked_under_testing(self, service: LoginService, lines: Lines) -> None:
        """With TESTING, or when the start is within the block, and the actor passes all the same."""
        guard = Guard(issuer=service.issuer.url)
        tested, other = guarded(guard, TESTING=True), guarded(guard)
        async with tested.test_app(), guard.acting_as("alice"), other.test_app():
            for app in (tested, other):
                assert (await app.test_client().get("/")).status_code == 200
                assert await status(app, service.issuer) == 503
        assert service.arrived == []
        assert len(lines("no login service is asked")) == 2


def test_a_remote_guard_is_light() -> None:
    """An application with it starts and answers without a database, a password hash or a server of ours."""
    program = """
import asyncio, sys
before = set(sys.modules)
from quart import Quart
from watchword import Guard, token_required
app = Quart("light")
Guard(app, issuer="http://127.0.0.1:1")
assert "httpx" not in sys.modules

@app.get("/")
@token_required
async def view():
    return ""

async def main():
    async with app.test_app():
        print((await app.test_client().get("/")).status_code)

asyncio.run(main())
assert "httpx" in sys.modules
loaded = set(sys.modules) - before
heavy = {"sqlalchemy", "sqlite3", "asyncpg", "argon2", "nacl", "msgspec", "alembic"}
print(sorted({name.partition(".")[0] for name in loaded} & heavy), "watchword.store" in loaded)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.split("\n")[:2] == ["401", "[] False"]
