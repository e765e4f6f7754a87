"""What every test may ask for: a fresh database of either kind, its instruments, the application, a real server."""

import asyncio
import io
import json
import shutil
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import hypothesis
import pytest
from quart import Quart
from quart.typing import TestClientProtocol

from tests.builders import FakeClock, cheap_settings
from tests.cli.commands import COMMAND, fresh_environment, run
from tests.postgresql import fresh_database, postgresql
from tests.servers import Server, watchword_server
from watchword import telemetry
from watchword.app import create_app, start_tools
from watchword.flows import Tools
from watchword.instruments import build_tools as build
from watchword.settings import Settings
from watchword.store import migrations

hypothesis.settings.register_profile("untimed", deadline=None)  # a deadline would make every property a timed test
hypothesis.settings.load_profile("untimed")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the folders whose files take longest, so that none is left alone at the end."""
    first = ("stories", "races", "faults", "cli")
    items.sort(key=lambda item: item.path.parent.name not in first)


@pytest.fixture(scope="session")
def postgresql_server() -> Iterator[str]:
    """A real PostgreSQL, for as long as the tests run."""
    with postgresql() as url:
        yield url


@pytest.fixture(scope="session")
def postgresql_template(postgresql_server: str) -> Iterator[str]:
    """The name of a PostgreSQL database that has our schema, to be copied."""
    with fresh_database(postgresql_server) as url:
        migrations.upgrade(url)
        yield urlsplit(url).path.strip("/")


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SQLite file that has our schema, to be copied."""
    path = tmp_path_factory.mktemp("template") / "watchword.db"
    migrations.upgrade(f"sqlite:///{path}")
    return path


@pytest.fixture
def sqlite_url(sqlite_template: Path, tmp_path: Path) -> str:
    """A fresh SQLite database with our schema."""
    return f"sqlite:///{shutil.copy(sqlite_template, tmp_path / 'watchword.db')}"


@pytest.fixture
def postgresql_url(postgresql_server: str, postgresql_template: str) -> Iterator[str]:
    """A fresh PostgreSQL database with our schema."""
    with fresh_database(postgresql_server, postgresql_template) as url:
        yield url


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest) -> str:
    """A fresh database with our schema; a test that asks for it runs once on each kind."""
    url: str = request.getfixturevalue(f"{request.param}_url")
    return url


@pytest.fixture
def clock() -> FakeClock:
    """A clock that stands still until the test moves it."""
    return FakeClock()


@pytest.fixture
def settings(database_url: str, tmp_path: Path) -> Settings:
    """Settings on a fresh database, with hashes that cost next to nothing."""
    return cheap_settings(instance=tmp_path, database_url=database_url)


@pytest.fixture
async def tools(settings: Settings, clock: FakeClock) -> AsyncIterator[Tools]:
    """The instruments of a running service."""
    tools = build(settings, clock=clock)
    async with AsyncExitStack() as running:
        await start_tools(tools, settings, running)
        yield tools


@pytest.fixture
async def app(settings: Settings, clock: FakeClock) -> AsyncIterator[Quart]:
    """The application, started."""
    app = create_app(settings, clock=clock)
    async with app.test_app():
        yield app


@pytest.fixture
def client(app: Quart) -> TestClientProtocol:
    """A client of the started application."""
    return app.test_client()


Lines = Callable[[], list[dict[str, Any]]]


@pytest.fixture
def log_lines() -> Iterator[Lines]:
    """What has been written to the log of requests and events since the test began, as objects."""
    written = io.BytesIO()
    telemetry.write_requests_to(written)

    def lines() -> list[dict[str, Any]]:
        telemetry.write_requests_to(written)  # writes what still waits
        return [json.loads(line) for line in written.getvalue().splitlines()]

    yield lines
    telemetry.write_requests_to(None)


@pytest.fixture
def request_lines(log_lines: Lines) -> Lines:
    """The lines of requests alone."""
    return lambda: [line for line in log_lines() if line["event"] == "request"]


@pytest.fixture
def event_lines(log_lines: Lines) -> Lines:
    """The lines of audit events alone."""
    return lambda: [line for line in log_lines() if "writer" in line]


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    """``watchword serve`` as a process of its own, on a loopback port and a fresh SQLite instance."""
    with watchword_server(tmp_path / "instance") as server:
        yield server


@pytest.fixture(scope="session")
def installation(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An instance that is set up without a secret in the environment, to be copied."""
    instance = tmp_path_factory.mktemp("installation") / "instance"
    run([*COMMAND, "init"], environ=fresh_environment(instance)).check_returncode()
    return instance


@pytest.fixture
def instance(installation: Path, tmp_path: Path) -> Path:
    """An instance that is set up, to be spoilt."""
    return Path(shutil.copytree(installation, tmp_path / "instance"))


@pytest.fixture
async def busy() -> AsyncIterator[threading.Event]:
    """The event loop's own threads, all taken by views that are slow, until the event is set."""
    is_over, loop = threading.Event(), asyncio.get_running_loop()
    with ThreadPoolExecutor(1) as views:
        loop.set_default_executor(views)
        views.submit(is_over.wait, 30)
        yield is_over
        is_over.set()
    loop.set_default_executor(ThreadPoolExecutor())  # for the tests that follow, on the same loop
