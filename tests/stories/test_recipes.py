"""The recipes for services that are not Quart's: each framework with each check, beside a real login service."""

import asyncio
import hashlib
import hmac
import json
import os
import runpy
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.builders import PASSWORD, SECRET
from tests.cli.commands import in_process
from tests.servers import Server, environment, free_port, running, watchword_server
from watchword import tokens
from watchword.base64url import b64encode
from watchword.clock import system_clock
from watchword.flows.keyring import load
from watchword.keyholder import KeyHolder
from watchword.keys import SigningKey
from watchword.model import AccessToken
from watchword.store import store_at

RECIPES = Path(__file__).parents[2] / "examples" / "recipes"
CHECKS = ("pyjwt", "joserfc", "introspection")
AS_WRITTEN = {"flask_app": "pyjwt", "fastapi_app": "joserfc"}
PAIRS = (*AS_WRITTEN.items(), ("fastapi_app", "introspection"))


@dataclass
class System:
    """A login service, and services of the recipes.

    Attributes:
        login: the login service; alice may read reports, and bob may do nothing.
        environ: what a recipe is started with.
        services: the recipes' services by framework and check.
        genuine: the key that the login service signs with.
        http: asks all of them.
    """

    login: Server
    environ: dict[str, str]
    genuine: SigningKey
    http: httpx.Client
    services: dict[tuple[str, str], Server] = field(default_factory=dict)

    def log_in(self, username: str = "alice") -> dict[str, Any]:
        """The answer to a login."""
        answer = self.http.post(f"{self.login.url}/login", json={"username": username, "password": PASSWORD})
        answered: dict[str, Any] = answer.raise_for_status().json()
        return answered

    def reports(self, service: Server, token: str | None = None, scheme: str = "Bearer") -> httpx.Response:
        """What a service answers to who shows a token."""
        headers = {} if token is None else {b"Authorization": f"{scheme} {token}".encode()}
        return self.http.get(f"{service.url}/reports", headers=headers)

    def statuses(self, token: str) -> set[int]:
        """What all services answer."""
        return {self.reports(service, token).status_code for service in self.services.values()}


def command(login: Server, *arguments: str) -> str:
    """What a command on the login service's instance tells."""
    done = in_process(*arguments, environ=login.environ)
    assert done.exit_code == 0, done
    return done.stdout


def signing_key(instance: Path) -> SigningKey:
    """The key of a login service, from its database, so that a test may sign what the service never would."""
    keys = KeyHolder(algorithm="ES256", secret=SECRET.encode())

    async def read() -> None:
        store = await store_at(f"sqlite:///{instance / 'watchword.db'}").open()
        await load(keys, store=store, clock=system_clock)
        await store.close()

    asyncio.run(read())
    return keys.ring.signer


def served(framework: str, check: str, folder: Path, environ: dict[str, str]) -> AbstractContextManager[Server]:
    """A recipe's service with one of the checks: the one line that names it is changed, as the page says."""
    folder.mkdir()
    for file in RECIPES.glob("*.py"):
        shutil.copy(file, folder)
    program = folder / f"{framework}.py"
    imported = f"from verify_with_{AS_WRITTEN[framework]} import "
    assert program.read_text().count(imported) == 1
    program.write_text(program.read_text().replace(imported, f"from verify_with_{check} import "))
    port = free_port()
    serve = [sys.executable, "-m", "hypercorn", "-w", "0", f"{framework}:app", "--bind", f"127.0.0.1:{port}"]
    path = os.pathsep.join(filter(None, (str(folder), environ.get("PYTHONPATH"))))
    return running(serve, environ={**environ, "PYTHONPATH": path}, port=port, log=folder / "log")


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    """All of it, each service a process of its own."""
    folder = tmp_path_factory.mktemp("recipes")
    port = free_port()
    with (
        watchword_server(folder / "login", ISSUER=f"http://127.0.0.1:{port}", port=port) as login,
        httpx.Client(limits=httpx.Limits(keepalive_expiry=1)) as http,  # gives up before a server does
        ExitStack() as services,
    ):
        users = ({"username": "alice", "scope": "reports:read"}, {"username": "bob"})
        (folder / "users").write_text("\n".join(json.dumps({**user, "password": PASSWORD}) for user in users))
        command(login, "users", "import", str(folder / "users"))
        secret = command(login, "clients", "add", "gateway", "--scope", "tokens:introspect")
        (folder / "client_secret").write_text(secret)
        environ = {
            **environment(folder),
            "HTTP_PROXY": f"http://127.0.0.1:{free_port()}",  # who listened there could say which tokens are good
            "LOGIN_SERVICE": login.url,
            "CLIENT_NAME": "gateway",
            "CLIENT_SECRET_FILE": str(folder / "client_secret"),
        }
        system = System(login, environ, signing_key(folder / "login"), http)
        for framework, check in PAIRS:
            service = served(framework, check, folder / f"{framework} {check}", environ)
            system.services[framework, check] = services.enter_context(service)
        yield system


