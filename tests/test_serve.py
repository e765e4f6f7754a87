"""How the service is handed to Hypercorn: by one file, after a look at everything."""

import asyncio
import os
import re
import signal
import socket
import subprocess
import sys
from asyncio.subprocess import Process
from pathlib import Path
from pkgutil import resolve_name
from typing import cast

import pytest

from tests.builders import SECRET
from tests.certificates import certified
from tests.servers import environment
from watchword import asgi, serve

ROOT = Path(__file__).parents[1]


@pytest.fixture(autouse=True)
def _hypercorn_stays_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """The door changes it for its process, in which there are other tests here."""
    for name in ("hypercorn.asyncio.run.TCPServer", "hypercorn.protocol.H11Protocol"):
        monkeypatch.setattr(name, resolve_name(name))


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


@pytest.mark.parametrize(
    ("lines", "scheme"),
    [
        ("", "http"),
        (
            "certfile = '{folder}/cert.pem'\nkeyfile = '{folder}/key.pem'\nalpn_protocols = ['http/1.1']\n",
            "https",
        ),
    ],
    ids=["clear", "TLS"],
)
def test_the_log_says_how_to_reach_the_service(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, lines: str, scheme: str
) -> None:
    """With the scheme that is spoken there, and a Unix socket by its path alone."""

    async def do_nothing(_: object) -> None:
        pass

    toml = tmp_path / "hypercorn.toml"
    certified(tmp_path, "localhost")
    toml.write_text(f"bind = ['127.0.0.1:0', 'unix:{tmp_path}/w']\n{lines.format(folder=tmp_path)}")
    monkeypatch.setattr("watchword.hypercorn_toml.find", lambda: toml)
    monkeypatch.setattr("watchword.serve._Slot.fill", do_nothing)
    monkeypatch.setattr("watchword.serve._Slot.keep", do_nothing)  # it is over when the first of them is
    caplog.set_level("INFO", logger="watchword.serve")
    assert serve.run(bind=None, workers=1, environ={}) == 0
    (told,) = (record.getMessage() for record in caplog.records)
    assert re.fullmatch(rf"serving on {scheme}://127\.0\.0\.1:\d+, unix:{tmp_path}/w with 1 worker\(s\)", told)


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


def test_a_worker_that_takes_too_long_is_told_as_that(tmp_path: Path) -> None:
    """Hashes that the settings allow may take longer than a start may, and its status would say that all is well."""
    hurried = (
        "import os; from watchword import serve; serve.START_SECONDS = 0.01;"
        "serve.run(bind='127.0.0.1:0', workers=1, environ=os.environ)"
    )
    command = [sys.executable, "-c", hurried]
    done = subprocess.run(command, env=environment(tmp_path), capture_output=True, text=True, timeout=60, check=False)
    told = "worker 0 did not start (not within 0.01 s; do HASH_MEMORY_KIB and HASH_PASSES cost too much here?)"
    assert done.stderr.endswith(f"WorkerFailed: {told}\n")


async def test_looking_after_a_worker_leaves_nothing_behind() -> None:
    """It goes on for months, and asyncio keeps whoever has waited for a process until that ends."""

    class Silent:
        returncode: int | None = None
        waits = 0
        killed = asyncio.Event()

        async def wait(self) -> int:
            self.waits += 1
            await self.killed.wait()
            return 0

        def kill(self) -> None:
            self.killed.set()

    process, loop = Silent(), asyncio.get_running_loop()
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.setblocking(False)
        slot = serve._Slot(0, [], {}, patience=1.0, silence=0.3)
        slot._serving = worker = serve._Worker(cast("Process", process), ours)
        began = loop.time()
        await slot._watch(worker)
        assert loop.time() - began >= 0.3  # it has its whole time, the first question being asked at once
        assert process.waits == 1
        assert theirs.recv(100) == serve.LIVING * (serve.LOOKS + 1)
