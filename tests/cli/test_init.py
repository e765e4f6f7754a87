"""``watchword init``: one command sets up everything; twice does no harm, and a refusal leaves nothing behind."""

import asyncio
import stat
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import asyncpg
import pytest

from tests.cli.commands import COMMAND, at_once, digests, fresh_environment, refusal, rows, run
from tests.postgresql import fresh_database
from tests.servers import free_port

INIT = [*COMMAND, "init"]
CANARY = "canary-in-the-url"


def mode(path: Path) -> int:
    """Who may do what with a file."""
    return stat.S_IMODE(path.stat().st_mode)


@pytest.fixture(params=["sqlite", "postgresql"])
def empty_database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[dict[str, str]]:
    """The setting of a database that has no tables yet, of either kind."""
    if request.param == "sqlite":
        yield {}
        return
    with fresh_database(request.getfixturevalue("postgresql_server")) as url:
        yield {"DATABASE_URL": url}


def counts(instance: Path, settings: dict[str, str]) -> list[int]:
    """How many keys and users the database has, and how many users that are called admin and may do all."""
    statements = (
        "SELECT count(*) FROM signing_keys",
        "SELECT count(*) FROM users",
        "SELECT count(*) FROM users WHERE canonical_name = 'admin' AND scope = 'admin'",
    )
    if "DATABASE_URL" not in settings:
        return [rows(instance / "watchword.db", statement)[0][0] for statement in statements]

    async def ask() -> list[int]:
        connection = await asyncpg.connect(settings["DATABASE_URL"])
        try:
            return [await connection.fetchval(statement) for statement in statements]
        finally:
            await connection.close()

    return asyncio.run(ask())


def test_what_is_made_is_for_nobody_else(tmp_path: Path) -> None:
    """Folder 0700, secret and database 0600, one key, and one user `admin` whose password is told once."""
    instance = tmp_path / "deep" / "instance"
    done = run(INIT, environ=fresh_environment(instance))
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert mode(instance) == 0o700
    assert {path.name: mode(path) for path in instance.iterdir()} == {"secret_key": 0o600, "watchword.db": 0o600}
    assert len((instance / "secret_key").read_text().strip()) == 64
    assert counts(instance, {}) == [1, 1, 1]
    assert done.stdout.count("password") == 2  # in a sentence, and in the command to paste


def test_a_folder_that_others_may_enter_holds_nothing_that_they_may_read(tmp_path: Path) -> None:
    """Where somebody has made the folder before, with the usual mode, secret and password hashes stay private."""
    tmp_path.chmod(0o755)
    run(INIT, environ=fresh_environment(tmp_path)).check_returncode()
    assert {path.name: mode(path) for path in tmp_path.iterdir()} == {"secret_key": 0o600, "watchword.db": 0o600}


def test_twice_changes_nothing(tmp_path: Path) -> None:
    """The second run finds everything, tells no password and leaves every byte as it is."""
    environ = fresh_environment(tmp_path / "instance")
    run(INIT, environ=environ).check_returncode()
    before = digests(tmp_path)
    again = run(INIT, environ=environ)
    assert again.returncode == 0
    assert "already" in again.stdout
    assert "assword" not in again.stdout
    assert digests(tmp_path) == before


def test_the_keys_of_a_service_without_users_stay(tmp_path: Path) -> None:
    """In a shell whose ALGORITHM is another one init makes the user anew, and neither adds a key nor ends one."""
    instance = tmp_path / "instance"
    theirs = fresh_environment(instance, ALGORITHM="EdDSA")
    run(INIT, environ=theirs).check_returncode()
    run([*COMMAND, "users", "delete", "admin"], environ=theirs).check_returncode()
    before = rows(instance / "watchword.db", "SELECT * FROM signing_keys")
    done = run(INIT, environ=fresh_environment(instance))
    assert "The first user is admin" in done.stdout
    assert rows(instance / "watchword.db", "SELECT * FROM signing_keys") == before
    assert counts(instance, {}) == [1, 1, 1]


def test_four_at_once_make_one_of_each(tmp_path: Path, empty_database: dict[str, str]) -> None:
    """All four end well; there is one secret, one key and one admin, and one of them tells the password."""
    instance = tmp_path / "instance"
    done = at_once([INIT] * 4, fresh_environment(instance, **empty_database))
    assert [(each.returncode, each.stderr) for each in done] == [(0, "")] * 4
    assert sum("the password" in each.stdout for each in done) == 1
    assert {path.name for path in instance.iterdir()} == {"secret_key", "watchword.db"} - (
        {"watchword.db"} if empty_database else set()
    )
    assert counts(instance, empty_database) == [1, 1, 1]
    # The key was sealed under the secret that stayed.
    assert run([*COMMAND, "doctor"], environ=fresh_environment(instance, **empty_database)).returncode == 0