@pytest.mark.parametrize(("framework", "check"), PAIRS)
def test_a_service_lets_in_who_has_a_token_with_the_scope(system: System, framework: str, check: str) -> None:
    """200 with the user's name; else 401 or 403, each with the challenge of RFC 6750."""
    service = system.services[framework, check]
    token = system.log_in()["token"]
    for scheme in ("Bearer", "bearer"):
        answer = system.reports(service, token, scheme)
        assert (answer.status_code, answer.json()) == (200, {"reports_for": "alice"})

    for missing in (system.reports(service), system.reports(service, "YTpi", "Basic")):
        assert (missing.status_code, missing.headers["WWW-Authenticate"]) == (401, 'Bearer realm="reports"')
    invalid = system.reports(service, f"{token}x")
    assert invalid.status_code == 401
    assert invalid.headers["WWW-Authenticate"] == 'Bearer realm="reports", error="invalid_token"'
    lacking = system.reports(service, system.log_in("bob")["token"])
    challenge = 'Bearer realm="reports", error="insufficient_scope", scope="reports:read"'
    assert (lacking.status_code, lacking.headers["WWW-Authenticate"]) == (403, challenge)


def test_several_authorization_headers_are_refused(system: System) -> None:
    """Whichever is good: a proxy before the service may have believed another than the service does."""
    token = system.log_in()["token"]
    for first, second in ((token, "another"), ("another", token), (token, token)):
        headers = [("Authorization", f"Bearer {first}"), ("Authorization", f"Bearer {second}")]
        for pair, service in system.services.items():
            answer = system.http.get(f"{service.url}/reports", headers=headers)
            assert (answer.status_code, pair) == (401, pair)


def test_what_python_takes_for_a_space_is_none(system: System) -> None:
    """A byte after the token that the guard refuses, Flask's recipe refuses too; FastAPI strips it by itself."""
    service = system.services["flask_app", "pyjwt"]
    token = system.log_in()["token"].encode()
    for after, status in ((b"", 200), (b"\xa0", 401), (b"\x85", 401)):
        answer = system.http.get(f"{service.url}/reports", headers={b"Authorization": b"Bearer " + token + after})
        assert (answer.status_code, after) == (status, after)


def genuine(system: System, *, audience: str | None = "watchword", issuer: str | None = None, **claims: Any) -> str:
    """A token that the login service's own key has signed."""
    now = system_clock()
    token = AccessToken(
        sub="1", username="alice", sid="s", jti="j", client_id="watchword", scope="reports:read",
        iat=now, exp=now + 900, auth_time=now,
    )  # fmt: skip
    profile = tokens.Profile(issuer or system.login.url, audience)
    return tokens.mint(replace(token, **claims), key=system.genuine, profile=profile)


def signed(key: SigningKey, header: dict[str, Any] | bytes, claims: dict[str, Any]) -> str:
    """A token with any header and any claims."""
    written = header if isinstance(header, bytes) else json.dumps(header).encode()
    message = f"{b64encode(written)}.{b64encode(json.dumps(claims).encode())}"
    return f"{message}.{b64encode(key.sign(message.encode()))}"


def signed_with_a_secret(secret: bytes, header: dict[str, Any], claims: dict[str, Any]) -> str:
    """A token of HS256, however weak the secret is."""
    written = {**header, "alg": "HS256"}
    message = f"{b64encode(json.dumps(written).encode())}.{b64encode(json.dumps(claims).encode())}"
    return f"{message}.{b64encode(hmac.digest(secret, message.encode(), hashlib.sha256))}"


