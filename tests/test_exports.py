"""What `watchword` exports, and what importing it costs."""

import json
import subprocess
import sys

import pytest

import watchword
import watchword.client
import watchword.guard

LIGHT = "import watchword"
GUARD = "from watchword import AccessToken, Guard, KeyRing, current_token, token_required"
CLIENT = "from watchword.client import WatchwordAuth"
SERVICE = "from watchword import create_app"


def loaded_by(statement: str) -> set[str]:
    """The modules, by full name, that a fresh interpreter has after a statement."""
    program = f"import json, sys\n{statement}\nprint(json.dumps(sorted(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    return set(json.loads(done.stdout))


def test_the_public_names() -> None:
    """These names and no others are promised to other applications."""
    assert watchword.__all__ == ["AccessToken", "Guard", "KeyRing", "create_app", "current_token", "token_required"]
    assert watchword.guard.__all__ == ["Guard", "Refusal", "current_token", "token_required"]
    assert watchword.client.__all__ == [
        "LoginRefused",
        "NotAuthenticated",
        "ServiceUnavailable",
        "SessionOver",
        "UnexpectedAnswer",
        "WatchwordAuth",
    ]


def test_every_public_name_is_there() -> None:
    """Each name leads to the object at home in its module, and completion finds it."""
    from watchword import app, guard, keys, model

    assert watchword.AccessToken is model.AccessToken
    assert watchword.Guard is guard.Guard
    assert watchword.KeyRing is keys.KeyRing
    assert watchword.create_app is app.create_app
    assert watchword.token_required is guard.token_required
    assert watchword.current_token is guard.current_token
    assert set(watchword.__all__) <= set(dir(watchword))


def test_another_name_is_an_attribute_error() -> None:
    """A name that is not there is refused as by any module."""
    with pytest.raises(AttributeError, match="'watchword' has no attribute 'Gaurd'"):
        _ = watchword.Gaurd


def test_importing_watchword_costs_nothing() -> None:
    """The package alone loads nothing but itself: no framework, no database, no cryptography."""
    ours = {name for name in loaded_by(LIGHT) if name.partition(".")[0] == "watchword"}
    assert ours == {"watchword"}
    others = {name.partition(".")[0] for name in loaded_by(LIGHT) - loaded_by("pass")}
    assert others & {"quart", "asyncpg", "jwt", "cryptography", "asyncio"} == set()


def test_the_guard_loads_nothing_of_the_server() -> None:
    """Other applications that guard themselves load no database, no hashing, no settings and none of our endpoints."""
    loaded = loaded_by(GUARD)
    assert {"watchword.guard", "quart", "jwt"} <= loaded
    heavy = {"sqlalchemy", "alembic", "sqlite3", "asyncpg", "argon2", "nacl", "msgspec", "precis_i18n", "httpx"}
    assert {name.partition(".")[0] for name in loaded} & heavy == set()
    server = {"app", "endpoints", "flows", "passwords", "settings", "store", "telemetry", "cli", "serve"}
    assert {name.split(".")[1] for name in loaded if name.startswith("watchword.")} & server == set()


def test_the_client_loads_httpx_and_little_else() -> None:
    """A program that only calls guarded routes loads no framework, no cryptography, and nothing of guard or server."""
    loaded = loaded_by(CLIENT)
    assert "httpx" in loaded
    assert {name.partition(".")[0] for name in loaded} & {"quart", "jwt", "cryptography", "msgspec", "sqlite3"} == set()
    ours = {name.split(".")[1] for name in loaded if name.startswith("watchword.")}
    assert ours == {"bearer_tokens", "client", "clock", "loopback", "strictjson"}


def test_the_service_loads_what_the_guard_does_not() -> None:
    """The proof that the tests above can fail: the service does load what they look for."""
    assert {"msgspec", "watchword.store", "watchword.passwords", "watchword.endpoints"} <= loaded_by(SERVICE)


@pytest.mark.parametrize("module", ["audit", "clients", "keys", "service", "sessions", "users"])
def test_a_command_loads_no_web_framework(module: str) -> None:
    """It would be more than half of a command's start."""
    loaded = {name.partition(".")[0] for name in loaded_by(f"import watchword.cli.{module}")}
    assert loaded & {"quart", "flask", "hypercorn", "httpx"} == set()


def test_the_service_does_not_describe_itself_before_it_is_asked() -> None:
    """A start has no time for what most processes are never asked for."""
    described = {"watchword.endpoints.openapi", "watchword.markup"}
    assert loaded_by(SERVICE) & described == set()
    assert described <= loaded_by("import watchword.endpoints.openapi.page")


def test_the_service_loads_nothing_of_the_migrations() -> None:
    """SQLAlchemy and Alembic would be a third of a worker's memory, and a third of its start."""
    program = "from watchword import create_app\nimport watchword.store.sqlite, watchword.store.postgresql"
    assert {name.partition(".")[0] for name in loaded_by(program)} & {"sqlalchemy", "alembic"} == set()
