"""Refresh tokens: nothing but SECRET_KEY and the session's salt together make one, and it has one spelling."""

import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.builders import a_session, a_user
from watchword.errors import InvalidRefreshToken
from watchword.refresh_tokens import MAX_LENGTH, RefreshKeys, RefreshToken

SECRET = b"a root secret for tests, 0123456789 and more"
OLDER = b"an older root secret for tests, 0123456789"
SESSION = replace(a_session(a_user(), counter=41), id="ASessionForTests012345", salt=bytes(range(16)))
TOKEN = RefreshKeys(SECRET).mint(SESSION)


def check(text: str, keys: RefreshKeys, salt: bytes = SESSION.salt) -> RefreshToken:
    """Parse a token and believe it or not."""
    token = RefreshToken.parse(text)
    keys.verify(token, salt=salt)
    return token


def test_a_token_says_its_session_and_counter() -> None:
    """What was minted is read back and believed."""
    token = check(TOKEN, RefreshKeys(SECRET))
    assert (token.session_id, token.counter) == (SESSION.id, 41)
    assert re.fullmatch(r"wwr_[A-Za-z0-9_-]{22}\.41\.[A-Za-z0-9_-]{43}", TOKEN)
    assert token.mac not in repr(token)


def test_the_same_count_has_the_same_token_and_every_other_another() -> None:
    """What can be derived need not be stored; no session, count or salt shares a token with another."""
    keys = RefreshKeys(SECRET)
    assert RefreshKeys(SECRET).mint(SESSION) == TOKEN
    others = [
        replace(SESSION, counter=42),
        replace(SESSION, id="A" * 22),
        replace(SESSION, salt=bytes(16)),
    ]
    macs = {keys.mint(each).rpartition(".")[2] for each in (SESSION, *others)}
    assert len(macs) == 4


def test_neither_the_secret_nor_the_database_alone_makes_a_token() -> None:
    """Another secret with the right salt and another salt with the right secret are refused, an empty salt too."""
    for keys, salt in (
        (RefreshKeys(OLDER), SESSION.salt),
        (RefreshKeys(SECRET), bytes(16)),
        (RefreshKeys(SECRET), b""),
    ):
        with pytest.raises(InvalidRefreshToken):
            check(TOKEN, keys, salt)


def test_a_former_secret_still_verifies_and_no_longer_mints() -> None:
    """After SECRET_KEY was changed its predecessor's tokens are good, and get successors of the new one."""
    keys = RefreshKeys(SECRET, [b"x" * 32, OLDER])
    former = RefreshKeys(OLDER).mint(SESSION)
    assert check(former, keys).counter == 41
    assert keys.mint(SESSION) == TOKEN != former


@pytest.mark.parametrize("position", range(len(TOKEN)))
def test_no_character_may_be_another(position: int) -> None:
    """Every change of one character is refused (row 76)."""
    keys = RefreshKeys(SECRET)
    for character in "AZaz09_-.= \n":
        if character != TOKEN[position]:
            with pytest.raises(InvalidRefreshToken):
                check(TOKEN[:position] + character + TOKEN[position + 1 :], keys)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "wwr_",
        TOKEN[:-1],
        TOKEN + "A",
        TOKEN + "=",
        " " + TOKEN,
        TOKEN + "\n",
        TOKEN.upper(),
        TOKEN.swapcase(),
        TOKEN.replace("wwr_", "wwa_"),
        TOKEN.replace(".41.", ".041."),
        TOKEN.replace(".41.", ".+41."),
        TOKEN.replace(".41.", ".４１."),
        TOKEN.replace(".41.", ".."),
        TOKEN.replace(".41.", f".{10**12}."),
        TOKEN + "." + TOKEN,
        "a" * 10**6,
        "." * 10**5,
        "wwr_\ud800",
    ],
)
def test_what_has_another_form_is_refused(text: str) -> None:
    """Cut, extended, padded, in other case, with another number, or as long as a body may be (rows 61, 76)."""
    with pytest.raises(InvalidRefreshToken):
        check(text, RefreshKeys(SECRET))


@given(st.text(max_size=100))
def test_no_text_is_more_than_refused(text: str) -> None:
    """Whatever is sent, the refusal is the one there is."""
    with pytest.raises(InvalidRefreshToken):
        check(text, RefreshKeys(SECRET))


def test_the_longest_token_fits() -> None:
    """The bound on the length refuses nothing that is minted."""
    longest = RefreshKeys(SECRET).mint(replace(SESSION, counter=10**12 - 1))
    assert len(longest) <= MAX_LENGTH
    assert check(longest, RefreshKeys(SECRET)).counter == 10**12 - 1
