"""A guard whose login service has a name: how it is looked up, which address answers, and whose threads that takes."""

import asyncio
import gc
import socket
import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack
from pathlib import Path

import httpcore
import pytest
from quart import Quart

from tests.certificates import certified
from tests.guard.elsewhere import JWKS, SERVICE_TOKEN, LoginService, login_service
from tests.servers import free_port
from watchword import Guard, current_token, token_required
from watchword.guard.issuer import Trouble
from watchword.guard.names import Names
from watchword.guard.wire import Wire
from watchword.identifiers import new_id

SECONDS = 10


@pytest.fixture
async def service() -> AsyncIterator[LoginService]:
    """The login service, under a name that has to be looked up."""
    async with login_service(host="localhost") as service:
        yield service


@pytest.fixture
def names() -> Iterator[Names]:
    """What connects."""
    names = Names()
    yield names
    names.close()


def guarded(issuer: str) -> Quart:
    """An application with one guarded view, which follows ended sessions."""
    app = Quart(__name__)
    Guard(app, issuer=issuer, service_token=SERVICE_TOKEN)

    @app.get("/")
    @token_required
    async def view() -> str:
        return current_token.sid

    return app


async def test_slow_views_of_the_application_hold_up_no_news(service: LoginService, busy: threading.Event) -> None:
    """Row 65: many ends at once bite while all threads for ``def`` views are taken, also if it has to connect anew.

    Told late, ended sessions passed for as long as news may be old, and then nobody did.
    """
    app = guarded(service.issuer.url)
    bearer = service.issuer.bearer()
    async with asyncio.timeout(SECONDS), app.test_app():
        ended = await (await app.test_client().get("/", headers=bearer)).get_data(as_text=True)
        await service.stop()
        service.end(ended)
        for _ in range(500):
            service.end(new_id())
        await service.start()
        while (refused := await app.test_client().get("/", headers=bearer)).status_code == 200:
            await asyncio.sleep(0.01)
        assert refused.status_code == 401
        assert not busy.is_set()


async def test_a_silent_resolver_is_asked_once_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """However often it is given up meanwhile; and neither the application's threads nor its end wait for it."""
    speaks, asked, others = threading.Event(), 0, set(threading.enumerate())

    def silent(*_: object, **__: object) -> list[object]:
        nonlocal asked
        asked += 1
        speaks.wait(3 * SECONDS)
        raise OSError("nobody answered")

    monkeypatch.setattr(socket, "getaddrinfo", silent)
    monkeypatch.setattr("watchword.guard.remote.START_SECONDS", 0.0)
    monkeypatch.setattr("watchword.guard.remote._FEED_SECONDS", 0.02)
    monkeypatch.setattr("watchword.guard.published._SECONDS", 0.02)
    monkeypatch.setattr("watchword.guard.feed.INTERVAL", 0.02)
    async with asyncio.timeout(SECONDS), guarded("https://login.example").test_app():
        await asyncio.sleep(0.5)
        assert asked == 1
        assert await asyncio.to_thread(lambda: "runs at once") == "runs at once"
    assert not speaks.is_set()
    (resolver,) = [each for each in threading.enumerate() if each.name == "names" and each not in others]
    speaks.set()
    resolver.join(SECONDS)
    assert not resolver.is_alive(), "it would be one more with each application that has been stopped"


@pytest.mark.parametrize("fault", [socket.gaierror(-2, "Name or service not known"), UnicodeError("label too long")])
async def test_a_name_without_an_address_is_told(
    names: Names, monkeypatch: pytest.MonkeyPatch, fault: Exception
) -> None:
    """With the resolver's own words; the next who needs the name has it looked up again."""
    asked = 0

    def unknown(*_: object, **__: object) -> list[object]:
        nonlocal asked
        asked += 1
        raise fault

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    for each in (1, 2):
        with pytest.raises(httpcore.ConnectError, match=r"not known|too long"):
            await names.connect_tcp("login.example", 443)
        assert asked == each


