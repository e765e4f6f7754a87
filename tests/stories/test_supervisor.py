"""The supervisor keeps its workers serving: through a crash, a replacement of all, and its own end."""

import os
import resource
import secrets
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx
import pytest

from tests.cli.commands import COMMAND, HYPERCORN
from tests.servers import Server, environment, free_port, running, watchword
from tests.waiting import until

SECONDS = 20.0
SILENCE = 3.0
"""Seconds without a sign of life that end a worker of ``hasty``, in place of thirty."""


@contextmanager
def two_workers(tmp_path: Path, *start: str) -> Iterator[Server]:
    """Two workers on a fresh instance, started by this; it is told the address as its last argument."""
    instance = tmp_path / "instance"
    environ = environment(instance)
    watchword("init", environ=environ).check_returncode()
    port = free_port()
    command = [sys.executable, *start, f"127.0.0.1:{port}"]
    with running(command, environ=environ, port=port, log=instance / "server.log") as server:
        until(lambda: server.log.read_text().count("Running on") == 2)
        time.sleep(0.2)  # until the supervisor has heard it too
        yield server


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    """Two workers as they are served."""
    with two_workers(tmp_path, "-m", "watchword", "serve", "--workers", "2", "--bind") as server:
        yield server


@pytest.fixture
def hasty(tmp_path: Path) -> Iterator[Server]:
    """Two workers whose supervisor waits only a moment for a sign of life."""
    serve = (
        "import os, sys; from watchword import serve, telemetry; telemetry.log_to_stderr();"
        f"raise SystemExit(serve.run(bind=sys.argv[1], workers=2, environ=os.environ, silence={SILENCE}))"
    )
    with two_workers(tmp_path, "-c", serve) as server:
        yield server
        for each in children(server):
            os.kill(each, signal.SIGCONT)  # where a claim failed one may be stopped still, for ever


