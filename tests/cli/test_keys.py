"""``watchword keys …``: which keys there are, another one, and an end to one."""

import asyncio
import json
from collections.abc import Callable
from pathlib import Path

import click.testing
import pytest

from tests.builders import SECRET
from tests.cli.commands import change, in_process, refusal, rows
from tests.servers import environment, watchword
from watchword.cli.shown import moment
from watchword.errors import RotationRefused, SettingRefused, WatchwordError
from watchword.flows.keyring import load
from watchword.keyholder import KeyHolder
from watchword.store import store_at

OTHER_SECRET = "another root secret for tests, 0123456789"

Run = Callable[..., click.testing.Result]


@pytest.fixture
def database(sqlite_url: str) -> Path:
    """A database with its first key."""

    async def start() -> None:
        store = await store_at(sqlite_url).open()
        await load(KeyHolder(algorithm="ES256", secret=SECRET.encode()), store=store, clock=lambda: 1_700_000_000)
        await store.close()

    asyncio.run(start())
    return Path(sqlite_url.removeprefix("sqlite:///"))


@pytest.fixture
def run(database: Path) -> Run:
    """Runs a command about keys on it."""
    environ = environment(database.parent, DATABASE_URL=f"sqlite:///{database}")

    def command(*arguments: str, **settings: str) -> click.testing.Result:
        given = {**environ, **{f"WATCHWORD_{name}": value for name, value in settings.items()}}
        return in_process("keys", *arguments, environ=given)

    return command


def listed(run: Run) -> list[dict[str, object]]:
    """What the command tells a program."""
    done = run("list", "--json")
    assert (done.exit_code, done.stderr) == (0, "")
    return [json.loads(line) for line in done.stdout.splitlines()]


def states(run: Run) -> list[object]:
    """The state of each key."""
    return [key["state"] for key in listed(run)]


def refused(done: click.testing.Result) -> WatchwordError:
    """The refusal that ``main`` makes a line of."""
    assert done.stdout == ""
    assert isinstance(done.exception, WatchwordError), done
    return done.exception


def test_a_key_is_rotated_and_retired(run: Run) -> None:
    """Row 93: published, brought forward, signing; its predecessor verifies, and then is gone."""
    (first,) = listed(run)
    assert list(first) == ["kid", "algorithm", "state", "created_at", "signs_from", "verifies_until"]
    assert list(first.values())[1:] == ["ES256", "signing", 1_700_000_000, 1_700_000_000, None]
    rotated = run("rotate").stdout
    assert states(run) == ["signing", "published"]
    second, made = (listed(run)[1][name] for name in ("kid", "created_at"))
    assert rotated.startswith(f"The key {second} is published, and signs from 20")
    assert isinstance(refused(run("rotate")), RotationRefused)
    assert isinstance(refused(run("retire", str(first["kid"]))), RotationRefused)
    assert run("rotate", "--now").stdout == f"The key {second} signs. It was made at {moment(made)}.\n"
    assert states(run) == ["verifying", "signing"]
    assert run("retire", str(first["kid"])).stdout == f"The key {first['kid']} is retired.\n"
    assert [key["kid"] for key in listed(run)] == [second]


def test_keys_are_listed_for_people_without_what_could_sign(run: Run, database: Path) -> None:
    """A line for each, times in UTC; nothing of the sealed part in either form."""
    (first,) = listed(run)
    shown = run("list").stdout
    made = "2023-11-14 22:13:20Z"
    assert shown == "\t".join((str(first["kid"]), "ES256", "signing", made, made, "-")) + "\n"
    ((sealed,),) = rows(database, "SELECT sealed FROM signing_keys")
    assert not any(part in shown + json.dumps(first) for part in (sealed.hex()[:8], repr(sealed)[2:10]))


@pytest.mark.parametrize("kid", ["nobodys", "-8q06c7ih8fxY", "-h", "--q06"])
def test_a_key_that_is_not_there_is_one_line(run: Run, kid: str) -> None:
    """Status 1, and its name, even where that begins like an option."""
    done = run("retire", kid)
    assert (done.exit_code, done.stderr) == (1, f"Error: there is no key {kid}\n")


def test_another_secret_makes_no_key(run: Run) -> None:
    """Row 92: the services could not open it; the line names the setting and holds no secret."""
    refusal = refused(run("rotate", SECRET_KEY=OTHER_SECRET))
    assert isinstance(refusal, SettingRefused)
    assert str(refusal).startswith("WATCHWORD_SECRET_KEY: the stored signing key")
    assert OTHER_SECRET not in str(refusal)
    assert states(run) == ["signing"]


def test_under_hs256_there_is_nothing_to_rotate(run: Run) -> None:
    """The refusal says what to change instead, and the list that none of the keys signs."""
    assert "WATCHWORD_SECRET_KEY_FALLBACKS" in str(refused(run("rotate", ALGORITHM="HS256")))
    done = run("list", ALGORITHM="HS256")
    assert "\tverifying\t" in done.stdout
    assert done.stderr == "Under HS256 the root secret signs, and none of these.\n"


def test_what_nobody_can_open_is_listed(run: Run, database: Path) -> None:
    """A key whose secret is gone has a row all the same, and can be told by it."""
    change(database, "UPDATE signing_keys SET sealed = x'00'")
    assert states(run) == ["signing"]


@pytest.mark.parametrize(
    "cells",
    [
        "sealed = 5",
        "signs_from = 'abc'",
        "verifies_until = x'00'",
        "generation = 1.5",
        "kid = x'00', verifies_until = ''",
    ],
)
def test_a_row_with_cells_of_another_kind_is_listed_and_retired(run: Run, database: Path, cells: str) -> None:
    """Only a foreign hand can have put them there, and only who sees the row can remove it."""
    run("rotate")
    (_, second) = (str(key["kid"]) for key in listed(run))
    change(database, f"UPDATE signing_keys SET {cells} WHERE kid = '{second}'")
    assert len(run("list").stdout.splitlines()) == 2
    if "kid" not in cells:
        assert run("retire", second).stdout == f"The key {second} is retired.\n"
        assert states(run) == ["signing"]


def test_a_refusal_is_one_line(database: Path) -> None:
    """Status 1, and what is the matter."""
    environ = environment(database.parent, DATABASE_URL=f"sqlite:///{database}", ALGORITHM="HS256")
    line = refusal(watchword("keys", "rotate", environ=environ))
    assert line.startswith("watchword: under HS256 the root secret signs")