async def test_who_gives_up_takes_the_name_from_nobody_else(names: Names, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of two who wait for one look-up, one may leave before it has an outcome."""
    speaks, asked = threading.Event(), 0

    def slow(*_: object, **__: object) -> list[object]:
        nonlocal asked
        asked += 1
        speaks.wait(SECONDS)
        raise OSError("it is not known")

    monkeypatch.setattr(socket, "getaddrinfo", slow)
    leaves, stays = (asyncio.create_task(names.connect_tcp("login.example", 443)) for _ in range(2))
    while asked == 0:
        await asyncio.sleep(0.001)
    leaves.cancel()
    await asyncio.wait([leaves])
    speaks.set()
    with pytest.raises(httpcore.ConnectError, match="it is not known"):
        await stays
    assert asked == 1


async def test_a_handshake_that_is_given_up_leaves_nothing_open() -> None:
    """Its connection is closed then, and not when Python next looks for garbage: a silent service took descriptors."""
    hung_up = asyncio.Event()

    async def be_silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        hung_up.set()
        writer.close()

    async with await asyncio.start_server(be_silent, "127.0.0.1", 0) as server:
        wire = Wire(is_encrypted=True)
        gc.disable()
        try:
            with pytest.raises(Trouble, match="no answer within"):
                await wire.get(f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}", limit=1000, seconds=0.1)
            await asyncio.wait_for(hung_up.wait(), SECONDS)
        finally:
            gc.enable()
            await wire.close()


@pytest.mark.parametrize(("idle_for", "connections"), [(0.0, 2), (SECONDS, 1)])
async def test_a_connection_that_was_idle_is_used_no_more(
    service: LoginService, monkeypatch: pytest.MonkeyPatch, idle_for: float, connections: int
) -> None:
    """The login service may hang up just then, and the request would have no answer."""
    monkeypatch.setattr("watchword.guard.wire._IDLE_SECONDS", idle_for)
    wire = Wire(is_encrypted=False)
    for _ in range(2):
        await wire.get(f"{service.issuer.url}{JWKS}", limit=10_000, seconds=SECONDS)
        await asyncio.sleep(0.001)
    await wire.close()
    assert len({arrived.connection for arrived in service.arrived}) == connections


class TestSeveralAddresses:
    """A name may have many, and not all need to answer."""

    @pytest.fixture(autouse=True)
    def _addresses(self, monkeypatch: pytest.MonkeyPatch) -> None:
        found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (f"127.0.0.{last}", 0)) for last in (2, 3, 1)]
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)

    async def test_one_that_refuses_is_passed_over(self, names: Names) -> None:
        """At once; if all do, the last one's refusal is told."""
        port = free_port()
        with pytest.raises(httpcore.ConnectError):
            await names.connect_tcp("login.example", port)
        with socket.create_server(("127.0.0.1", port)):
            stream = await names.connect_tcp("login.example", port)
            assert stream.get_extra_info("server_addr") == ("127.0.0.1", port)
            await stream.aclose()

    async def test_one_that_is_silent_keeps_nobody_from_the_next(self, names: Names) -> None:
        """The next is tried beside it within a fraction of what an answer may take."""
        with ExitStack() as opened:
            silent = opened.enter_context(socket.create_server(("127.0.0.2", 0), backlog=0))
            port = silent.getsockname()[1]
            for _ in range(2):  # its queue is full then, and who comes gets no answer
                caller = opened.enter_context(socket.socket())
                caller.setblocking(False)
                caller.connect_ex(("127.0.0.2", port))
            opened.enter_context(socket.create_server(("127.0.0.1", port)))
            began = time.monotonic()
            tasks = asyncio.all_tasks()
            stream = await names.connect_tcp("login.example", port)
            assert time.monotonic() - began < 2
            assert stream.get_extra_info("server_addr") == ("127.0.0.1", port)
            await stream.aclose()
            async with asyncio.timeout(SECONDS):
                while asyncio.all_tasks() - tasks:  # the silent one is given up; else it would go on for minutes
                    await asyncio.sleep(0.01)

    async def test_of_two_that_answer_at_once_one_is_hung_up(
        self, names: Names, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Or each such moment would leave a connection open that nobody has."""
        closed: list[httpcore.AsyncMockStream] = []
        go, connecting = asyncio.Event(), asyncio.Semaphore(0)

        class Stream(httpcore.AsyncMockStream):
            async def aclose(self) -> None:
                closed.append(self)

        async def connect(*_: object, **__: object) -> Stream:
            connecting.release()
            await go.wait()
            return Stream([])

        monkeypatch.setattr(httpcore.AnyIOBackend, "connect_tcp", connect)
        monkeypatch.setattr("watchword.guard.names.HEAD_START", 0.001)
        async with asyncio.timeout(SECONDS):
            asked = asyncio.create_task(names.connect_tcp("login.example", 443))
            for _ in range(3):  # one per address
                await connecting.acquire()
            go.set()
            kept = await asked
        assert len(closed) == 2
        await kept.aclose()
        assert len(set(closed)) == 3


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "[::1]"])
async def test_the_certificate_is_for_the_name_and_not_for_its_address(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, host: str
) -> None:
    """Whatever address answers: one for another host is refused, and ``Host`` and SNI name who was asked for."""
    seen: list[str | None] = []
    context = certified(tmp_path, "localhost")
    context.sni_callback = lambda _, name, __: seen.append(name)
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "cert.pem"))

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(head), head))
        await writer.drain()
        await reader.read()
        writer.close()

    async with await asyncio.start_server(answer, host.strip("[]"), 0, ssl=context) as server:
        url = f"https://{host}:{server.sockets[0].getsockname()[1]}"
        wire = Wire(is_encrypted=True)
        try:
            if host == "localhost":
                told = await wire.get(f"{url}/a;b?c", limit=1000, seconds=SECONDS)
                assert told.body.startswith(b"GET /a;b?c HTTP/1.1\r\nHost: " + url[8:].encode() + b"\r\n")
                assert seen == ["localhost"]
            else:
                with pytest.raises(Exception, match="certificate verify failed"):
                    await wire.get(url, limit=1000, seconds=SECONDS)
        finally:
            await wire.close()
