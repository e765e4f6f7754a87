"""Who is measured: ours and its peers, how each is installed, given its users, deployed and logged in to.

Each peer lives in a virtual environment of its own, from ``requirements/NAME.txt``, and is started with the command
of its documentation, with a worker for each core where that leaves the number open.
"""

import json
import os
import sqlite3
import subprocess
import sys
import time
import uuid
import venv
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from urllib.parse import urlencode

from benchmarks.people import PASSWORD, password_hash, username
from benchmarks.processes import HOST, Server, free_port, running
from watchword.bench.engine import Request

ROOT: Final = Path(__file__).parents[1]
APPS: Final = ROOT / "benchmarks" / "apps"
REQUIREMENTS: Final = ROOT / "benchmarks" / "requirements"

_BIND: Final = f"{HOST}:{{port}}"
_PYTHON: Final = (sys.executable, "-m")
_SECRET: Final = {"SECRET_KEY": "benchmarks sign with what everybody may read"}


@dataclass(frozen=True, slots=True)
class Program:
    """One way to log in, deployed.

    Attributes:
        name: in results.
        title: for people.
        deployed: the command as people type it.
        arguments: the same as it is started here, with ``{port}`` where the port goes.
        environ: the variables that it reads, with ``{port}`` as well.
        login: the request that logs in the user of this number.
        token: the member of the answer that holds the token.
        me: the guarded path that tells who the bearer is.
    """

    name: str
    title: str
    deployed: str
    arguments: Sequence[str]
    environ: Mapping[str, str]
    login: Callable[[int], Request] = field(repr=False)
    token: str = "token"
    me: str = "/me"

    def started(self, work: Path) -> AbstractContextManager[Server]:
        """The program, serving on a free port; its log goes into the work folder."""
        port = free_port()
        return running(
            [argument.format(port=port) for argument in self.arguments],
            environ=_environ({name: value.replace("{port}", str(port)) for name, value in self.environ.items()}),
            folder=APPS,
            port=port,
            log=work / f"{self.name}.log",
        )


def login_as_json(number: int) -> Request:
    """What a client of the tutorial sends."""
    body = json.dumps({"username": username(number), "password": PASSWORD}).encode()
    return Request("POST", "/login", (("Content-Type", "application/json"),), body)


# --- ours --------------------------------------------------------------------------------------------------------


def ours(instance: Path, *, workers: int = 2, **settings: str) -> Program:
    """Watchword as its README deploys it, with settings where a measurement needs other ones."""
    return Program(
        name="watchword",
        title="Watchword",
        deployed=f"watchword serve --workers {workers}",
        arguments=(*_PYTHON, "watchword", "serve", "--workers", str(workers), "--bind", _BIND),
        environ=_settings(instance, settings),
        login=login_as_json,
    )


def set_up(program: Program, users: Path) -> float:
    """Make the instance of one of ours and import its users; return the seconds that the import took."""
    environ = _environ(program.environ)
    subprocess.run([*_PYTHON, "watchword", "init"], env=environ, stdout=subprocess.DEVNULL, check=True)
    started = time.perf_counter()
    subprocess.run(
        [*_PYTHON, "watchword", "users", "import", users], env=environ, stdout=subprocess.DEVNULL, check=True
    )
    return time.perf_counter() - started


def service_token(instance: Path) -> str:
    """The secret of a new client that may follow which sessions of one of ours have ended."""
    command = (*_PYTHON, "watchword", "clients", "add", "benchmark", "--scope", "revocations:read")
    environ = _environ(_settings(instance, {}))
    return subprocess.run(command, env=environ, capture_output=True, text=True, check=True).stdout.strip()


def one_hypercorn(name: str, application: str, instance: Path, **settings: str) -> Program:
    """An application in one plain Hypercorn process with our hypercorn.toml, so that two differ in themselves alone."""
    return Program(
        name=name,
        title=name,
        deployed=f"hypercorn -c hypercorn.toml {application}",
        arguments=(*_PYTHON, "hypercorn", "-c", str(ROOT / "hypercorn.toml"), application, "--bind", _BIND),
        environ=_settings(instance, settings),
        login=login_as_json,
    )


# --- its peers ---------------------------------------------------------------------------------------------------


