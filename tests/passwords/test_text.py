"""Claims about password text: composed alike it is alike, every other difference counts, and length comes first."""

import unicodedata
from types import SimpleNamespace

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from watchword.errors import InvalidRequest
from watchword.passwords import password_bytes
from watchword.passwords.text import MAX_BYTES, MAX_CODE_POINTS


@pytest.mark.parametrize("text", ["é", "한글", "ộ", "\u1e69", "Å", "q\u0323\u0307", "e\u0301\u0327" * 200])
def test_composition_makes_no_difference(text: str) -> None:
    """Row 6: NFC and NFD of a password, stacks of marks in any order included, are one."""
    assert password_bytes(unicodedata.normalize("NFC", text)) == password_bytes(unicodedata.normalize("NFD", text))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Secret", "secret"), ("secret", " secret"), ("secret", "secret "), ("secret", "secret\n"), ("ﬁ", "fi"),
        ("²", "2"), ("ａ", "a"),
        ("а", "a"), ("ß", "ss"), ("a\u200b", "a"), ("\ufeffa", "a"), ("Ⅳ", "IV"), ("é", "e"),
        ("a" * 72 + "b", "a" * 72 + "c"),
        ("a" * 1023 + "b", "a" * 1023 + "c"), ("a" * 1023, "a" * 1024),
    ],
)  # fmt: skip
def test_every_other_difference_counts(one: str, other: str) -> None:
    """Rows 7 and 8: case, space, width, compatibility, script and the last of many characters all count."""
    assert password_bytes(one) != password_bytes(other)


@pytest.mark.parametrize("password", ["\x00", "a\x00b", "a\x00", "", "\ud800", "a\udfffb", "\udc00\ud800"], ids=ascii)
def test_what_is_no_text_is_refused(password: str) -> None:
    """Rows 9, 10, 20: empty, with a NUL or with a lone surrogate, it is no password of anybody."""
    with pytest.raises(InvalidRequest, match=r"^password: "):
        password_bytes(password)


def test_length_ends_at_both_bounds() -> None:
    """Rows 8 and 11: 1024 characters and 4096 bytes are taken in full, one more is refused."""
    assert password_bytes("a" * MAX_CODE_POINTS) == b"a" * MAX_CODE_POINTS
    assert len(password_bytes("\U0001f600" * MAX_CODE_POINTS)) == MAX_BYTES
    for too_long in ("a" * (MAX_CODE_POINTS + 1), "\U0001d160" * 400):  # NFC makes three of each of these notes
        with pytest.raises(InvalidRequest, match="longer"):
            password_bytes(too_long)


def test_length_is_looked_at_before_the_text_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """Row 11: of ten megabytes nothing is normalised, as that would cost time in proportion."""

    def never(form: str, text: str) -> str:
        raise AssertionError(form, len(text))

    monkeypatch.setattr("watchword.passwords.text.unicodedata", SimpleNamespace(normalize=never))
    with pytest.raises(InvalidRequest, match="longer"):
        password_bytes("e\u0301" * 5_000_000)


@settings(deadline=None)
@given(password=st.text(min_size=1, max_size=200))
def test_any_text_is_a_password_or_refused(password: str) -> None:
    """No text makes anything escape but InvalidRequest, and what is taken is the text in NFC."""
    try:
        data = password_bytes(password)
    except InvalidRequest:
        assume("\x00" not in password)
        with pytest.raises(UnicodeEncodeError):
            password.encode()
        return
    assert data == unicodedata.normalize("NFC", password).encode()
