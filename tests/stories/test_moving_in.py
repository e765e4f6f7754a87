"""A service moves in from Flask's tutorial: its users log in with the passwords that they had."""

import sqlite3
from contextlib import closing
from pathlib import Path

import httpx
from werkzeug.security import generate_password_hash

from tests.servers import watchword_server
from tests.stories.pages import blocks, paste

LOOK_BEFORE_REMOVAL = 'rm() { echo "The file was $(ls -l "$1")"; command rm "$1"; }\n'

# As the tutorial has it.
TABLE = (
    "CREATE TABLE user (id INTEGER PRIMARY KEY AUTOINCREMENT, username TEXT UNIQUE NOT NULL, password TEXT NOT NULL)"
)
USERS = {"alice": "a", "bob": "short", "Zoë": "pässword"}


def test_users_of_the_flask_tutorial_keep_their_passwords(tmp_path: Path) -> None:
    """The page's commands, pasted where the tutorial's database is; a short password logs in, a wrong one does not.

    Nobody else can read the file of hashes meanwhile.
    """
    (tmp_path / "instance").mkdir()
    with closing(sqlite3.connect(tmp_path / "instance" / "flaskr.sqlite")) as database:
        database.execute(TABLE)
        for username, password in USERS.items():
            row = (username, generate_password_hash(password))
            database.execute("INSERT INTO user (username, password) VALUES (?, ?)", row)
        database.commit()
    (block,) = (block for block in blocks("passwords.md") if "flaskr.sqlite" in block)

    with watchword_server(tmp_path / "watchword") as server:
        pasted = paste(LOOK_BEFORE_REMOVAL + block, folder=tmp_path, environ=server.environ)
        assert pasted.stderr == ""
        assert "Added 3; 0 were there already; 0 refused." in pasted.stdout
        assert "The file was -rw------- " in pasted.stdout
        assert not (tmp_path / "users.jsonl").exists()
        for username, password in USERS.items():
            for _ in range(2):  # the second time with a hash of ours
                answer = httpx.post(f"{server.url}/login", json={"username": username, "password": password})
                assert answer.status_code == 200
            answer = httpx.post(f"{server.url}/login", json={"username": username, "password": f"{password}x"})
            assert answer.status_code == 401
