"""From SQLite to PostgreSQL by the page's own commands: users keep what they had, and nobody is left to be mistaken."""

import shutil
from pathlib import Path

import httpx
import pytest

from tests.cli.commands import refusal
from tests.postgresql import fresh_database
from tests.servers import environment, watchword, watchword_server
from tests.stories.pages import blocks, paste

PASSWORD = "correct horse battery staple"
LOOK_BEFORE_REMOVAL = 'rm() { echo "The file was $(ls -l "$1")"; command rm "$1"; }\n'


@pytest.mark.skipif(shutil.which("sqlite3") is None, reason="sqlite3 is not installed")
def test_users_move_from_sqlite_to_postgresql(tmp_path: Path, postgresql_server: str) -> None:
    """``init`` says that they do not come by themselves; once they have, the old file is for no command any more."""
    instance = tmp_path / "instance"
    before = environment(instance)
    watchword("init", environ=before).check_returncode()
    for name in ("Zoë", "bob"):
        add = ("users", "add", name, "--scope", "reports:read", "--password-stdin")
        watchword(*add, environ=before, stdin=PASSWORD).check_returncode()
    watchword("users", "disable", "bob", environ=before).check_returncode()
    (block,) = (block for block in blocks("settings.md") if "json_object" in block)

    with fresh_database(postgresql_server) as url:
        environ = environment(instance, DATABASE_URL=url)
        told = f"The users in {instance / 'watchword.db'} do not come along; docs/settings.md"
        assert told in watchword("init", environ=environ).stdout
        pasted = paste(LOOK_BEFORE_REMOVAL + block, folder=tmp_path, environ=environ)
        assert "Added 2; 1 were there already; 0 refused." in pasted.stdout
        assert "The file was -rw------- " in pasted.stdout
        assert not (tmp_path / "users.jsonl").exists()
        assert told not in watchword("init", environ=environ).stdout
        listed = watchword("users", "list", environ=environ).stdout.splitlines()
        assert {"Zoë\tenabled\treports:read", "bob\tdisabled\treports:read"} < set(listed)
        with watchword_server(instance, DATABASE_URL=url) as server:
            for name, status in (("Zoë", 200), ("bob", 401)):
                answer = httpx.post(f"{server.url}/login", json={"username": name, "password": PASSWORD})
                assert answer.status_code == status
    assert "there is no database at" in refusal(watchword("users", "disable", "bob", environ=before))
