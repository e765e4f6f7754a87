"""How commands show what is in the database: a line stays a line, and what is no time is shown as it is."""

import json
from pathlib import Path

import pytest

from tests.cli.commands import change, in_process
from tests.servers import environment
from watchword.cli.shown import moment, text


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("plain, Zoë 東京", "plain, Zoë 東京"),
        ("\x1b[2J\tforged\nline\u2028\u202e", "\\x1b[2J\\tforged\\nline\\u2028\\u202e"),
        ("\udcff", "\\udcff"),
        (b"\x00A", "b'\\x00A'"),
        (None, "None"),
    ],
)
def test_nothing_that_a_terminal_would_obey(value: object, shown: str) -> None:
    """What cannot be printed is spelt out, and what is no text is shown as such."""
    assert text(value) == shown


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (1_700_000_000, "2023-11-14 22:13:20Z"),
        (10**16, str(10**16)),
        (10**400, str(10**400)),
        (float("nan"), "nan"),
        ("ab\n", "ab\\n"),
        (b"x", "b'x'"),
    ],
)
def test_what_is_no_time_hides_no_line(value: object, shown: str) -> None:
    """A list goes on behind a row whose time only a foreign hand can have written."""
    assert moment(value) == shown


ROWS = (
    "INSERT INTO users VALUES ('u', x'00ff', 'alice', 'a hash', 1, x'00ff', NULL, 1)",
    "INSERT INTO clients VALUES ('c', 'reports', x'00ff', x'00', 1)",
    "INSERT INTO signing_keys VALUES ('ES256', 1, 'k', x'00', 1, x'00ff', NULL)",
    "INSERT INTO sessions SELECT 's', id, 1, 4e9, x'00', 0, 1, 4e9, 4e9, 1, x'00ff', 'an agent' FROM users",
    "INSERT INTO audit_events VALUES (1, 'w', 1, 1, 'an event', 'success', x'00ff', 'cli', '', '', '', '', x'00')",
)


@pytest.mark.parametrize("command", ["users list", "clients list", "keys list", "sessions list", "audit tail"])
def test_bytes_end_no_list_for_programs(sqlite_url: str, tmp_path: Path, command: str) -> None:
    """SQLite stores them in any column; they are told in hexadecimal."""
    for row in ROWS:
        change(tmp_path / "watchword.db", row)
    done = in_process(*command.split(), "--json", environ=environment(tmp_path, DATABASE_URL=sqlite_url))
    assert done.exit_code == 0, done
    (line,) = done.stdout.splitlines()
    assert "00ff" in json.loads(line).values()
