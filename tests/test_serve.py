"""How the service is handed to Hypercorn: by one file, after a look at everything."""

import asyncio
import os
import signal
import socket
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from pkgutil import resolve_name

import pytest
from hypercorn.config import Config

from tests.builders import SECRET
from tests.servers import environment
from watchword import asgi, serve
from watchword.errors import StartRefused

ROOT = Path(__file__).parents[1]


@pytest.fixture(autouse=True)
def _hypercorn_stays_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """The door changes it for its process, in which there are other tests here."""
    for name in ("hypercorn.asyncio.run.TCPServer", "hypercorn.protocol.H11Protocol"):
        monkeypatch.setattr(name, resolve_name(name))


def test_a_checkout_is_served_by_its_own_file() -> None:
    """From an editable installation it is the file at the top, so that who edits it is heeded."""
    assert serve.hypercorn_toml() == ROOT / "hypercorn.toml"


def test_the_file_has_no_word_that_hypercorn_does_not_know() -> None:
    """Hypercorn takes a slip for a new attribute and goes on with its default."""
    config = Config.from_toml(ROOT / "hypercorn.toml")
    assert vars(config).keys() - vars(Config()).keys() - set(dir(Config)) == set()
    assert (config.workers, config.worker_class, config.accesslog) == (0, "uvloop", "")


async def test_under_a_server_whose_loop_runs_the_door_opens_too(
    sqlite_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server that loads applications inside its loop gets one, which looks at the database when it starts."""
    monkeypatch.setattr("watchword.telemetry.log_to_stderr", lambda: None)
    for name, value in environment(tmp_path, DATABASE_URL=sqlite_url, SECRET_KEY=SECRET).items():
        monkeypatch.setenv(name, value)
    assert asyncio.get_running_loop()
    async with asgi.create_app().test_app() as app:
        answer = await app.test_client().get("/readyz")
    assert answer.status_code == 200


def test_the_door_refuses_in_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where no loop runs yet, what keeps the service from starting ends the process before a server has begun."""
    monkeypatch.setattr("watchword.telemetry.log_to_stderr", lambda: None)
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        url = f"postgresql://u:canary@127.0.0.1:{closed.getsockname()[1]}/db"
    for name, value in environment(tmp_path, DATABASE_URL=url).items():
        monkeypatch.setenv(name, value)
    with pytest.raises(SystemExit) as end:
        asgi.create_app()
    assert str(end.value).startswith("watchword: WATCHWORD_DATABASE_URL: the database answers: [Errno 111] Connect")


def test_a_supervisor_that_fails_ends_the_service(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """What nobody foresaw in it would leave a place empty for ever: it is told with its traceback, the status is 1."""

    async def fill(_: object) -> None:
        asyncio.get_running_loop().call_later(1, os.kill, os.getpid(), signal.SIGTERM)  # it should be over by then

    async def fail(_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("watchword.serve._Slot.fill", fill)
    monkeypatch.setattr("watchword.serve._Slot.keep", fail)
    assert serve.run(bind="127.0.0.1:0", workers=1, environ={}) == 1
    (told,) = (record for record in caplog.records if record.exc_info)
    assert told.exc_info is not None
    assert told.exc_info[0] is ZeroDivisionError


def addressed_to(*bind: str) -> Config:
    """A configuration with these addresses."""
    config = Config()
    config.bind = list(bind)
    return config


def test_all_workers_share_whatever_port_there_was() -> None:
    """Port 0 is one port for all of them, and the address that is told afterwards has its number."""
    config = addressed_to("127.0.0.1:0")
    sets = serve._bind(config, sets=3)
    ports = {each.getsockname()[1] for sockets in sets for each in sockets}
    for sockets in sets:
        for each in sockets:
            each.close()
    assert config.bind == [f"127.0.0.1:{port}" for port in ports]
    assert len(sets) == 3


def test_a_unix_socket_is_one_for_all_workers(tmp_path: Path) -> None:
    """Bound a second time its file would lead to the last worker alone."""
    config = addressed_to("127.0.0.1:0", f"unix:{tmp_path}/w")
    (shared, one), (same, another) = serve._bind(config, sets=2)
    for each in (shared, one, another):
        each.close()
    assert shared is same
    assert one is not another
    assert config.bind[1] == f"unix:{tmp_path}/w"


def test_a_unix_socket_is_not_taken_from_who_serves_on_it(tmp_path: Path) -> None:
    """One that nobody answers at any more is replaced; one that somebody answers at stays his."""
    path = tmp_path / "w"
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(str(path))
        other.listen()
        with pytest.raises(StartRefused, match=rf"cannot listen on unix:{path} \(Address already in use\)"):
            serve._bind(addressed_to(f"unix:{path}"), sets=1)
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(path))
    ((mine,),) = serve._bind(addressed_to(f"unix:{path}"), sets=1)
    mine.close()


def test_a_unix_socket_is_ours_before_a_worker_listens(tmp_path: Path) -> None:
    """Of two services that start at the same time the second is refused too."""
    address = f"unix:{tmp_path}/w"
    ((mine,),) = serve._bind(addressed_to(address), sets=1)
    with mine, pytest.raises(StartRefused, match=r"\(Address already in use\)"):
        serve._bind(addressed_to(address), sets=1)


def test_of_two_starts_at_one_instant_one_waits_for_the_other(tmp_path: Path) -> None:
    """Both would find nobody there, and the second would take the socket from the first."""
    address = addressed_to(f"unix:{tmp_path}/w")
    with serve._turn_in(tmp_path), ThreadPoolExecutor(1) as threads:
        other = threads.submit(serve._bind, address, sets=1)
        with pytest.raises(StartRefused, match=r"\(Resource temporarily unavailable\)"):
            other.result()
    assert not (tmp_path / "w").exists()
    ((mine,),) = serve._bind(address, sets=1)
    mine.close()


def test_a_unix_socket_out_of_reach_is_refused(tmp_path: Path) -> None:
    """A file where a folder should be on the way to it is told as the system tells it."""
    (tmp_path / "file").touch()
    with pytest.raises(StartRefused, match=r"cannot listen on unix:.*/file/w \(Not a directory\)"):
        serve._bind(addressed_to(f"unix:{tmp_path}/file/w"), sets=1)
