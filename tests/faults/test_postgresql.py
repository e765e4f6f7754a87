"""PostgreSQL away, silent, slow, cutting connections: nobody is told anything wrong, and it is over when it is over."""

import asyncio
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg
import pytest

from tests.faults.load import Load, all_work, check_refusals, counts, slowest, statuses, tell, told
from tests.faults.proxy import Proxy
from tests.postgresql import fresh_database
from tests.races.clients import add_users, tokens
from tests.races.rounds import IS_FULL
from tests.servers import Server, environment, watchword, watchword_server

CLIENTS = 6
SOON = 5.0 if IS_FULL else 20.0
"""Seconds after which all must work again: on a machine that does other things too 5 are only asked for in full."""
PROMPT = 2.5 if IS_FULL else 8.0
"""Seconds in which a refusal must come."""
OURS = "FROM pg_stat_activity WHERE application_name = 'watchword' AND datname = current_database()"


@pytest.fixture(scope="module")
def database(postgresql_server: str) -> Iterator[str]:
    """A database."""
    with fresh_database(postgresql_server) as url:
        yield url


@pytest.fixture(scope="module")
def network(database: str) -> Iterator[Proxy]:
    """What lies between the service and its database."""
    with Proxy.before(database) as proxy:
        yield proxy


@pytest.fixture(scope="module")
def server(network: Proxy, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A service behind it, whose clients may lose answers for as long as a fault lasts."""
    instance = tmp_path_factory.mktemp("service") / "instance"
    with watchword_server(instance, DATABASE_URL=network.url, REFRESH_GRACE="60") as server:
        add_users(server, "alice")
        yield server


async def check_connections(database: str) -> None:
    """See that no connection was left behind: not more than the pools have, and none inside a transaction."""
    connection = await asyncpg.connect(database)
    deadline = time.monotonic() + SOON
    while True:
        states = [state for (state,) in await connection.fetch(f"SELECT state {OURS}")]
        if len(states) <= 12 and "idle in transaction" not in states:
            break
        assert time.monotonic() < deadline, states
        await asyncio.sleep(0.1)
    await connection.close()


async def test_a_database_that_goes_away_and_comes_back(server: Server, network: Proxy, database: str) -> None:
    """Row F2: 503 at once; guarded routes 503 once news are too old, never 200 for long; then all without a restart."""
    async with Load(server).running(CLIENTS) as load:
        await load.until(all_work, since=time.monotonic())
        gone = time.monotonic()
        network.go_away()
        await load.until(lambda seen: 503 in statuses(seen, "guarded"), since=gone)
        await asyncio.sleep(30 if IS_FULL else 0)
        await load.until(lambda seen: 503 in statuses(seen, "login"), since=gone + 1)
        away = load.between(gone + 1)
        stale = load.between(gone + 6.5)
        back = time.monotonic()
        network.come_back()
        seconds = await load.until(all_work, since=back, seconds=SOON)
    told("F2, away", away)
    tell(f"F2: all works {seconds:.1f} s after the return")
    check_refusals(load.seen)
    assert statuses(away, "login", "refresh", "logout") == {503}, counts(away)
    assert statuses(stale, "guarded") <= {503}
    assert statuses(load.seen, "health") == {200}
    assert slowest(load.between(gone)) < PROMPT
    await check_connections(database)


@pytest.mark.parametrize("fault", ["silent", "slow"])
async def test_a_database_that_does_not_answer_in_time(
    server: Server, network: Proxy, database: str, fault: str
) -> None:
    """Row F3: told to wait within two seconds, statement by statement; the event loop stands still for nobody."""
    async with Load(server).running(CLIENTS) as load:
        await load.until(all_work, since=time.monotonic())
        began = time.monotonic()
        if fault == "slow":
            network.delay = 5.0
        else:
            network.swallow()
        await asyncio.sleep(30 if IS_FULL else 0)
        await load.until(lambda seen: 503 in statuses(seen, "login", "refresh", "logout"), since=began + 0.1)
        ended = time.monotonic()
        meanwhile = load.between(began + 0.1)
        network.delay = 0.0
        network.pass_on()
        seconds = await load.until(all_work, since=ended, seconds=SOON)
    told(f"F3, {fault}", meanwhile)
    tell(f"F3, {fault}: all works {seconds:.1f} s after the end")
    check_refusals(load.seen)
    assert statuses(meanwhile, "login", "refresh", "logout") == {503}, counts(meanwhile)
    assert statuses(load.seen, "health") == {200}
    assert slowest(load.between(began)) < PROMPT
    await check_connections(database)


def test_a_service_ends_in_order_while_its_database_is_silent(network: Proxy, tmp_path: Path) -> None:
    """Row F3: what waits for an answer is cut and does not wait on, so the process ends with 0, and soon."""
    with watchword_server(tmp_path / "instance", DATABASE_URL=network.url) as server:
        network.swallow()
        try:
            time.sleep(1)  # by then it looks for news, and waits
            server.process.send_signal(signal.SIGTERM)
            assert server.process.wait(SOON) == 0
        finally:
            network.pass_on()
        assert "Traceback" not in server.log.read_text()


async def test_a_host_that_falls_silent_while_another_takes_writes(postgresql_server: str, tmp_path: Path) -> None:
    """Row F3: the service goes on with the next host of its URL, and so do `doctor`, `init` and a start, for as
    long as that lasts.
    """
    with fresh_database(postgresql_server) as database, Proxy.before(database) as first:
        real = urlsplit(database)
        hosts = f"127.0.0.1:{urlsplit(first.url).port},127.0.0.1:{real.port}"
        url = f"postgresql://{real.username}@{real.path}?host={hosts}&target_session_attrs=read-write"
        with watchword_server(tmp_path / "instance", DATABASE_URL=url, REFRESH_GRACE="60") as server:
            add_users(server, "alice")
            async with Load(server).running(CLIENTS) as load:
                await load.until(all_work, since=time.monotonic())
                # Between the two messages of a statement's first time no limit of the server's holds; its locks stay.
                await asyncio.sleep(5)
                first.swallow()
                # Statements under way have their two seconds, and so has who is the first to connect again.
                seconds = await load.until(all_work, since=time.monotonic() + 4)
            tell(f"F3, one host of two: all works {seconds + 4:.1f} s after it fell silent")
            check_refusals(load.seen)
            assert slowest(load.seen) < PROMPT
            doctor = watchword("doctor", environ=server.environ)
            assert doctor.returncode == 0, doctor.stdout
        with watchword_server(tmp_path / "instance", DATABASE_URL=url) as server:
            tokens(server)


async def test_connections_that_are_killed(server: Server, database: str) -> None:
    """Row F4: the server ends our connections amid statements, as in a fail-over; nothing is half done."""
    connection = await asyncpg.connect(database)
    killed = 0
    async with Load(server).running(CLIENTS) as load:
        await load.until(all_work, since=time.monotonic())
        for _ in range(100 if IS_FULL else 10):
            killed += await connection.fetchval(f"SELECT count(pg_terminate_backend(pid)) {OURS}")
            await asyncio.sleep(0.15)
        ended = time.monotonic()
        await load.until(all_work, since=ended, seconds=SOON)
    await connection.close()
    told(f"F4, {killed} connections killed", load.seen)
    assert killed > 10
    check_refusals(load.seen)
    await check_connections(database)


async def test_a_network_that_cuts_at_random(server: Server, network: Proxy, database: str) -> None:
    """Row F17: of a hundred messages one ends its connection; nobody is logged out, no connection is left behind."""
    async with Load(server).running(CLIENTS) as load:
        await load.until(all_work, since=time.monotonic())
        network.cut_rate = 0.01
        before = network.cuts
        await asyncio.sleep(600 if IS_FULL else 3)
        network.cut_rate = 0.0
        ended = time.monotonic()
        await load.until(all_work, since=ended, seconds=SOON)
    told(f"F17, {network.cuts - before} cuts", load.seen)
    assert network.cuts > before
    check_refusals(load.seen)
    await check_connections(database)


def test_a_database_that_says_nothing_at_the_start(network: Proxy, tmp_path: Path) -> None:
    """Row F1: the start is refused in one line that names the setting, and within ten seconds."""
    network.swallow()
    try:
        refused = watchword("serve", environ=environment(tmp_path / "instance", DATABASE_URL=network.url))
    finally:
        network.pass_on()
    assert refused.returncode == 1
    assert refused.stderr == "watchword: WATCHWORD_DATABASE_URL: the database has not answered within 2 s\n"
