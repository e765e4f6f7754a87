"""A service moves in from Flask's tutorial: its users log in with the passwords that they had."""

import os
import re
import shlex
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import httpx
from werkzeug.security import generate_password_hash

from tests.servers import watchword_server

PAGE = Path(__file__).parents[2] / "docs" / "passwords.md"
FROM_FLASK = re.compile(r"^### From Flask$.*?^```bash\n(.*?)^```$", re.MULTILINE | re.DOTALL)

# As the tutorial has it.
TABLE = (
    "CREATE TABLE user (id INTEGER PRIMARY KEY AUTOINCREMENT, username TEXT UNIQUE NOT NULL, password TEXT NOT NULL)"
)
USERS = {"alice": "a", "bob": "short", "Zoë": "pässword"}


def test_users_of_the_flask_tutorial_keep_their_passwords(tmp_path: Path) -> None:
    """The page's commands, pasted where the tutorial's database is; a short password logs in, a wrong one does not."""
    (tmp_path / "instance").mkdir()
    with closing(sqlite3.connect(tmp_path / "instance" / "flaskr.sqlite")) as database:
        database.execute(TABLE)
        for username, password in USERS.items():
            row = (username, generate_password_hash(password))
            database.execute("INSERT INTO user (username, password) VALUES (?, ?)", row)
        database.commit()
    command = tmp_path / "bin" / "watchword"
    command.parent.mkdir()
    command.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m watchword "$@"\n')
    command.chmod(0o755)
    block = FROM_FLASK.search(PAGE.read_text())
    assert block is not None

    with watchword_server(tmp_path / "watchword") as server:
        path = os.pathsep.join((str(command.parent), os.environ["PATH"]))
        pasted = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", block[1]],
            cwd=tmp_path,
            env={**server.environ, "PATH": path},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert (pasted.returncode, pasted.stderr) == (0, "")
        assert "Added 3; 0 were there already; 0 refused." in pasted.stdout
        assert not (tmp_path / "users.jsonl").exists()
        for username, password in USERS.items():
            for _ in range(2):  # the second time with a hash of ours
                answer = httpx.post(f"{server.url}/login", json={"username": username, "password": password})
                assert answer.status_code == 200
            answer = httpx.post(f"{server.url}/login", json={"username": username, "password": f"{password}x"})
            assert answer.status_code == 401