def bad_tokens(system: System) -> Iterator[tuple[str, str]]:
    """What nobody may be let in with, and what it is."""
    key, stranger, now = system.genuine, SigningKey.generate("ES256"), system_clock()
    header = {"alg": "ES256", "kid": key.kid, "typ": "at+jwt"}
    claims = {
        "iss": system.login.url, "aud": "watchword", "sub": "1", "username": "alice", "scope": "reports:read",
        "iat": now, "exp": now + 900, "auth_time": now, "sid": "s", "jti": "j", "client_id": "watchword",
    }  # fmt: skip
    yield "expired", genuine(system, iat=now - 1000, auth_time=now - 1000, exp=now - 100)
    yield "of another issuer", genuine(system, issuer="https://evil.example")
    yield "of almost this issuer", genuine(system, issuer=f"{system.login.url}/")
    yield "for another audience", genuine(system, audience="another")
    yield "for no audience", genuine(system, audience=None)
    for name in ("iss", "aud", "exp", "sub"):
        yield f"without {name}", signed(key, header, {each: claims[each] for each in claims if each != name})
    yield "an endless one", signed(key, header, {**claims, "exp": None})
    for typ in ("JWT", None, ["at+jwt"], "refresh+jwt"):
        yield f"of type {typ}", signed(key, {**header, "typ": typ}, claims)
    yield "without a type", signed(key, {"alg": "ES256", "kid": key.kid}, claims)
    yield "forged under the real key's id", signed(stranger, header, claims)
    yield "forged with its own key", signed(stranger, {**header, "jwk": stranger.verification.jwk()}, claims)
    kids: tuple[object, ...] = (
        stranger.kid,
        "",
        None,
        1,
        [key.kid],
        {},
        "../../dev/null",
        "x" * 3000,
        "' OR 1=1--",
        "\r\n",
    )
    for kid in kids:
        yield f"with the key id {str(kid)[:20]!r}", signed(stranger, {**header, "kid": kid}, claims)
    yield "without a key id", signed(stranger, {"alg": "ES256", "typ": "at+jwt"}, claims)
    public = json.dumps(key.verification.jwk()).encode()
    for secret in (public, b"", key.kid.encode()):
        yield "signed with what is public as a secret", signed_with_a_secret(secret, header, claims)
    algorithms = ("none", "None", "HS256", "RS256", "ES384", "EdDSA", "ES256 ", 1, None, ["ES256"])
    for algorithm in algorithms:
        yield f"with the algorithm {algorithm}", signed(key, {**header, "alg": algorithm}, claims)
    yield "unsigned", signed(key, {**header, "alg": "none"}, claims).rpartition(".")[0] + "."
    yield "with an extension", signed(key, {**header, "crit": ["exp"], "exp": now}, claims)
    crits: tuple[object, ...] = (1, [1], [[]])
    for extensions in crits:
        yield f"with the extensions {extensions}", signed(key, {**header, "crit": extensions}, claims)
    good = signed(key, header, claims)
    yield "cut", good[:-1]
    yield "longer", f"{good}A"
    yield "with a part more", f"{good}.AA"
    for text in (".", "..", "a.b.c", "A" * 4000, "\u00e9", "%", "null", "eyJ9.e30.", system.log_in()["refresh_token"]):
        yield f"no token: {text[:10]}", text
    for written in (b"[", b"[]", b"null", b"{", b"\xff", b"[" * 2900, b'{"kid":' + b"9" * 2900 + b"}"):
        yield f"with the header {written[:10]!r}", signed(key, written, claims)


def test_no_other_token_is_good(system: System) -> None:
    """Forged, expired, of another issuer, for others, of another kind: 401 everywhere, and never 500 (rows 42, 43)."""
    assert system.statuses(genuine(system)) == {200}, "what is forged below is wrong in one thing alone"
    for what, token in bad_tokens(system):
        for pair, service in system.services.items():
            answer = system.reports(service, token)
            assert (answer.status_code, what, pair) == (401, what, pair)
            assert answer.headers["WWW-Authenticate"] == 'Bearer realm="reports", error="invalid_token"'


def test_unknown_keys_cause_few_fetches(system: System) -> None:
    """However many tokens name keys that nobody has, there is one fetch in two seconds (row 43)."""
    service = system.services["flask_app", "pyjwt"]
    stranger = SigningKey.generate("ES256")
    logged, began = system.login.log.stat().st_size, time.monotonic()
    for number in range(300):
        token = signed(stranger, {"alg": "ES256", "kid": f"unknown {number}", "typ": "at+jwt"}, {"sub": "1"})
        assert system.reports(service, token).status_code == 401
    took = time.monotonic() - began
    fetches = system.login.logged(0, since=logged).count("/.well-known/jwks.json")
    assert fetches <= 1 + took / 2