def is_open(port: int) -> bool:
    """Whether somebody listens on a loopback port."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def children(server: Server) -> set[int]:
    """The ids of the workers."""
    found = subprocess.run(["ps", "-o", "pid=", "--ppid", str(server.process.pid)], capture_output=True, check=False)
    return {int(each) for each in found.stdout.split()}


@contextmanager
def no_more_descriptors(server: Server) -> Iterator[None]:
    """The supervisor can open nothing and so start nobody; EAGAIN and ENOMEM would reach it in the same way."""
    limits = resource.prlimit(server.process.pid, resource.RLIMIT_NOFILE)
    resource.prlimit(server.process.pid, resource.RLIMIT_NOFILE, (3, limits[1]))
    try:
        yield
    finally:
        resource.prlimit(server.process.pid, resource.RLIMIT_NOFILE, limits)


def lives(process_id: int) -> bool:
    """Whether there is such a process, and it is not just a dead child that nobody has waited for."""
    try:
        return Path(f"/proc/{process_id}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


@contextmanager
def visitors(server: Server) -> Iterator[list[int]]:
    """Three clients that ask again and again, each time on a new connection; the statuses that they got."""
    statuses: list[int] = []
    stop = threading.Event()

    def ask() -> None:
        while not stop.is_set():
            try:
                statuses.append(httpx.get(f"{server.url}/healthz", timeout=SECONDS).status_code)
            except httpx.TransportError:
                statuses.append(0)

    threads = [threading.Thread(target=ask) for _ in range(3)]
    for thread in threads:
        thread.start()
    try:
        yield statuses
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def test_a_worker_that_dies_is_replaced(server: Server) -> None:
    """After kill -9 of each worker in turn there are two again, the service answers, and the end is orderly."""
    for _ in range(2):
        before = children(server)
        os.kill(min(before), signal.SIGKILL)
        until(lambda before=before: len(children(server) - before) == 1 and len(children(server)) == 2)  # type: ignore[misc]
        until(lambda: httpx.get(f"{server.url}/readyz", timeout=SECONDS).status_code == 200)
    until(lambda: server.log.read_text().count("Running on") == 4)
    server.process.send_signal(signal.SIGTERM)
    assert server.process.wait(SECONDS) == 0


def test_a_worker_that_hangs_is_replaced(hasty: Server) -> None:
    """One that gives no sign of life is killed, the log says so, and who came to it meanwhile is answered."""
    before = children(hasty)
    os.kill(max(before), signal.SIGSTOP)
    with visitors(hasty) as statuses:
        until(lambda: hasty.log.read_text().count("Running on") == 3)
        seen = len(statuses)
        until(lambda: len(statuses) > seen + 50)
    assert set(statuses) == {200}
    told = hasty.log.read_text()
    assert told.count("has given no sign of life for 3 s and is killed") == 1
    assert told.count("ended with status -9 and is replaced") == 1
    after = children(hasty)
    assert len(after) == 2
    assert after & before == {min(before)}
    hasty.process.kill()  # while an answer of each is on its way
    hasty.process.wait()
    until(lambda: not any(map(lives, after)))


def test_where_all_stood_still_nobody_hung(hasty: Server) -> None:
    """A machine or container that was suspended, and a worker that something kept for a moment: nobody is killed."""
    workers = children(hasty)
    for stopped, seconds in (({hasty.process.pid, *workers}, 1.3 * SILENCE), (workers, SILENCE / 3)):
        for each in stopped:
            os.kill(each, signal.SIGSTOP)
        time.sleep(seconds)
        for each in sorted(stopped):  # the supervisor first
            os.kill(each, signal.SIGCONT)
    time.sleep(1.3 * SILENCE)
    assert children(hasty) == workers
    assert "sign of life" not in hasty.log.read_text()


def test_a_worker_that_drains_is_left_its_time(hasty: Server) -> None:
    """Told to end by whomever, one that still answers gives signs of life, and is not killed for serving nobody new."""
    body = b'{"username":"nobody","password":"wrong"}'
    head = b"POST /login HTTP/1.1\r\nHost: w\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
    with socket.create_connection(hasty.address, SECONDS) as client:
        client.sendall(head % len(body) + body[:1])
        time.sleep(0.5)  # until a worker has it
        for each in children(hasty):
            os.kill(each, signal.SIGTERM)
        time.sleep(1.5 * SILENCE)
        client.sendall(body[1:])
        assert client.recv(1000).startswith(b"HTTP/1.1 401 ")
    assert "sign of life" not in hasty.log.read_text()


def test_a_worker_that_cannot_be_started_is_tried_again(server: Server) -> None:
    """One dies while the supervisor can start nobody: that is said, and when it can again there are two."""
    before = children(server)
    with no_more_descriptors(server):
        os.kill(max(before), signal.SIGKILL)
        until(lambda: "worker 1 did not start ([Errno 24] Too many open files)" in server.log.read_text())
    until(lambda: server.log.read_text().count("Running on") == 3)
    assert children(server) & before == {min(before)}
    with visitors(server) as statuses:
        until(lambda: len(statuses) > 30)
    assert set(statuses) == {200}
    server.process.send_signal(signal.SIGTERM)
    assert server.process.wait(SECONDS) == 0


def test_a_replacement_that_fails_leaves_the_next_one_possible(server: Server) -> None:
    """SIGHUP while the supervisor can start nobody: all stay who they are, and the next SIGHUP is heeded."""
    before = children(server)
    with no_more_descriptors(server):
        server.process.send_signal(signal.SIGHUP)
        until(lambda: server.log.read_text().count("its predecessor stays") == 2)
    assert children(server) == before
    server.process.send_signal(signal.SIGHUP)
    until(lambda: len(children(server)) == 2 and children(server).isdisjoint(before))


def test_a_place_has_one_worker_though_two_fill_it(server: Server) -> None:
    """SIGHUP while one who died is being replaced: there are two in the end, and no third on the same socket."""
    before = children(server)
    os.kill(min(before), signal.SIGKILL)
    until(lambda: "worker 0 ended" in server.log.read_text())
    server.process.send_signal(signal.SIGHUP)
    until(lambda: children(server).isdisjoint(before))
    until(lambda: len(children(server)) == 2)


def test_all_are_replaced_without_a_failed_request(server: Server) -> None:
    """SIGHUP gives two new workers, and whoever asked meanwhile was answered."""
    before = children(server)
    with visitors(server) as statuses:
        server.process.send_signal(signal.SIGHUP)
        until(lambda: len(children(server)) == 2 and children(server).isdisjoint(before))
        seen = len(statuses)
        until(lambda: len(statuses) > seen + 50)
    assert set(statuses) == {200}


def test_the_workers_end_with_the_supervisor(server: Server) -> None:
    """Kill -9 of the supervisor leaves no orphan behind."""
    workers = children(server)
    assert len(workers) == 2
    server.process.kill()
    server.process.wait()
    until(lambda: not any(map(lives, workers)))


def test_what_is_in_flight_is_answered_by_all_workers(server: Server) -> None:
    """SIGTERM under load: every request that was taken is answered, the exit status is 0, nobody is left."""
    workers = children(server)
    with visitors(server) as statuses:
        until(lambda: len(statuses) > 30)
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(SECONDS) == 0
    assert {status for status in statuses if status} == {200}  # 0: nobody listened any more
    assert not any(map(lives, workers))


def test_a_second_service_on_the_same_port_is_refused(server: Server, tmp_path: Path) -> None:
    """SO_REUSEPORT would let two services share a port unnoticed, so the address is tried without it first."""
    bind = server.url.removeprefix("http://")
    refused = watchword("serve", "--bind", bind, environ=server.environ)
    assert refused.returncode == 1
    assert refused.stderr == f"watchword: cannot listen on {bind} (Address already in use)\n"


def test_nothing_is_loaded_from_the_folder_that_it_is_started_in(tmp_path: Path) -> None:
    """Others may write there; and what is called like a module of the service, or of Python, need not be one."""
    for name in ("email", "quart", "watchword"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('this is somebody else')\n")
    environ, port = environment(tmp_path / "instance"), free_port()
    watchword("init", environ=environ).check_returncode()
    serve = [sys.executable, "-P", "-m", "watchword", "serve", "--bind", f"127.0.0.1:{port}"]  # -P as its script has it
    command = ["/bin/sh", "-c", 'cd "$0" && exec "$@"', str(tmp_path), *serve]
    with running(command, environ=environ, port=port, log=tmp_path / "server.log") as server:
        assert httpx.get(f"{server.url}/readyz").status_code == 200
    assert "somebody else" not in server.log.read_text()


def test_two_workers_on_a_unix_socket(tmp_path: Path) -> None:
    """Either answers on it; a second service is refused in one line, and the first one is still there."""
    environ, path, log = environment(tmp_path / "instance"), tmp_path / "w", tmp_path / "log"
    watchword("init", environ=environ).check_returncode()
    command = [*COMMAND, "serve", "--workers", "2", "--bind", f"unix:{path}"]
    with log.open("wb") as output:
        process = subprocess.Popen(command, env=environ, stdin=subprocess.DEVNULL, stdout=output, stderr=output)
    try:
        until(lambda: log.read_text().count("Running on") == 2)
        refused = watchword(*command[3:], environ=environ)
        assert (refused.returncode, refused.stderr) == (
            1,
            f"watchword: cannot listen on unix:{path} (Address already in use)\n",
        )
        for _ in range(20):
            with httpx.Client(transport=httpx.HTTPTransport(uds=str(path)), timeout=SECONDS) as client:
                assert client.get("http://login/readyz").status_code == 200
        process.send_signal(signal.SIGTERM)
        assert process.wait(SECONDS) == 0
    finally:
        process.kill()
        process.wait()


@pytest.mark.parametrize("family", [socket.AF_INET, socket.AF_UNIX], ids=["TCP", "Unix"])
@pytest.mark.parametrize("workers", [1, 2])
def test_a_socket_that_was_handed_over(tmp_path: Path, family: socket.AddressFamily, workers: int) -> None:
    """As systemd does: who comes between the end of one service and the start of the next waits, and is answered."""
    environ, path, log = environment(tmp_path / "instance"), tmp_path / "w", tmp_path / "log"
    watchword("init", environ=environ).check_returncode()

    @contextmanager
    def service(handed: socket.socket) -> Iterator["subprocess.Popen[bytes]"]:
        number = handed.fileno()
        command = [*COMMAND, "serve", "--workers", str(workers), "--bind", f"fd://{number}"]
        with log.open("wb") as output:
            process = subprocess.Popen(command, env=environ, pass_fds=[number], stdout=output, stderr=output)
        try:
            until(lambda: f"serving on fd://{number} with {workers} worker(s)" in log.read_text())
            until(lambda: log.read_text().count("Running on") == workers)
            yield process
            process.send_signal(signal.SIGTERM)
            assert process.wait(SECONDS) == 0
        finally:
            process.kill()
            process.wait()

    def come() -> socket.socket:
        client = socket.socket(family)
        client.settimeout(SECONDS)
        client.connect(handed.getsockname())
        client.sendall(b"GET /readyz HTTP/1.1\r\nHost: w\r\nConnection: close\r\n\r\n")
        return client

    def check_all(clients: list[socket.socket]) -> None:
        for client in clients:
            with client:
                assert client.recv(1000).startswith(b"HTTP/1.1 200 ")

    with socket.socket(family) as handed:
        handed.bind(str(path) if family == socket.AF_UNIX else ("127.0.0.1", 0))
        handed.listen()
        with service(handed) as process:
            check_all([come() for _ in range(10)])
            process.send_signal(signal.SIGHUP)
            until(lambda: log.read_text().count("Running on") == 2 * workers)
            check_all([come() for _ in range(10)])
        early = [come() for _ in range(10)]
        with service(handed):
            check_all(early)
    assert path.exists() == (family == socket.AF_UNIX)


def test_a_socket_for_datagrams_is_refused(tmp_path: Path) -> None:
    """Handed over by mistake, it is told in one line."""
    with socket.socket(type=socket.SOCK_DGRAM) as handed:
        address = f"fd://{handed.fileno()}"
        command, environ = [*COMMAND, "serve", "--bind", address], environment(tmp_path)
        done = subprocess.run(
            command, env=environ, pass_fds=[handed.fileno()], capture_output=True, text=True, timeout=60, check=False
        )
    assert done.returncode == 1
    assert done.stderr.startswith(f"watchword: cannot listen on {address} (Unexpected socket type")
    assert done.stderr.count("\n") == 1


def two_free_ports() -> int:
    """The first of two neighbours that nobody listens on, nor has a connection from, as is the case above 32767."""
    while True:
        port = secrets.choice(range(20_000, 32_000))
        with socket.socket() as one, socket.socket() as other, suppress(OSError):
            one.bind(("127.0.0.1", port))
            other.bind(("127.0.0.1", port + 1))
            return port


def test_metrics_of_each_worker_on_a_port_of_its_own(tmp_path: Path) -> None:
    """Worker n answers /metrics on the configured port plus n, and counts what it answered itself."""
    instance = tmp_path / "instance"
    port, metrics = free_port(), two_free_ports()
    environ = {**environment(instance), "WATCHWORD_METRICS_BIND": f"127.0.0.1:{metrics}"}
    watchword("init", environ=environ).check_returncode()
    command = [sys.executable, "-m", "watchword", "serve", "--workers", "2", "--bind", f"127.0.0.1:{port}"]
    with running(command, environ=environ, port=port, log=instance / "server.log") as server:
        until(lambda: server.log.read_text().count("Running on") == 2)
        for number in range(20):  # many guesses at one name would be throttled
            httpx.post(f"{server.url}/login", json={"username": f"nobody{number}", "password": "wrong"})
        # A port that somebody had for a moment is tried again a second later.
        until(lambda: is_open(metrics) and is_open(metrics + 1))
        pages = [httpx.get(f"http://127.0.0.1:{metrics + number}/metrics").text for number in range(2)]
    count = 'watchword_logins_total{outcome="failure",reason="unknown_user"} '
    counts = [float(line.removeprefix(count)) for page in pages for line in page.splitlines() if line.startswith(count)]
    assert sum(counts) == 20
    for page in pages:
        assert 'watchword_hashing_info{backend="' in page
        assert "watchword_hash_queue_depth 0.0" in page
        assert "process_resident_memory_bytes" in page


@pytest.mark.parametrize("way", ["serve", "hypercorn"])
@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0"])
def test_metrics_on_the_services_own_address_are_gone_without(tmp_path: Path, host: str, way: str) -> None:
    """Told the same address twice, the service serves on it, no worker dies of it, and the log says it once."""
    instance, port = tmp_path / "instance", free_port()
    environ = {**environment(instance), "WATCHWORD_METRICS_BIND": f"{host}:{port}"}
    watchword("init", environ=environ).check_returncode()
    command = [*COMMAND, "serve", "--bind"] if way == "serve" else [*HYPERCORN, "-b"]
    with running([*command, f"127.0.0.1:{port}"], environ=environ, port=port, log=tmp_path / "log") as server:
        until(lambda: "no metrics" in server.log.read_text())
        time.sleep(1.5)  # in which it is tried again
        assert httpx.get(f"{server.url}/readyz", timeout=SECONDS).status_code == 200
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(SECONDS) == 0
    told = server.log.read_text()
    assert told.count(f"no metrics on {host}:{port} yet: [Errno 98] Address already in use") == 1
    assert "Traceback" not in told
    assert "is replaced" not in told