def install(environments: Path) -> None:
    """Make each peer's virtual environment, unless it is there and its pins have not changed since."""
    for pins in sorted(REQUIREMENTS.glob("*.txt")):
        folder = environments / pins.stem
        installed = folder / "installed.txt"
        if installed.exists() and installed.read_bytes() == pins.read_bytes():
            continue
        print(f"Installing {pins.relative_to(ROOT)}", file=sys.stderr)
        venv.create(folder, clear=True, with_pip=True)
        pip = (folder / "bin" / "python", "-m", "pip", "--quiet", "--no-input", "--disable-pip-version-check")
        subprocess.run([*pip, "install", "--require-hashes", "--no-deps", "-r", pins], env=_environ({}), check=True)
        installed.write_bytes(pins.read_bytes())


def peers(environments: Path, work: Path, *, users: int) -> Sequence[Program]:
    """The peers, each with a database of so many users in the work folder."""
    return (
        _flask(environments / "flask" / "bin", work / "flask.db", users),
        _fastapi_users(environments / "fastapi_users" / "bin", work / "fastapi_users.db", users),
        _quart(environments / "quart" / "bin", work / "quart.db", users),
    )


def _flask(programs: Path, database: Path, users: int) -> Program:
    _make_tutorial_table(database, users)
    return Program(
        name="flask",
        title="Flask + Flask-JWT-Extended on gunicorn",
        deployed="gunicorn -w 4 flask_app:app",
        arguments=(str(programs / "gunicorn"), "-w", "4", "-b", _BIND, "flask_app:app"),
        environ={"DATABASE": str(database), **_SECRET},
        login=login_as_json,
    )


def _quart(programs: Path, database: Path, users: int) -> Program:
    _make_tutorial_table(database, users)
    return Program(
        name="quart",
        title="naive Quart on hypercorn",
        deployed="hypercorn --workers 2 quart_app:app",
        arguments=(str(programs / "hypercorn"), "--workers", "2", "--bind", _BIND, "quart_app:app"),
        environ={"DATABASE": str(database), **_SECRET},
        login=login_as_json,
    )


def _fastapi_users(programs: Path, database: Path, users: int) -> Program:
    environ = {"DATABASE": str(database), **_SECRET}
    make_tables = "import asyncio, fastapi_users_app as peer; asyncio.run(peer.create_tables())"
    subprocess.run([programs / "python", "-c", make_tables], env=_environ(environ), cwd=APPS, check=True)
    stored = password_hash()
    with closing(sqlite3.connect(database)) as connection, connection:
        connection.executemany(
            "INSERT INTO user (id, email, hashed_password, is_active, is_superuser, is_verified)"
            " VALUES (?, ?, ?, 1, 0, 1)",
            ((str(uuid.uuid4()), _email(number), stored) for number in range(users)),
        )
    return Program(
        name="fastapi_users",
        title="fastapi-users on uvicorn",
        deployed="uvicorn --workers 2 fastapi_users_app:app",
        arguments=(
            str(programs / "uvicorn"),
            "--workers",
            "2",
            "--host",
            HOST,
            "--port",
            "{port}",
            "fastapi_users_app:app",
        ),
        environ=environ,
        login=_login_as_form,
        token="access_token",
        me="/users/me",
    )


def _make_tutorial_table(database: Path, users: int) -> None:
    stored = password_hash()
    with closing(sqlite3.connect(database)) as connection, connection:
        connection.execute("CREATE TABLE users (username TEXT PRIMARY KEY, password_hash TEXT NOT NULL)")
        rows = ((username(number), stored) for number in range(users))
        connection.executemany("INSERT INTO users VALUES (?, ?)", rows)


def _login_as_form(number: int) -> Request:
    body = urlencode({"username": _email(number), "password": PASSWORD}).encode()
    return Request("POST", "/auth/jwt/login", (("Content-Type", "application/x-www-form-urlencoded"),), body)


def _email(number: int) -> str:
    return f"{username(number)}@example.com"


def _settings(instance: Path, settings: Mapping[str, str]) -> dict[str, str]:
    return {f"WATCHWORD_{name}": value for name, value in {"INSTANCE": str(instance), **settings}.items()}


def _environ(own: Mapping[str, str]) -> dict[str, str]:
    """A program's own variables beside the usual ones, but for what was set for another Watchword."""
    return {name: value for name, value in os.environ.items() if not name.startswith("WATCHWORD_")} | dict(own)