def test_made_up_keys_hold_no_thread_while_the_login_service_is_silent(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of those who name one, one asks; the rest have their answer before it, and their threads are for the others."""
    with socket.create_server(("127.0.0.1", 0)) as silent, ThreadPoolExecutor() as threads:  # accepts, and says nothing
        monkeypatch.setenv("LOGIN_SERVICE", f"http://127.0.0.1:{silent.getsockname()[1]}")
        recipe = runpy.run_path(str(RECIPES / "login_service.py"))

        def find(kid: str) -> float:
            began = time.monotonic()
            with pytest.raises(recipe["Unavailable"]):
                recipe["keys"].find(kid)
            return time.monotonic() - began

        *others, who_asks = sorted(threads.map(find, ("one", "another", "a third")))
    assert who_asks >= 2
    assert max(others) < 1.5


def test_a_worker_has_a_connection_of_its_own(system: System) -> None:
    """Forked from a process that had asked, workers read each other's answers: of two users, one was the other."""
    program = """
import os, sys
from login_service import ISSUER, login_service

def connection():
    return login_service.get(f"{ISSUER}/healthz").extensions["network_stream"].get_extra_info("client_addr")

before = connection()
assert connection() == before
if child := os.fork():
    sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
os._exit(connection() == before)
"""
    environ = {**system.environ, "PYTHONPATH": str(RECIPES)}
    assert subprocess.run([sys.executable, "-c", program], env=environ, timeout=60, check=False).returncode == 0


def test_a_new_key_costs_nobody_a_refusal(system: System) -> None:
    """After ``keys rotate --now`` tokens of the new key pass, and those of the former key still do (row 93)."""
    before = system.log_in()["token"]
    command(system.login, "keys", "rotate", "--now")
    after = system.log_in()["token"]
    assert before.partition(".")[0] != after.partition(".")[0]
    assert system.statuses(after) == {200}
    assert system.statuses(before) == {200}


def test_a_logout_is_known_to_who_asks(system: System) -> None:
    """By introspection at once; where the token alone is checked it is good until it expires, as the page says."""
    token = system.log_in()["token"]
    assert system.statuses(token) == {200}
    bearer = {"Authorization": f"Bearer {token}"}
    system.http.post(f"{system.login.url}/logout", headers=bearer).raise_for_status()
    for (_, check), service in system.services.items():
        assert system.reports(service, token).status_code == (401 if check == "introspection" else 200)


@pytest.mark.parametrize("check", CHECKS)
def test_a_check_is_a_program_too(system: System, check: str) -> None:
    """It says whose token it is, or in one word and with status 1 why it cannot."""
    token = system.log_in()["token"]

    def said(token: str, login_service: str = system.login.url) -> tuple[int, str, str]:
        done = subprocess.run(
            [sys.executable, str(RECIPES / f"verify_with_{check}.py")],
            env={**system.environ, "LOGIN_SERVICE": login_service},
            input=f"{token}\n", capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
        return done.returncode, done.stdout, done.stderr.splitlines()[-1] if done.stderr else ""

    assert said(token) == (0, "alice\n", "")
    for nothing_like_one in ("", "\0", "\u2603", "x" * 17_000):  # the login service would not read these either
        assert said(nothing_like_one) == (1, "", "InvalidToken")
    assert said(token, f"http://127.0.0.1:{free_port()}") == (1, "", "Unavailable")


def test_introspection_does_not_start_with_an_empty_secret(system: System, tmp_path: Path) -> None:
    """As a shell leaves it of a ``clients add`` that was refused: each request would be a 503, and nobody knew why."""
    (tmp_path / "client_secret").write_text("")
    done = subprocess.run(
        [sys.executable, str(RECIPES / "verify_with_introspection.py")],
        env={**system.environ, "CLIENT_SECRET_FILE": str(tmp_path / "client_secret")},
        input="\n", capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert done.stderr.endswith("CLIENT_SECRET_FILE names is empty\n")


@pytest.mark.parametrize(("scope", "outcome"), [("tokens:introspect", "alice"), ("metrics:read", "403"), ("", "401")])
def test_introspection_says_who_it_is_and_when_that_is_refused(
    system: System, tmp_path: Path, scope: str, outcome: str
) -> None:
    """Any name that an account may have will do (RFC 6749 §2.3.1). A refused account is an error in the log, without
    any secret: all tokens would be a 503, and nobody knew why.
    """
    name, secret = f"{outcome}+%41", "wws_1.unknown"
    if scope:
        secret = command(system.login, "clients", "add", name, "--scope", scope).strip()
    (tmp_path / "client_secret").write_text(secret)
    token = system.log_in()["token"]
    done = subprocess.run(
        [sys.executable, str(RECIPES / "verify_with_introspection.py")],
        env={**system.environ, "CLIENT_NAME": name, "CLIENT_SECRET_FILE": str(tmp_path / "client_secret")},
        input=f"{token}\n", capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    if outcome == "alice":
        assert (done.stdout, done.stderr) == ("alice\n", "")
    else:
        assert done.stderr == f"{system.login.url} refuses this account: status {outcome}\nUnavailable\n"


@pytest.mark.parametrize(("framework", "check"), [("flask_app", "pyjwt"), ("fastapi_app", "introspection")])
def test_nobody_passes_while_it_cannot_be_told(system: System, tmp_path: Path, framework: str, check: str) -> None:
    """A service that has never reached its login service answers 503, with Retry-After."""
    token = system.log_in()["token"]
    environ = {**system.environ, "LOGIN_SERVICE": f"http://127.0.0.1:{free_port()}"}
    with served(framework, check, tmp_path / "service", environ) as service:
        answer = system.reports(service, token)
        assert (answer.status_code, answer.headers["Retry-After"]) == (503, "1")
