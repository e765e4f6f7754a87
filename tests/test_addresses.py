"""Where the service listens: one address for all workers, which is nobody else's."""

import socket
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypercorn.config import Config

from watchword import addresses
from watchword.errors import StartRefused


def addressed_to(*bind: str) -> Config:
    """A configuration with these addresses."""
    config = Config()
    config.bind = list(bind)
    return config


def test_all_workers_share_whatever_port_there_was() -> None:
    """Port 0 is one port for all of them, and the address that is told afterwards has its number."""
    config = addressed_to("127.0.0.1:0")
    sets = addresses.bind_for_all(config, sets=3)
    ports = {each.getsockname()[1] for sockets in sets for each in sockets}
    for sockets in sets:
        for each in sockets:
            each.close()
    assert config.bind == [f"127.0.0.1:{port}" for port in ports]
    assert len(sets) == 3


@pytest.mark.parametrize("sets", [1, 2])
def test_an_address_is_nobody_elses_before_a_worker_serves(sets: int) -> None:
    """Linux lets another account bind beside a socket that does not listen, and whoever listens first has all
    that comes. From the start on it is us.
    """
    config = addressed_to("127.0.0.1:0")
    bound = addresses.bind_for_all(config, sets=sets)
    try:
        with socket.socket() as thief:
            thief.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            with pytest.raises(OSError, match="already in use"):
                thief.bind(bound[0][0].getsockname())
    finally:
        for each in (each for sockets in bound for each in sockets):
            each.close()


def test_a_unix_socket_is_one_for_all_workers(tmp_path: Path) -> None:
    """Bound a second time its file would lead to the last worker alone."""
    config = addressed_to("127.0.0.1:0", f"unix:{tmp_path}/w", f"unix:{tmp_path}/v")
    (shared, beside, one), (same, _, another) = addresses.bind_for_all(config, sets=2)
    for each in (shared, beside, one, another):
        each.close()
    assert shared is same
    assert one is not another
    assert config.bind[1] == f"unix:{tmp_path}/w"


def test_a_socket_that_was_handed_over_is_one_for_all_workers() -> None:
    """Closed, to be bound once more for each of them, it would be gone: only whoever opened it can open it."""
    with socket.socket() as handed:
        handed.bind(("127.0.0.1", 0))
        config = addressed_to(address := f"fd://{handed.fileno()}", "127.0.0.1:0")
        (shared, one), (same, another) = addresses.bind_for_all(config, sets=2)
        for each in (one, another):
            each.close()
        assert shared is same
        assert shared.detach() == handed.fileno()
        with socket.create_connection(handed.getsockname()):
            assert config.bind[0] == address


def test_a_socket_that_was_handed_over_has_an_address() -> None:
    """One that is bound to nothing would listen at any port, everywhere."""
    with socket.socket() as handed, pytest.raises(StartRefused, match="has no address"):
        addresses.bind_for_all(addressed_to(f"fd://{handed.fileno()}"), sets=2)


@pytest.mark.parametrize("family", [socket.AF_INET, socket.AF_UNIX])
def test_a_socket_that_was_handed_over_comes_once(tmp_path: Path, family: socket.AddressFamily) -> None:
    """Each worker would close it twice, and crash."""
    with socket.socket(family) as handed:
        handed.bind(("127.0.0.1", 0) if family == socket.AF_INET else str(tmp_path / "w"))
        named = f"fd://{handed.fileno()}"
        with pytest.raises(StartRefused, match="named twice"):
            addresses.bind_for_all(addressed_to(named, named), sets=2)


def test_a_unix_socket_is_not_taken_from_who_serves_on_it(tmp_path: Path) -> None:
    """One that nobody answers at any more is replaced; one that somebody answers at stays his."""
    path = tmp_path / "w"
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(str(path))
        other.listen()
        with pytest.raises(StartRefused, match=rf"cannot listen on unix:{path} \(Address already in use\)"):
            addresses.bind_for_all(addressed_to(f"unix:{path}"), sets=1)
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(path))
    ((mine,),) = addresses.bind_for_all(addressed_to(f"unix:{path}"), sets=1)
    mine.close()


def test_a_unix_socket_is_ours_before_a_worker_listens(tmp_path: Path) -> None:
    """Of two services that start at the same time the second is refused too."""
    address = f"unix:{tmp_path}/w"
    ((mine,),) = addresses.bind_for_all(addressed_to(address), sets=1)
    with mine, pytest.raises(StartRefused, match=r"\(Address already in use\)"):
        addresses.bind_for_all(addressed_to(address), sets=1)


def test_of_two_starts_at_one_instant_one_waits_for_the_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both would find nobody there, and the second would take the socket from the first."""
    monkeypatch.setattr(addresses, "_TURN_SECONDS", 60.0)
    config = addressed_to(f"unix:{tmp_path}/w")
    with ThreadPoolExecutor(1) as threads:
        with addresses.turn_in(tmp_path):
            other = threads.submit(addresses.bind_for_all, config, sets=1)
            with pytest.raises(TimeoutError):
                other.result(0.2)
            assert not (tmp_path / "w").exists()
        ((mine,),) = other.result()
        mine.close()


def test_a_stranger_who_keeps_the_turn_keeps_nobody_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever may read a folder may lock it, for as long as they like."""
    monkeypatch.setattr(addresses, "_TURN_SECONDS", 0.1)
    with addresses.turn_in(tmp_path):
        ((mine,),) = addresses.bind_for_all(addressed_to(f"unix:{tmp_path}/w"), sets=1)
    mine.close()


def test_a_unix_socket_out_of_reach_is_refused(tmp_path: Path) -> None:
    """A file where a folder should be on the way to it is told as the system tells it."""
    (tmp_path / "file").touch()
    with pytest.raises(StartRefused, match=r"cannot listen on unix:.*/file/w \(Not a directory\)"):
        addresses.bind_for_all(addressed_to(f"unix:{tmp_path}/file/w"), sets=1)


@pytest.mark.parametrize("address", ["unix:", "unix:{folder}/loop/w", "fd://x"])
def test_what_is_no_address_is_refused(tmp_path: Path, address: str) -> None:
    """In one line, whatever it is that the system or Python says of it."""
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    with pytest.raises(StartRefused, match=r"^cannot listen on "):
        addresses.bind_for_all(addressed_to(address.format(folder=tmp_path)), sets=1)
