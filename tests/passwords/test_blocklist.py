"""Claims about the bundled blocklist: it is what the lists make it, knows all of them, and hardly anything else."""

import secrets

from scripts.build_blocklist import words
from watchword.passwords.blocklist import FILE, Blocklist, build


def test_the_bundled_file_is_what_the_command_makes() -> None:
    """After a change of the lists, ``make blocklist`` makes it anew."""
    assert FILE.read_bytes() == build(words())


def test_every_word_is_known() -> None:
    """A filter forgets nothing."""
    known = words()
    assert len(known) > 90_000
    assert {"password", "qwerty", "football", "elizabeth", "christmas"} <= set(known)
    assert all(word in Blocklist.bundled() for word in known[::5])


def test_hardly_any_other_word_is_known() -> None:
    """Of ten thousand random words none, or by the greatest of accidents one, is taken for a common one."""
    assert sum(secrets.token_urlsafe(12) in Blocklist.bundled() for _ in range(10_000)) <= 1


def test_it_is_read_once() -> None:
    """All who ask share one."""
    assert Blocklist.bundled() is Blocklist.bundled()