@pytest.mark.parametrize(("database", "instance"), [("postgresql", "file/instance"), ("sqlite", "instance")])
def test_a_service_that_keeps_nothing_in_its_folder_needs_none(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, postgresql_server: str, database: str, instance: str
) -> None:
    """With the secret and the database elsewhere none is made, where it could not be as where it could."""
    (tmp_path / "file").touch()
    with ExitStack() as stack:
        url = f"sqlite:///{tmp_path_factory.mktemp('elsewhere')}/watchword.db"
        if database == "postgresql":
            url = stack.enter_context(fresh_database(postgresql_server))
        secret = "a root of trust for one case 0123456789"
        run(
            INIT, environ=fresh_environment(tmp_path / instance, DATABASE_URL=url, SECRET_KEY=secret)
        ).check_returncode()
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_its_folder_is_made_however_it_is_named(tmp_path: Path) -> None:
    """A database in it is in it also by another name of the folder."""
    (tmp_path / "a").mkdir()
    (tmp_path / "link").symlink_to("a")
    secret = "a root of trust for one case 0123456789"
    url = f"sqlite:///{tmp_path}/a/../link/i/db"
    run(INIT, environ=fresh_environment(tmp_path / "a/i", DATABASE_URL=url, SECRET_KEY=secret)).check_returncode()
    assert [path.name for path in (tmp_path / "a" / "i").iterdir()] == ["db"]


def test_the_command_to_paste_knows_an_issuer_that_ends_with_a_slash(tmp_path: Path) -> None:
    """The path follows it as in the metadata: with one slash."""
    done = run(INIT, environ=fresh_environment(tmp_path, ISSUER="https://login.example/tenant/"))
    assert "  curl https://login.example/tenant/login -H" in done.stdout


def test_the_password_is_as_long_as_the_rule_asks(tmp_path: Path) -> None:
    """A rule stricter than our usual password makes a longer one, not a refusal after half of the work."""
    done = run(INIT, environ=fresh_environment(tmp_path, PASSWORD_MIN_LENGTH="40"))
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()[0].rpartition(" ")[2]) == 40


@pytest.mark.parametrize(
    ("setting", "settings"),
    [
        pytest.param("INSTANCE", {"INSTANCE": "{file}/instance"}, id="below a file"),
        pytest.param("INSTANCE", {"INSTANCE": "/proc/instance"}, id="where no folder can be made"),
        pytest.param("SECRET_KEY", {"SECRET_KEY": "changeme" * 5}, id="an example for a secret"),
        pytest.param("SECRET_KEY", {"SECRET_KEY": CANARY}, id="a short secret"),
        pytest.param("DATABASE_URL", {"DATABASE_URL": "mysql://u:{canary}@127.0.0.1/db"}, id="no such kind"),
        pytest.param("DATABASE_URL", {"DATABASE_URL": "postgresql://u:{canary}@127.0.0.1:{port}/db"}, id="down"),
        pytest.param("DATABASE_URL", {"DATABASE_URL": "sqlite:///{tmp}/no/such/folder.db"}, id="no folder"),
        pytest.param("ALGORITHM", {"ALGORITHM": "none"}, id="no algorithm"),
    ],
)
def test_a_refusal_is_one_line_and_leaves_nothing(tmp_path: Path, setting: str, settings: dict[str, str]) -> None:
    """Whatever is wrong: status 1, one line that names the setting and no secret, and nothing was created."""
    (tmp_path / "file").touch()
    blanks = {"file": str(tmp_path / "file"), "tmp": str(tmp_path), "canary": CANARY, "port": str(free_port())}
    filled = {name: value.format(**blanks) for name, value in settings.items()}
    line = refusal(run(INIT, environ=fresh_environment(tmp_path / "instance", **filled)))
    assert f"WATCHWORD_{setting}: " in line
    assert CANARY not in line
    assert "changeme" not in line
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_folder_that_takes_no_draft_of_the_secret_is_told(tmp_path: Path) -> None:
    """As one of another account's, where the draft can be neither made nor looked for; here its path is too long."""
    instance = tmp_path
    while (length := len(str(instance))) < 4075:
        instance /= "x" * min(200, 4074 - length)
    line = refusal(run(INIT, environ=fresh_environment(instance)))
    assert "/secret_key cannot be written (File name too long)" in line


@pytest.fixture(scope="module")
def role_with_a_password(postgresql_server: str) -> str:
    """The name of a role that PostgreSQL lets in by a password alone."""

    async def ask(question: str) -> Any:
        connection = await asyncpg.connect(postgresql_server)
        try:
            return await connection.fetchval(question)
        finally:
            await connection.close()

    async def wait_until_it_asks() -> None:
        async with asyncio.timeout(10):
            while True:
                try:
                    await (await asyncpg.connect(postgresql_server, user="locked", password="no")).close()
                except asyncpg.InvalidPasswordError:
                    return

    asyncio.run(ask("CREATE ROLE locked LOGIN PASSWORD 'the right one'"))
    rules = Path(asyncio.run(ask("SHOW hba_file")))
    rules.write_text(f"host all locked 127.0.0.1/32 scram-sha-256\n{rules.read_text()}")
    asyncio.run(ask("SELECT pg_reload_conf()"))
    asyncio.run(wait_until_it_asks())
    return "locked"


