"""The addresses that ``watchword serve`` listens on: bound for all workers before one starts, and taken from nobody."""

import errno
import fcntl
import os
import re
import socket
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final

from hypercorn.config import Config, SocketTypeError

from watchword.errors import StartRefused

_UNIX: Final = "unix:"
"""How the address of a Unix socket begins."""
_FD: Final = "fd://"
"""How that of a descriptor begins, which whoever started us had opened."""
_SHARED: Final = (_UNIX, _FD)
"""Of these there is one for all workers."""
_HOST: Final = re.compile(r"[^][]+|\[[^][]+\]")
"""Or the ``fd`` of ``fd://3``."""
_TURN_SECONDS: Final = 1.0
"""To wait for another start in the same folder; it takes a moment."""


def expect_a_host(address: str) -> None:
    """See that an address says where to listen: to Hypercorn, which drops brackets wherever they are, no host is all.

    Raises:
        ValueError: it has no host, or half a bracket. The message says what it must be.
    """
    if not address.startswith(_UNIX) and not _HOST.fullmatch(address.rpartition(":")[0]):
        raise ValueError("must be HOST:PORT, with brackets around an IPv6 address")


def bind_for_all(config: Config, *, sets: int) -> list[list[socket.socket]]:
    """Bind the addresses once per worker; those of the first listen at once, the others as soon as their worker does.

    A Unix socket is bound once for all, as its file leads to one alone. One that was handed to us is for all too: who
    closes its descriptor cannot have it again.

    Args:
        config: the addresses; it tells in the end which port 0 became.
        sets: how many workers there are.

    Returns:
        The sockets of each worker.

    Raises:
        StartRefused: an address is taken, forbidden or none; a descriptor is no socket that could listen.
    """
    try:
        paths = [Path(address.removeprefix(_UNIX)) for address in config.bind if address.startswith(_UNIX)]
        with ExitStack() as turns:
            for folder in sorted({os.path.realpath(path.parent) for path in paths}):
                turns.enter_context(turn_in(folder))
            for path in paths:
                _expect_nobody_at(path)
            config.workers = 1  # a first time without SO_REUSEPORT: whoever has the address would share it unnoticed
            first = _bound(config)
            named = list(zip(config.bind, first, strict=False))
            shared = [each for name, each in named if name.startswith(_SHARED)]
            _expect_addresses_of([each for name, each in named if name.startswith(_FD)])
            for each in shared:
                each.listen(config.backlog)  # while nobody else can look; it would seem abandoned, and be taken from us
        listening = [_with_its_port(name, each) for name, each in named]
        for each in set(first) - set(shared):
            each.close()
        config.workers = 2  # asks Hypercorn for SO_REUSEPORT
        config.bind = [address for address in listening if not address.startswith(_SHARED)]
        bound = [[*shared, *_bound(config)] for _ in range(sets)]
        for each in bound[0]:  # until somebody listens, another account may bind the same address and be the first
            each.listen(config.backlog)
        config.bind = listening
        return bound
    # Taken or forbidden, a port beyond 65535, no address at all, bytes that are no text, a socket for datagrams.
    except (OSError, OverflowError, ValueError, TypeError, SocketTypeError) as fault:
        reason = getattr(fault, "strerror", None) or fault
        raise StartRefused(f"cannot listen on {', '.join(config.bind)} ({reason})") from None


def _expect_addresses_of(handed: Sequence[socket.socket]) -> None:
    fault = None
    if len({each.fileno() for each in handed}) < len(handed):
        fault = "a descriptor is named twice"
    elif not all(each.family == socket.AF_UNIX or each.getsockname()[1] for each in handed):
        fault = "a socket that was handed over has no address"  # it would listen at any port, everywhere
    if fault is not None:
        for each in handed:
            each.detach()  # it is not ours to close
        raise ValueError(fault)


@contextmanager
def turn_in(folder: Path | str) -> Iterator[None]:
    """Let no other start of ours look for a socket in a folder and bind it: of two at once both would find nobody.

    It is not waited for long, nor insisted on: whoever may read the folder could keep its lock.
    """
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    except OSError:  # one that we may not read; what else is wrong with it is for who binds to say
        yield
        return
    try:
        last = time.monotonic() + _TURN_SECONDS
        while not _is_locked(descriptor) and time.monotonic() < last:
            time.sleep(_TURN_SECONDS / 100)
        yield
    finally:
        os.close(descriptor)


def _is_locked(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _expect_nobody_at(path: Path) -> None:
    """See that nobody serves behind the file of a Unix socket, which Hypercorn would remove.

    Raises:
        OSError: somebody does, or the file is out of reach or none.
    """
    with socket.socket(socket.AF_UNIX) as probe:
        probe.setblocking(False)
        # Without a path, which is here too, the system would choose a name that no file's permissions protect.
        error = errno.EISDIR if path.is_dir() else probe.connect_ex(str(path)) or errno.EADDRINUSE
    if error not in {errno.ENOENT, errno.ECONNREFUSED}:
        raise OSError(error, os.strerror(error))


def _with_its_port(bind: str, bound: socket.socket) -> str:
    host, _, port = bind.rpartition(":")
    return f"{host}:{bound.getsockname()[1]}" if port == "0" else bind


def _bound(config: Config) -> list[socket.socket]:
    sockets = config.create_sockets()
    return [*sockets.secure_sockets, *sockets.insecure_sockets]
