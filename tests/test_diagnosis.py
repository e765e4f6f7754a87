"""What ``watchword doctor`` finds: each fault by name and with what to do; it tells no secret and changes nothing."""

import asyncio
import json
import os
import re
import resource
import sqlite3
import ssl
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, closing
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg
import pytest

from tests.certificates import certified
from tests.cli.commands import COMMAND, ROOT, change, digests, fresh_environment, refusal, run
from tests.faults.proxy import Proxy
from tests.postgresql import fresh_database, isolate, take_no_writes
from tests.servers import free_port
from watchword import hypercorn_toml
from watchword.clock import system_clock
from watchword.diagnosis import Finding, examine
from watchword.errors import SchemaRefused, SettingRefused, Unavailable
from watchword.instruments import preflight
from watchword.settings import Settings
from watchword.store import inspection, lanes, migrations, sessions, store_at
from watchword.store.lanes import TunedConnection

CANARY = "canary-in-a-setting"


def bad(findings: list[Finding]) -> list[str]:
    """What is to be mended."""
    return [f"{finding.subject}: {finding.message}" for finding in findings if finding.verdict == "bad"]


def test_a_sound_installation_passes_and_stays_as_it_is(instance: Path) -> None:
    """Status 0, a line for each thing looked at, for people and for programs; not a byte is changed."""
    before = digests(instance)
    people, programs = (
        run([*COMMAND, "doctor", *arguments], environ=fresh_environment(instance)) for arguments in ([], ["--json"])
    )
    assert (people.returncode, people.stderr) == (0, "")
    assert (programs.returncode, programs.stderr) == (0, "")
    findings = [json.loads(line) for line in programs.stdout.splitlines()]
    assert {finding["subject"] for finding in findings} == {"server", "settings", "proxies", "hashing", "database"}
    assert all(finding.keys() == {"subject", "verdict", "message"} for finding in findings)
    assert len(people.stdout.splitlines()) == len(findings)
    assert "sqlite is there, at the right schema, with 1 key(s) that open" in people.stdout
    assert digests(instance) == before


def test_a_fault_is_a_status_of_1(tmp_path: Path) -> None:
    """The report is still whole, on standard output, and nothing was made."""
    done = run([*COMMAND, "doctor", "--json"], environ=fresh_environment(tmp_path / "instance"))
    assert (done.returncode, done.stderr) == (1, "")
    *_, finding = map(json.loads, done.stdout.splitlines())
    assert finding["verdict"] == "bad"
    assert "run `watchword init`" in finding["message"]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        pytest.param({"ALGORITHM": "HS257"}, "settings: WATCHWORD_ALGORITHM: must be one of ES256", id="a setting"),
        pytest.param({"SECRET_KEY": f"changeme{CANARY}"}, "openssl rand -base64 48", id="a bad secret"),
        pytest.param(
            {"SECRET_KEY": f"{CANARY}, 0123456789 and more"},
            "add the one that it was sealed under to WATCHWORD_SECRET_KEY_FALLBACKS",
            id="another secret",
        ),
        pytest.param(
            {"DATABASE_URL": "postgresql://u:{canary}@127.0.0.1:{port}/db"},
            "see that it runs and lets this user in",
            id="PostgreSQL is down",
        ),
        pytest.param({"DATABASE_URL": "sqlite:///{tmp}/no.db"}, "run `watchword init`", id="no database"),
    ],
)
async def test_a_wrong_setting_is_found(instance: Path, settings: dict[str, str], told: str) -> None:
    """It is named together with what to do, and its value is not repeated."""
    blanks = {"tmp": str(instance), "canary": CANARY, "port": str(free_port())}
    environ = fresh_environment(instance, **{name: value.format(**blanks) for name, value in settings.items()})
    before = digests(instance)
    (message,) = bad(await examine(environ))
    assert told in message
    assert CANARY not in message
    assert digests(instance) == before


async def test_a_secret_is_known_by_the_audit_trail_where_no_key_is_stored(instance: Path) -> None:
    """As under HS256: the commands would all be refused that change something."""
    change(instance / "watchword.db", "DELETE FROM signing_keys")
    assert bad(await examine(fresh_environment(instance))) == []
    (message,) = bad(await examine(fresh_environment(instance, SECRET_KEY=f"{CANARY}, 0123456789 and more")))
    assert message.startswith("keys: WATCHWORD_SECRET_KEY: the last audit events were sealed under another secret")
    assert CANARY not in message


@pytest.mark.parametrize(
    ("statement", "told"),
    [
        pytest.param("DROP TABLE alembic_version", "run `watchword migrate`", id="no schema"),
        pytest.param("UPDATE alembic_version SET version_num = '9999'", "it needs a newer Watchword", id="unknown"),
        pytest.param("DROP TABLE signing_keys", "WATCHWORD_DATABASE_URL: the database answers: no such", id="no keys"),
        pytest.param("UPDATE signing_keys SET sealed = x'00'", "WATCHWORD_SECRET_KEY: the stored", id="a spoilt key"),
        pytest.param("UPDATE signing_keys SET sealed = 'text'", "WATCHWORD_SECRET_KEY: the stored", id="a text"),
        pytest.param("UPDATE signing_keys SET sealed = 5", "WATCHWORD_SECRET_KEY: the stored", id="a number"),
        pytest.param("UPDATE signing_keys SET signs_from = 'x'", "a time or a generation that is none", id="no time"),
    ],
)
async def test_a_wrong_database_is_found(instance: Path, statement: str, told: str) -> None:
    """A schema or keys that a start would refuse are refused here in the same words."""
    change(instance / "watchword.db", statement)
    before = digests(instance)
    (message,) = bad(await examine(fresh_environment(instance)))
    assert told in message
    assert digests(instance) == before


async def test_a_secret_that_others_may_read_is_found(instance: Path) -> None:
    """With the command that mends it."""
    (instance / "secret_key").chmod(0o644)
    (message,) = bad(await examine(fresh_environment(instance)))
    assert "run chmod 600 on it" in message


