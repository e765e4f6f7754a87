"""How commands show what is in the database: a line stays a line, and what is no time is shown as it is."""

import pytest

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