@pytest.mark.parametrize("given", [False, True], ids=["secret to be made", "secret given"])
def test_postgresql_says_no(tmp_path: Path, postgresql_server: str, role_with_a_password: str, *, given: bool) -> None:
    """A wrong password and an unknown database are told as such, and neither a folder nor a secret was made."""
    address = urlsplit(postgresql_server).netloc.rpartition("@")[2]
    secret = {"SECRET_KEY": "a root of trust for one case 0123456789"} if given else {}
    for url, word in (
        (f"postgresql://{role_with_a_password}:{CANARY}@{address}/postgres", "password authentication failed"),
        (f"postgresql://ww:{CANARY}@{address}/nowhere", '"nowhere" does not exist'),
    ):
        line = refusal(run(INIT, environ=fresh_environment(tmp_path / "instance", DATABASE_URL=url, **secret)))
        assert line.startswith("watchword: WATCHWORD_DATABASE_URL: ")
        assert word in line
        assert CANARY not in line
        assert list(tmp_path.iterdir()) == []


def test_options_of_the_url_are_no_stumbling_block(tmp_path: Path, postgresql_server: str) -> None:
    """What other programs like to read in a database URL is passed over by migrations as it is by the service."""
    with fresh_database(postgresql_server) as url:
        environ = fresh_environment(tmp_path, DATABASE_URL=f"{url}?application_name=x&connect_timeout=3")
        done = run(INIT, environ=environ)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("command", ["init", "users list"])
@pytest.mark.parametrize(
    ("options", "word"),
    [
        ("sslmode=require", "SSL"),
        ("sslmode=verify-full&sslrootcert=/no/such.pem", "the file that sslrootcert names cannot be read"),
        ("sslmode=require&sslcert=/no/such.pem", "the file that sslcert names cannot be read"),
        ("ssl=require", "'ssl'"),
    ],
)
def test_tls_is_asked_for_alike(tmp_path: Path, postgresql_server: str, command: str, options: str, word: str) -> None:
    """Migrations and the service read the options in one way: neither goes on without the TLS that they ask for.

    What is to be mended is named, but no file, which may be a part of a password that nobody escaped.
    """
    url = f"{postgresql_server}?{options}"
    environ = fresh_environment(tmp_path, DATABASE_URL=url, SECRET_KEY="a root of trust for one case 0123456789")
    line = refusal(run([*COMMAND, *command.split()], environ=environ))
    assert line.startswith("watchword: WATCHWORD_DATABASE_URL: ")
    assert word in line
    assert "/no/such.pem" not in line


@pytest.mark.parametrize(
    "place", ["db..internal/d", "/d?host=%00", "127.0.0.1:1/d?sslmode=verify-full&sslrootcert=%00"], ids=range(3)
)
@pytest.mark.parametrize("command", ["init", "users list"])
def test_a_database_on_what_is_no_host_is_refused(tmp_path: Path, command: str, place: str) -> None:
    """An empty label, or a NUL in a host or a file's name, is refused before anybody is asked, each in its own way."""
    url = f"postgresql://u:{CANARY}@{place}"
    environ = fresh_environment(tmp_path, DATABASE_URL=url, SECRET_KEY="a root of trust for one case 0123456789")
    line = refusal(run([*COMMAND, *command.split()], environ=environ))
    assert line.startswith("watchword: WATCHWORD_DATABASE_URL: the database answers: ")
    assert CANARY not in line


@pytest.mark.parametrize("command", ["init", "migrate", "users list"])
def test_a_missing_driver_is_told(tmp_path: Path, command: str) -> None:
    """Without the extra for PostgreSQL the refusal says what to install."""
    without = "import sys; sys.modules['asyncpg'] = None; from watchword.cli import main; main()"
    environ = fresh_environment(
        tmp_path / "instance",
        SECRET_KEY="a root of trust for one case 0123456789",
        DATABASE_URL="postgresql://127.0.0.1/db",
    )
    line = refusal(run([sys.executable, "-c", without, *command.split()], environ=environ))
    assert "WATCHWORD_DATABASE_URL: needs asyncpg; install watchword[postgresql]" in line
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("algorithm", ["ES256", "HS256"])
def test_a_service_that_has_a_secret_gets_no_second_one(tmp_path: Path, algorithm: str) -> None:
    """In a shell that lacks it, init says what to give and leaves nothing behind that commands would seal with."""
    instance = tmp_path / "instance"
    theirs = fresh_environment(instance, ALGORITHM=algorithm, SECRET_KEY="a root of trust for one case 0123456789")
    run(INIT, environ=theirs).check_returncode()
    ours = fresh_environment(instance, ALGORITHM=algorithm)
    line = refusal(run(INIT, environ=ours))
    assert line.startswith("watchword: WATCHWORD_SECRET_KEY: is not set, and the database has keys or users")
    assert [path.name for path in instance.iterdir()] == ["watchword.db"]
    assert "run `watchword init`" in refusal(run([*COMMAND, "users", "disable", "admin"], environ=ours))