async def test_a_database_that_others_may_read_is_noted(instance: Path) -> None:
    """It holds the password hashes. With the command that mends it; a group may be meant to make backups."""
    (instance / "watchword.db").chmod(0o640)
    *_, database, noted = await examine(fresh_environment(instance))
    assert (database.subject, database.verdict) == ("database", "good")
    assert (noted.subject, noted.verdict) == ("database", "note")
    assert noted.message.startswith(f"{instance / 'watchword.db'} is open to others (mode 0640), and holds")
    assert "run chmod 600 on it" in noted.message


@pytest.fixture
def with_certificate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The certificate that hypercorn.toml names, whose key is ``key.pem``; it is valid for a day before and behind."""
    certified(tmp_path, "localhost")
    files = f"certfile = '{tmp_path}/cert.pem'\nkeyfile = '{tmp_path}/key.pem'\n"
    (tmp_path / "hypercorn.toml").write_text(f"{files}alpn_protocols = ['http/1.1']\n")
    monkeypatch.setattr(hypercorn_toml, "find", lambda: tmp_path / "hypercorn.toml")
    return tmp_path / "cert.pem"


def test_what_serve_would_refuse_is_found(instance: Path, with_certificate: Path) -> None:
    """As a key of another certificate: in the words of the refusal, and beside a setting that is refused too."""
    former = with_certificate.read_bytes()
    certified(with_certificate.parent, "localhost")
    with_certificate.write_bytes(former)
    (message,) = bad(asyncio.run(examine(fresh_environment(instance))))
    assert message.startswith("server: hypercorn.toml: the certificate or its key cannot be used (")
    assert len(bad(asyncio.run(examine(fresh_environment(instance, ALGORITHM="HS257"))))) == 2


DAY = 24 * 60 * 60


@pytest.mark.parametrize(("days", "of_the_authority"), [(1, 30), (30, 1)])
@pytest.mark.parametrize(
    ("later", "verdict", "told"),
    [
        (0, "good", "hypercorn.toml can be served, with a certificate valid until 20"),
        (2 * DAY, "note", "cert.pem expired at 20"),
        (-2 * DAY, "note", "cert.pem is not valid before 20"),
    ],
)
async def test_a_certificate_out_of_its_time_is_noted(
    instance: Path,
    tmp_path: Path,
    with_certificate: Path,
    days: int,
    of_the_authority: int,
    later: int,
    verdict: str,
    told: str,
) -> None:
    """It is served, and every client refuses it, whether it is the server's own or one of those that sign it."""
    certified(tmp_path, "localhost", days=days)
    authority = tmp_path / "authority"
    authority.mkdir()
    certified(authority, "authority", days=of_the_authority)
    with with_certificate.open("ab") as chain:
        chain.write((authority / "cert.pem").read_bytes())
    finding = (await examine(fresh_environment(instance), clock=lambda: system_clock() + later))[0]
    assert (finding.subject, finding.verdict) == ("server", verdict)
    assert told in finding.message


def test_a_certificate_that_only_openssl_reads_is_noted(instance: Path, with_certificate: Path) -> None:
    """It is served, and the doctor goes on."""
    with_certificate.write_bytes(with_certificate.read_bytes().replace(b" CERTIFICATE", b" TRUSTED CERTIFICATE"))
    finding, *others = asyncio.run(examine(fresh_environment(instance)))
    assert finding == Finding("server", "note", f"until when {with_certificate} is valid cannot be read")
    assert others


def test_a_certificate_without_a_time_that_there_is_is_noted(
    instance: Path, tmp_path: Path, with_certificate: Path
) -> None:
    """Its end is in the year 0, which no calendar of Python's has: the doctor goes on."""
    certified(tmp_path, "localhost", days=365 * 40)
    der = ssl.PEM_cert_to_DER_cert(with_certificate.read_text())
    der, count = re.subn(rb"2\d{3}(?=\d{10}Z)", b"0000", der)
    assert count == 1
    with_certificate.write_text(ssl.DER_cert_to_PEM_cert(der))
    finding, *others = asyncio.run(examine(fresh_environment(instance)))
    assert finding == Finding("server", "note", f"until when {with_certificate} is valid cannot be read")
    assert others


async def test_a_database_of_a_relative_path_is_shown_whole(
    instance: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Started in another folder we look elsewhere, and `init` would make a second database there."""
    monkeypatch.chdir(tmp_path)
    (message,) = bad(await examine(fresh_environment(instance, DATABASE_URL="sqlite:///watchword.db")))
    assert f"there is no database at {tmp_path / 'watchword.db'}; run `watchword init`" in message


async def test_what_looks_like_a_setting_is_noted(instance: Path) -> None:
    """A slip is told together with what was meant; it is no reason to refuse, and its value is not repeated."""
    findings = await examine(fresh_environment(instance, ALGORYTHM=CANARY, COFFEE=CANARY))
    assert bad(findings) == []
    notes = [finding.message for finding in findings if finding.subject == "settings" and finding.verdict == "note"]
    assert notes == [
        "WATCHWORD_ALGORYTHM is no setting; did you mean WATCHWORD_ALGORITHM?",
        "WATCHWORD_COFFEE is no setting",
    ]


async def test_weak_parameters_are_noted(instance: Path) -> None:
    """Cheaper hashes than OWASP asks for are told, the usual ones are not; either way each back end is timed."""
    weak = [finding for finding in await examine(fresh_environment(instance)) if finding.subject == "hashing"]
    assert weak[0].verdict == "note"
    assert "8 KiB and 1 passes is less than OWASP asks for" in weak[0].message
    environ = fresh_environment(instance, HASH_MEMORY_KIB="7168", HASH_PASSES="5")
    usual = [finding for finding in await examine(environ) if finding.subject == "hashing"]
    assert usual[0] == Finding("hashing", "good", "Argon2id with 7168 KiB and 5 passes")
    assert "argon2-cffi" in usual[1].message
    assert "PyNaCl" in usual[1].message


async def test_postgresql_is_looked_over_too(tmp_path: Path, postgresql_url: str) -> None:
    """A schema without keys is sound: the first start makes the key, and looking makes none."""
    environ = fresh_environment(tmp_path, DATABASE_URL=postgresql_url, SECRET_KEY=f"{CANARY}, 0123456789 and more")
    for _ in range(2):
        findings = await examine(environ)
        assert findings[-2] == Finding(
            "database", "good", "postgresql is there, at the right schema, with 0 key(s) that open"
        )


@pytest.mark.parametrize(("ahead", "told"), [(20, " s ahead of"), (-20, " s behind"), (1, "as the database's")])
async def test_a_clock_that_is_wrong_is_noted(tmp_path: Path, postgresql_url: str, ahead: int, told: str) -> None:
    """Several machines judge one session, each by its own clock; the database's is the one that they can be held to."""
    environ = fresh_environment(tmp_path, DATABASE_URL=postgresql_url, SECRET_KEY=f"{CANARY}, 0123456789 and more")
    await asyncio.to_thread(migrations.upgrade, postgresql_url)
    *_, finding = await examine(environ, clock=lambda: system_clock() + ahead)
    assert (finding.subject, finding.verdict) == ("clock", "good" if ahead == 1 else "note")
    assert told in finding.message


@pytest.mark.parametrize(
    ("proxies", "verdict", "told"),
    [
        (None, "good", "none is trusted"),
        ("10.1.2.0/24, ::1", "good", "10.1.2.0/24, ::1/128"),
        ("0.0.0.0/0", "note", "name the proxies alone"),
        ("::/0", "note", "name the proxies alone"),
    ],
)
async def test_who_is_trusted_to_say_who_asks(instance: Path, proxies: str | None, verdict: str, told: str) -> None:
    """The doctor names the trusted proxies, and finds a trust that takes in everybody."""
    environ = fresh_environment(instance)
    if proxies is not None:
        environ["WATCHWORD_TRUSTED_PROXIES"] = proxies
    (finding,) = [finding for finding in await examine(environ) if finding.subject == "proxies"]
    assert finding.verdict == verdict
    assert told in finding.message


def connect_to_read(path: Path, factory: type[TunedConnection]) -> TunedConnection:
    """A connection as of somebody who may not write the file; the tests may be root's, who may do all."""
    return sqlite3.connect(
        f"file:{path}?mode=ro", uri=True, isolation_level=None, check_same_thread=False, factory=factory
    )


async def test_a_file_that_takes_no_writes_is_found(instance: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where nobody could log in the doctor does not say that all is well, and the service does not start."""
    monkeypatch.setattr(lanes, "connect", connect_to_read)
    (message,) = bad(await examine(fresh_environment(instance)))
    assert message == "database: WATCHWORD_DATABASE_URL: the database answers: attempt to write a readonly database"
    with pytest.raises(SettingRefused, match=r"WATCHWORD_DATABASE_URL: .*attempt to write a readonly database"):
        await preflight(Settings.read(fresh_environment(instance)))


def test_a_folder_that_takes_no_writes_is_named(instance: Path) -> None:
    """SQLite makes its log there to read as well; it speaks of the database alone, which may be all right."""
    as_owner_alone = ["setpriv", "--bounding-set", "-dac_override"] if os.geteuid() == 0 else []
    told = f"WATCHWORD_DATABASE_URL: {instance} takes no writes, and SQLite needs to write there even to read\n"
    instance.chmod(0o500)
    try:
        doctor, users, migrate = (
            run([*as_owner_alone, *COMMAND, *command], environ=fresh_environment(instance))
            for command in (["doctor"], ["users", "list"], ["migrate"])
        )
        environ = fresh_environment(instance, DATABASE_URL=f"sqlite:///{instance}/another.db")
        migrate_another = run([*as_owner_alone, *COMMAND, "migrate"], environ=environ)
    finally:
        instance.chmod(0o700)
    assert doctor.returncode == 1
    assert doctor.stdout.endswith(f"bad   database  {told}")
    assert refusal(users) == refusal(migrate) == refusal(migrate_another) == f"watchword: {told}"


def test_a_disk_without_space_is_found(instance: Path) -> None:
    """Beside a running service, whose log of the database cannot grow: every login would be 503."""
    environ = fresh_environment(instance)
    settings = Settings.read(environ)
    with closing(sqlite3.connect(instance / "watchword.db", isolation_level=None)) as service:
        service.execute("PRAGMA wal_autocheckpoint=0")
        service.execute("UPDATE users SET id = id")
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, ((instance / "watchword.db-wal").stat().st_size, hard))
        try:
            (message,) = bad(asyncio.run(examine(environ)))
            with pytest.raises(SettingRefused, match="the database answers: "):
                asyncio.run(preflight(settings))
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        assert message.startswith("database: WATCHWORD_DATABASE_URL: the database answers: ")
        assert bad(asyncio.run(examine(environ))) == []


async def test_a_file_that_somebody_writes_to_is_no_reason(instance: Path) -> None:
    """Who holds its lock for longer than anybody waits ends some time; until then logins are 503, and tokens go on."""
    environ = fresh_environment(instance)
    with closing(sqlite3.connect(instance / "watchword.db", isolation_level=None)) as writer:
        writer.execute("BEGIN IMMEDIATE")
        assert bad(await examine(environ)) == []
        await preflight(Settings.read(environ))


async def test_a_sequence_behind_its_rows_is_found_and_mended_as_told(tmp_path: Path, postgresql_url: str) -> None:
    """As in a logical replica that took over; meanwhile what adds a row is refused, and is no error."""
    environ = fresh_environment(tmp_path, DATABASE_URL=postgresql_url, SECRET_KEY=f"{CANARY}, 0123456789 and more")
    await asyncio.to_thread(migrations.upgrade, postgresql_url)
    connection = await asyncpg.connect(postgresql_url)
    await connection.execute("INSERT INTO users VALUES ('u', 'u', 'u', 'h', 1, '', NULL, 0)")
    await connection.execute(
        "INSERT INTO sessions SELECT 's' || g, 'u', 0, 99, '', 0, 0, 99, 99, 1, '', '' FROM generate_series(1, 2) g"
    )
    await connection.execute("INSERT INTO revocations SELECT g, 's', 0, 0 FROM generate_series(1, 30) g")
    store = await store_at(postgresql_url).open()
    with pytest.raises(Unavailable, match="gives a number that a row has"):
        await store.write(partial(sessions.end_all, user_id="u", now=5, token_lifetime=900))
    (message,) = bad(await examine(environ))
    assert message.startswith("database: the next number for revocations is below")
    await connection.execute(message.partition("; do ")[2])
    assert bad(await examine(environ)) == []
    assert len(await store.write(partial(sessions.end_all, user_id="u", now=5, token_lifetime=900))) == 2
    await store.close()
    await connection.close()


@pytest.mark.parametrize("how", ["INCREMENT 2", "CACHE 50", "CYCLE"])
async def test_a_sequence_that_does_not_count_by_one_is_found_and_mended_as_told(
    tmp_path: Path, postgresql_url: str, how: str
) -> None:
    """With a cache each connection has numbers of its own: of logouts together most would be 503."""
    environ = fresh_environment(tmp_path, DATABASE_URL=postgresql_url, SECRET_KEY=f"{CANARY}, 0123456789 and more")
    connection = await asyncpg.connect(postgresql_url)
    await connection.execute(f"ALTER SEQUENCE revocations_seq_seq {how}")
    (message,) = bad(await examine(environ))
    assert message.startswith("database: revocations_seq_seq gives numbers out of turn")
    await connection.execute(message.partition("; do ")[2])
    assert bad(await examine(environ)) == []
    await connection.close()


A_USER_AND_A_SESSION = """
    INSERT INTO users VALUES ('u', 'u', 'u', 'h', 1, '', NULL, 0);
    INSERT INTO sessions VALUES ('s', 'u', 0, 99, '', 0, 0, 99, 99, 1, '', '')
"""
README_GRANTS = re.findall(r"^GRANT .*;$", (ROOT / "README.md").read_text(), re.MULTILINE)
"""What the README has a role granted that serves and owns nothing."""


@asynccontextmanager
async def another_role(
    url: str, owner: asyncpg.Connection, *, grants: Sequence[str] = README_GRANTS
) -> AsyncIterator[str]:
    """The URL by which a role serves that has been granted something."""
    parts = urlsplit(url)
    await owner.execute("CREATE ROLE watchword LOGIN")
    try:
        for grant in grants:
            await owner.execute(grant)
        yield parts._replace(netloc=f"watchword@{parts.hostname}:{parts.port}").geturl()
    finally:
        await owner.execute("DROP OWNED BY watchword; DROP ROLE watchword")


@pytest.mark.parametrize(
    ("how", "name"),
    [
        ("ALTER SEQUENCE revocations_seq_seq OWNED BY NONE", "revocations_seq_seq"),
        (
            'CREATE SCHEMA "it\'s"; CREATE SEQUENCE "it\'s"."Its own";'
            " ALTER TABLE revocations ALTER seq SET DEFAULT nextval('\"it''s\".\"Its own\"')",
            '"it\'s"."Its own"',
        ),
        (
            "ALTER TABLE revocations ALTER seq DROP DEFAULT, ALTER seq ADD GENERATED ALWAYS AS IDENTITY",
            "revocations_seq_seq1",
        ),
    ],
    ids=["owned by none", "another", "identity"],
)
async def test_a_sequence_is_found_by_the_column_that_takes_numbers_of_it(
    tmp_path: Path, postgresql_url: str, how: str, name: str
) -> None:
    """``OWNED BY`` and the name tell of none that logouts are numbered by: one with a cache would be called good."""
    environ = fresh_environment(tmp_path, DATABASE_URL=postgresql_url, SECRET_KEY=f"{CANARY}, 0123456789 and more")
    connection = await asyncpg.connect(postgresql_url)
    await connection.execute(how)
    assert bad(await examine(environ)) == []
    row = "INSERT INTO revocations OVERRIDING SYSTEM VALUE VALUES (30, 's', 0, 0)"
    for fault, told, mend in [
        (f"ALTER SEQUENCE {name} CACHE 50", f"{name} gives numbers out of turn", "{}"),
        (row, "the next number for revocations is below those of its rows", "{}"),
        (f"ALTER SEQUENCE {name} RESTART WITH 7", "the next number for revocations is below those of its rows", "{}"),
        (f"ALTER SEQUENCE {name} SET UNLOGGED", f"would empty {name}; run", f"ALTER TABLE {name} SET LOGGED"),
    ]:
        await connection.execute(fault)
        (message,) = bad(await examine(environ))
        assert told in message
        await connection.execute(mend.format(message.partition("; do ")[2]))
        assert bad(await examine(environ)) == []
    grants = (
        "GRANT ALL ON ALL TABLES IN SCHEMA public TO watchword",
        "GRANT USAGE ON SEQUENCE audit_events_id_seq TO watchword",
    )
    async with another_role(postgresql_url, connection, grants=grants) as theirs:
        told = "database: WATCHWORD_DATABASE_URL: the database's owner has not granted this user USAGE on"
        lacking = [] if how.endswith("IDENTITY") else [f"{told} {name}"]
        assert bad(await examine({**environ, "WATCHWORD_DATABASE_URL": theirs})) == lacking
    await connection.close()


@pytest.mark.parametrize(
    "how",
    [
        "ALTER TABLE revocations ALTER seq DROP DEFAULT",
        "DROP SEQUENCE revocations_seq_seq CASCADE",
        "ALTER TABLE audit_events ALTER id DROP DEFAULT",
    ],
)
async def test_a_column_that_lost_its_default_is_found_and_mended_as_told(
    tmp_path: Path, postgresql_url: str, how: str
) -> None:
    """Logins would go on and no logout, or no line of the audit trail, be written: neither is ready, nor started."""
    environ = fresh_environment(tmp_path, DATABASE_URL=postgresql_url, SECRET_KEY=f"{CANARY}, 0123456789 and more")
    await asyncio.to_thread(migrations.upgrade, postgresql_url)
    connection = await asyncpg.connect(postgresql_url)
    await connection.execute("INSERT INTO revocations SELECT g, 's', 0, 0 FROM generate_series(1, 30) g")
    await connection.execute("SELECT setval('revocations_seq_seq', 30)")
    await connection.execute(how)
    (message,) = bad(await examine(environ))
    assert message.startswith("database: WATCHWORD_DATABASE_URL: the database gives rows no number")
    with pytest.raises(SchemaRefused, match="the database gives rows no number"):
        await preflight(Settings.read(environ))
    # Of the user ``ww`` the schema of that name comes first in ``search_path``, as another may in the owner's.
    await connection.execute("CREATE SCHEMA ww; CREATE TABLE ww.revocations (seq int NOT NULL)")
    await connection.execute("CREATE TABLE ww.audit_events (id int NOT NULL)")
    await connection.execute(message.partition("; do ")[2])
    await connection.execute("DROP SCHEMA ww CASCADE")
    assert bad(await examine(environ)) == []
    await connection.close()


async def test_a_row_without_a_value_is_the_databases_fault(postgresql_url: str) -> None:
    """A default that is lost under a running service: what adds a row is 503, which is tried again, and no 500."""
    connection = await asyncpg.connect(postgresql_url)
    await connection.execute(A_USER_AND_A_SESSION)
    await connection.execute("ALTER TABLE revocations ALTER seq DROP DEFAULT")
    await connection.close()
    store = await store_at(postgresql_url).open()
    with pytest.raises(Unavailable, match=r"has no value for revocations\.seq; `watchword doctor`"):
        await store.write(partial(sessions.end_all, user_id="u", now=5, token_lifetime=900))
    await store.close()


async def test_a_number_below_those_of_rows_ends_nothing(tmp_path: Path, postgresql_url: str) -> None:
    """The oldest rows are gone, so it is free: but everybody asks for what is above those that are there, and an end
    below them would be a logout that no other process hears of.
    """
    environ = fresh_environment(tmp_path, DATABASE_URL=postgresql_url, SECRET_KEY=f"{CANARY}, 0123456789 and more")
    await asyncio.to_thread(migrations.upgrade, postgresql_url)
    connection = await asyncpg.connect(postgresql_url)
    await connection.execute(A_USER_AND_A_SESSION)
    await connection.execute("INSERT INTO revocations SELECT g, 's', 0, 0 FROM generate_series(501, 600) g")
    store = await store_at(postgresql_url).open()
    with pytest.raises(Unavailable, match="gives numbers below those of its rows"):
        await store.write(partial(sessions.end_all, user_id="u", now=5, token_lifetime=900))
    (message,) = bad(await examine(environ))
    await connection.execute(message.partition("; do ")[2])
    (ended,) = await store.write(partial(sessions.end_all, user_id="u", now=5, token_lifetime=900))
    assert ended.seq == 601
    await store.close()
    await connection.close()


@pytest.mark.parametrize("first", [30, 31])
async def test_a_sequence_that_was_set_is_behind_only_if_its_next_number_is_no_new_one(
    tmp_path: Path, postgresql_url: str, first: int
) -> None:
    """It has given none yet, as after RESTART WITH, and which will be the first it alone knows."""
    environ = fresh_environment(tmp_path, DATABASE_URL=postgresql_url, SECRET_KEY=f"{CANARY}, 0123456789 and more")
    await asyncio.to_thread(migrations.upgrade, postgresql_url)
    connection = await asyncpg.connect(postgresql_url)
    await connection.execute("INSERT INTO revocations SELECT g, 's', 0, 0 FROM generate_series(1, 30) g")
    for restart in (
        f"ALTER SEQUENCE revocations_seq_seq RESTART WITH {first}",
        f"SELECT setval('revocations_seq_seq', {first}, false)",
    ):
        await connection.execute(restart)
        told = "".join(bad(await examine(environ)))
        assert ("the next number for revocations is below" in told) == (first == 30), told
    await connection.close()


async def test_a_sequence_that_may_not_be_read_is_judged_by_what_it_gave(tmp_path: Path, postgresql_url: str) -> None:
    """Before it has given a number only its owner can tell whether it is behind; to others it is no fault."""
    connection = await asyncpg.connect(postgresql_url)
    await connection.execute("INSERT INTO revocations SELECT g, 's', 0, 0 FROM generate_series(1, 30) g")
    async with another_role(postgresql_url, connection) as url:
        theirs, owners = (
            fresh_environment(tmp_path, DATABASE_URL=each, SECRET_KEY=f"{CANARY}, 0123456789 and more")
            for each in (url, postgresql_url)
        )
        await connection.execute("ALTER SEQUENCE revocations_seq_seq RESTART WITH 1000000")
        assert (bad(await examine(theirs)), bad(await examine(owners))) == ([], [])
        await connection.execute("ALTER SEQUENCE revocations_seq_seq RESTART WITH 7")
        assert (bad(await examine(theirs)), len(bad(await examine(owners)))) == ([], 1)
        await connection.execute("SELECT nextval('revocations_seq_seq')")
        (message,) = bad(await examine(theirs))
        assert message.startswith("database: the next number for revocations is below")
    await connection.close()


async def test_who_is_numbered_by_an_identity_needs_no_right_to_its_sequence(
    tmp_path: Path, postgresql_url: str
) -> None:
    """It comes without any when the owner does what is told; a service that could log out would be refused."""
    connection = await asyncpg.connect(postgresql_url)
    await connection.execute(A_USER_AND_A_SESSION)
    async with another_role(postgresql_url, connection) as url:
        environ = fresh_environment(tmp_path, DATABASE_URL=url, SECRET_KEY=f"{CANARY}, 0123456789 and more")
        await connection.execute("ALTER TABLE revocations ALTER seq DROP DEFAULT")
        (message,) = bad(await examine(environ))
        await connection.execute(message.partition("; do ")[2])
        assert bad(await examine(environ)) == []
        await preflight(Settings.read(environ))
        store = await store_at(url).open()
        assert len(await store.write(partial(sessions.end_all, user_id="u", now=5, token_lifetime=900))) == 1
        await store.close()
        assert bad(await examine(environ)) == []
    await connection.close()


@pytest.mark.parametrize(
    "how", ["ALTER TABLE revocations ALTER seq DROP DEFAULT", "DROP SEQUENCE revocations_seq_seq CASCADE"]
)
async def test_an_identity_that_is_told_begins_above_the_rows(tmp_path: Path, postgresql_url: str, how: str) -> None:
    """Who may not read its sequence would call one good that is below them, and each logout would be 503."""
    connection = await asyncpg.connect(postgresql_url)
    await connection.execute(A_USER_AND_A_SESSION)
    await connection.execute("INSERT INTO revocations SELECT g, 't', 0, 0 FROM generate_series(1, 4) g")
    async with another_role(postgresql_url, connection) as url:
        environ = fresh_environment(tmp_path, DATABASE_URL=url, SECRET_KEY=f"{CANARY}, 0123456789 and more")
        await connection.execute(how)
        (message,) = bad(await examine(environ))
        await connection.execute(message.partition("; do ")[2])
        assert bad(await examine(environ)) == []
        store = await store_at(url).open()
        (ended,) = await store.write(partial(sessions.end_all, user_id="u", now=5, token_lifetime=900))
        assert ended.seq == 5
        await store.close()
    await connection.close()


async def test_numbers_that_only_the_owner_sees_are_noted(tmp_path: Path, postgresql_url: str) -> None:
    """Those of an identity: of one below its rows the role that serves was told that all is well, and none was written.

    The rest is looked at all the same, and nothing is noted where there are no rows or the owner has granted a look.
    """
    connection = await asyncpg.connect(postgresql_url)
    async with another_role(postgresql_url, connection) as url:
        environ = fresh_environment(tmp_path, DATABASE_URL=url, SECRET_KEY=f"{CANARY}, 0123456789 and more")
        await connection.execute(
            "ALTER TABLE revocations ALTER seq DROP DEFAULT, ALTER seq ADD GENERATED BY DEFAULT AS IDENTITY"
        )
        assert [finding.verdict for finding in (await examine(environ))[-2:]] == ["good", "good"]
        await connection.execute("INSERT INTO revocations (session_id, revoked_at, expires_at) VALUES ('s', 0, 0)")
        await connection.execute("ALTER TABLE revocations ALTER seq RESTART WITH 1")
        noted, clock = (await examine(environ))[-2:]
        assert (noted.subject, noted.verdict, clock.subject) == ("database", "note", "clock")
        assert noted.message.endswith(
            "; whether the next number for revocations is above those of the rows only the owner can see: have them run"
            " `watchword doctor`"
        )
        (message,) = bad(await examine({**environ, "WATCHWORD_DATABASE_URL": postgresql_url}))
        assert message.startswith("database: the next number for revocations is below")
        await connection.execute("GRANT SELECT ON SEQUENCE revocations_seq_seq1 TO watchword")
        assert bad(await examine(environ)) == [message]
    await connection.close()


@pytest.mark.parametrize(("table", "column"), [("revocations", "seq"), ("audit_events", "id")])
async def test_a_column_without_a_number_is_told_to_who_may_not_read_its_table(
    tmp_path: Path, postgresql_url: str, table: str, column: str
) -> None:
    """Who lists users needs no right to it, and where the numbers begin only somebody else can say."""
    connection = await asyncpg.connect(postgresql_url)
    await connection.execute(f"ALTER TABLE {table} ALTER {column} DROP DEFAULT")
    async with another_role(postgresql_url, connection) as url:
        environ = fresh_environment(tmp_path, DATABASE_URL=url, SECRET_KEY=f"{CANARY}, 0123456789 and more")
        await connection.execute(f"REVOKE ALL ON {table} FROM watchword")
        users = await asyncio.to_thread(run, [*COMMAND, "users", "list"], environ=environ)
        assert refusal(users) == (
            "watchword: WATCHWORD_DATABASE_URL: the database gives rows no number that should have one;"
            f" do what `watchword doctor` tells the owner of {table}\n"
        )
    await connection.close()


def test_a_server_that_takes_no_writes_is_found(tmp_path: Path, postgresql_url: str) -> None:
    """On a standby the doctor, init and whatever changes something say so in one line; a list is a list."""
    environ = fresh_environment(tmp_path, DATABASE_URL=postgresql_url, SECRET_KEY=f"{CANARY}, 0123456789 and more")
    run([*COMMAND, "init"], environ=environ).check_returncode()
    asyncio.run(take_no_writes(postgresql_url))
    told = "WATCHWORD_DATABASE_URL: the database takes no writes; is it a standby, or set to"
    (message,) = bad(asyncio.run(examine(environ)))
    assert message.startswith(f"database: {told}")
    for command in ("init", "users disable admin"):
        assert refusal(run([*COMMAND, *command.split()], environ=environ)).startswith(f"watchword: {told}")
    assert run([*COMMAND, "users", "list"], environ=environ).stdout == "admin\tenabled\tadmin\n"


def test_a_database_without_an_encoding_holds_every_name(tmp_path: Path, postgresql_server: str) -> None:
    """SQL_ASCII, which a PostgreSQL without a locale has: what is written in UTF-8 is read in UTF-8."""
    with fresh_database(postgresql_server, "template0", encoding="SQL_ASCII") as url:
        environ = fresh_environment(tmp_path, DATABASE_URL=url, SECRET_KEY=f"{CANARY}, 0123456789 and more")
        run([*COMMAND, "init"], environ=environ).check_returncode()
        (tmp_path / "users.jsonl").write_text('{"username": "žofie漢", "password": "a river crossed at night"}\n')
        run([*COMMAND, "users", "import", str(tmp_path / "users.jsonl")], environ=environ).check_returncode()
        assert run([*COMMAND, "users", "list"], environ=environ).stdout.endswith("žofie漢\tenabled\t\n")
        asyncio.run(preflight(Settings.read(environ)))


def test_a_database_that_cannot_hold_every_name_is_refused(
    tmp_path: Path, postgresql_server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A login under one of the others would be 503: nothing is made there, and on what was made before nothing runs."""
    told = "WATCHWORD_DATABASE_URL: the database has the encoding LATIN1, which cannot hold every name"
    with fresh_database(postgresql_server, "template0", encoding="LATIN1") as url:
        environ = fresh_environment(tmp_path, DATABASE_URL=url, SECRET_KEY=f"{CANARY}, 0123456789 and more")

        def expect_a_refusal() -> None:
            for command in ("init", "migrate"):
                assert refusal(run([*COMMAND, command], environ=environ)).startswith(f"watchword: {told}")

        expect_a_refusal()
        with monkeypatch.context() as former:
            former.setattr(inspection, "expect_utf8", lambda _: None)
            migrations.upgrade(url)
        expect_a_refusal()
        (message,) = bad(asyncio.run(examine(environ)))
        assert message.startswith(f"database: {told}")
        with pytest.raises(SchemaRefused, match=told):
            asyncio.run(preflight(Settings.read(environ)))


@pytest.mark.parametrize(
    ("drops", "told"),
    [
        (["lock_timeout"], "lock_timeout"),
        (["default_transaction_isolation", "statement_timeout"], "default_transaction_isolation, statement_timeout"),
        (["idle_in_transaction_session_timeout"], "idle_in_transaction_session_timeout"),
    ],
)
async def test_a_pooler_that_drops_what_connections_are_opened_with_is_refused(
    tmp_path: Path, postgresql_url: str, drops: list[str], told: str
) -> None:
    """As PgBouncer with ``ignore_startup_parameters``: who waits for a lock would hold a connection for ever."""
    with Proxy.before(postgresql_url) as proxy:
        environ = fresh_environment(tmp_path, DATABASE_URL=proxy.url, SECRET_KEY=f"{CANARY}, 0123456789 and more")
        await asyncio.to_thread(isolate, postgresql_url)
        assert bad(await examine(environ)) == []
        proxy.drops = frozenset(drops)
        (message,) = bad(await examine(environ))
        assert message.startswith(f"database: WATCHWORD_DATABASE_URL: a pooler in between drops {told}, with which")
        assert message.endswith("hands on startup parameters")
        with pytest.raises(SchemaRefused, match=f"drops {told}, with"):
            await preflight(Settings.read(environ))


async def test_a_pooler_that_takes_no_settings_is_named(tmp_path: Path) -> None:
    """As PgBouncer: it runs and lets this user in, so to look whether it does would be no help."""

    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readexactly(8)  # may it be TLS?
        writer.write(b"N")
        await reader.readexactly(8)
        fields = b"SFATAL\0C08P01\0Munsupported startup parameter: lock_timeout\0\0"
        writer.write(b"E" + (len(fields) + 4).to_bytes(4) + fields)
        writer.close()

    async with await asyncio.start_server(refuse, "127.0.0.1", 0) as pooler:
        url = f"postgresql://u@127.0.0.1:{pooler.sockets[0].getsockname()[1]}/db"
        environ = fresh_environment(tmp_path, DATABASE_URL=url, SECRET_KEY=f"{CANARY}, 0123456789 and more")
        (message,) = bad(await examine(environ))
    assert "unsupported startup parameter: lock_timeout; connect to PostgreSQL itself" in message
    assert "lets this user in" not in message


async def test_all_that_is_unique_is_looked_for(postgresql_url: str) -> None:
    """A restore makes it last: one that stopped before would be called good, and each login be 503."""
    owner = await asyncpg.connect(postgresql_url)
    tables = "SELECT relname FROM pg_class WHERE relkind = 'r' AND oid > 16383 AND relname <> 'alembic_version'"
    for (table,) in await owner.fetch(tables):
        unique = f"SELECT indexrelid FROM pg_index WHERE indrelid = '{table}'::regclass AND indisunique"
        assert len(await owner.fetch(unique)) == len(inspection._UNIQUE[table]), table
    await owner.close()


_NAMES_KEY = "ALTER TABLE users DROP CONSTRAINT users_canonical_name_key; CREATE"


@pytest.mark.parametrize(
    ("how", "is_good"),
    [
        (f"{_NAMES_KEY} INDEX users_canonical_name_key ON users (canonical_name)", False),
        (f"{_NAMES_KEY} UNIQUE INDEX users_canonical_name_key ON users (username)", False),
        (f"{_NAMES_KEY} UNIQUE INDEX users_canonical_name_key ON users (canonical_name, id)", False),
        (f"{_NAMES_KEY} UNIQUE INDEX users_canonical_name_key ON users (canonical_name) WHERE id <> ''", False),
        (f"{_NAMES_KEY} UNIQUE INDEX users_canonical_name_key ON users (lower(canonical_name))", False),
        ("ALTER INDEX users_canonical_name_key RENAME TO names", True),
        (f"{_NAMES_KEY} UNIQUE INDEX names ON users (canonical_name) INCLUDE (id)", True),
    ],
)
async def test_what_is_unique_is_known_by_its_columns(
    tmp_path: Path, postgresql_url: str, how: str, *, is_good: bool
) -> None:
    """By its name one that keeps nothing unique is called good, and one that was only renamed is missed."""
    environ = fresh_environment(tmp_path, DATABASE_URL=postgresql_url, SECRET_KEY=f"{CANARY}, 0123456789 and more")
    owner = await asyncpg.connect(postgresql_url)
    await owner.execute(how)
    await owner.close()
    told = bad(await examine(environ))
    assert told == [] if is_good else "without its own unique index on users (canonical_name); restore it" in told[0]


async def test_a_server_that_answers_before_it_has_written_is_refused(tmp_path: Path, postgresql_url: str) -> None:
    """With ``synchronous_commit = off`` a crash of PostgreSQL undoes logouts that were answered."""
    environ = fresh_environment(tmp_path, DATABASE_URL=postgresql_url, SECRET_KEY=f"{CANARY}, 0123456789 and more")
    owner = await asyncpg.connect(postgresql_url)
    await owner.execute(f"ALTER DATABASE {urlsplit(postgresql_url).path[1:]} SET synchronous_commit = off")
    await owner.close()
    (message,) = bad(await examine(environ))
    assert message.startswith("database: WATCHWORD_DATABASE_URL: synchronous_commit is off, and a crash")
    with pytest.raises(SchemaRefused, match="synchronous_commit is off"):
        await preflight(Settings.read(environ))


@pytest.mark.parametrize(
    "how",
    [
        "DROP TABLE tallies",
        "CREATE SCHEMA ww; CREATE TABLE ww.tallies (id text)",
        "ALTER TABLE tallies DROP CONSTRAINT tallies_pkey",
    ],
)
async def test_a_table_that_is_gone_or_is_anothers_is_named(tmp_path: Path, postgresql_url: str, how: str) -> None:
    """As after half of a restore, or beside another application: the version is right, and each login would be 503."""
    environ = fresh_environment(tmp_path, DATABASE_URL=postgresql_url, SECRET_KEY=f"{CANARY}, 0123456789 and more")
    owner = await asyncpg.connect(postgresql_url)
    await owner.execute(how)  # of the user ``ww`` the schema of that name comes first in ``search_path``
    await owner.close()
    lost = "unique index on tallies (key)" if "CONSTRAINT" in how else "tallies, unique index on tallies (key)"
    told = f"WATCHWORD_DATABASE_URL: the database is at schema {migrations.HEAD} without its own {lost}; restore it"
    (message,) = bad(await examine(environ))
    assert message.startswith(f"database: {told}")
    with pytest.raises(SchemaRefused, match=re.escape(told)):
        await preflight(Settings.read(environ))


@pytest.mark.parametrize(
    "unlogged", [["revocations"], ["revocations_seq_seq"], ["sessions", "users", "revocations"]], ids=" ".join
)
async def test_what_a_crash_would_empty_is_named_and_mended_as_told(
    tmp_path: Path, postgresql_url: str, unlogged: list[str]
) -> None:
    """PostgreSQL writes nothing of what is UNLOGGED to its log: of ``revocations`` a crash undoes all logouts."""
    environ = fresh_environment(tmp_path, DATABASE_URL=postgresql_url, SECRET_KEY=f"{CANARY}, 0123456789 and more")
    owner = await asyncpg.connect(postgresql_url)
    for name in unlogged:
        await owner.execute(f"ALTER TABLE {name} SET UNLOGGED")
    (message,) = bad(await examine(environ))
    told = "a crash of PostgreSQL would empty "
    assert message.startswith(f"database: WATCHWORD_DATABASE_URL: {told}")
    with pytest.raises(SchemaRefused, match=told):
        await preflight(Settings.read(environ))
    names, _, mend = message.partition(told)[2].partition("; run ")
    for name in names.split(", "):
        await owner.execute(mend.partition(" on each")[0].replace("…", name))
    await owner.close()
    assert bad(await examine(environ)) == []


async def test_standbys_alone_are_told_of(tmp_path: Path, postgresql_url: str) -> None:
    """In our words, where the URL asks for a server that takes writes."""
    environ = fresh_environment(
        tmp_path,
        DATABASE_URL=f"{postgresql_url}?target_session_attrs=read-write",
        SECRET_KEY=f"{CANARY}, 0123456789 and more",
    )
    owner = await asyncpg.connect(postgresql_url)
    await owner.execute(f"ALTER DATABASE {urlsplit(postgresql_url).path[1:]} SET default_transaction_read_only = on")
    await owner.close()
    (message,) = bad(await examine(environ))
    assert "none of the hosts is what target_session_attrs asks for; are all of them standbys?" in message


async def test_rights_that_the_service_lacks_are_named(tmp_path: Path, postgresql_url: str) -> None:
    """A user who could log in and not out is refused; what the README has granted to it is enough."""
    assert len(README_GRANTS) == 2
    owner = await asyncpg.connect(postgresql_url)
    async with another_role(postgresql_url, owner) as url:
        environ = fresh_environment(tmp_path, DATABASE_URL=url, SECRET_KEY=f"{CANARY}, 0123456789 and more")
        assert bad(await examine(environ)) == []
        await preflight(Settings.read(environ))
        for rights, thing in [
            ("USAGE", "revocations_seq_seq"),
            ("USAGE", "audit_events_id_seq"),
            ("INSERT", "revocations"),
            ("DELETE", "sessions"),
        ]:
            await owner.execute(f"REVOKE {rights} ON {thing} FROM watchword")
            (message,) = bad(await examine(environ))
            assert message == (
                f"database: WATCHWORD_DATABASE_URL: the database's owner has not granted this user {rights} on {thing}"
            )
            with pytest.raises(SettingRefused, match=f"has not granted this user {rights} on {thing}"):
                await preflight(Settings.read(environ))
            await owner.execute(f"GRANT {rights} ON {thing} TO watchword")
        for table in ("revocations", "alembic_version"):
            await owner.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")  # as some hosts have it for all
            (message,) = bad(await examine(environ))
            assert message.endswith(f"has not granted this user a way around row security on {table}")
            await owner.execute(f"ALTER TABLE {table} DISABLE ROW LEVEL SECURITY")
        for right, table in [("SELECT", "users"), ("INSERT", "sessions")]:
            await owner.execute(f"REVOKE {right} ON {table} FROM watchword; GRANT {right} (id) ON {table} TO watchword")
            (message,) = bad(await examine(environ))
            assert message.endswith(f"has not granted this user {right} on {table}"), (
                "a right on one column is not enough"
            )
            await owner.execute(f"GRANT {right} ON {table} TO watchword")
        named = "SELECT column_name FROM information_schema.columns WHERE table_name = 'users'"
        columns = ", ".join(name for (name,) in await owner.fetch(named))
        await owner.execute(f"REVOKE UPDATE ON users FROM watchword; GRANT UPDATE ({columns}) ON users TO watchword")
        assert bad(await examine(environ)) == [], "rights on columns are the owner's to choose"
        await owner.execute("GRANT UPDATE ON users TO watchword")
        await owner.execute("REVOKE INSERT, DELETE ON ALL TABLES IN SCHEMA public FROM watchword")
        (message,) = bad(await examine(environ))
        assert "INSERT on sessions, DELETE on sessions, INSERT on revocations, DELETE on revocations" in message
        assert refusal(run([*COMMAND, "users", "disable", "admin"], environ=environ)).startswith("watchword: ")
        assert run([*COMMAND, "users", "list"], environ=environ).returncode == 0
    await owner.close()
