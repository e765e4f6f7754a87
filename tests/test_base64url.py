"""Claims about base64url: every byte string has one spelling, and no other is read."""

import string

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from watchword.base64url import b64decode, b64encode

ALPHABET = string.ascii_uppercase + string.ascii_lowercase + string.digits + "-_"


@settings(deadline=None)
@given(data=st.binary(max_size=100))
def test_bytes_come_back_as_they_went(data: bytes) -> None:
    """Decoding undoes encoding, and the text has no padding and nothing that a URL must escape."""
    text = b64encode(data)
    assert b64decode(text) == data
    assert set(text) <= set(ALPHABET)


@settings(deadline=None)
@given(text=st.text(ALPHABET + "=+/ \n", max_size=12) | st.text(max_size=12))
def test_a_text_that_is_read_is_the_only_spelling(text: str) -> None:
    """Whatever is read is what the encoder writes for the same bytes; all else is a ValueError."""
    try:
        data = b64decode(text)
    except ValueError:
        return
    assert b64encode(data) == text


@pytest.mark.parametrize("size", [1, 2, 3, 31, 32, 64])
def test_of_all_last_characters_only_those_without_spare_bits_are_read(size: int) -> None:
    """Row 45: the bits of the last character that belong to no byte must be zero."""
    stem = b64encode(b"\xa5" * size)[:-1]
    readable = [last for last in ALPHABET if _is_read(stem + last)]
    assert len(readable) == {0: 64, 1: 4, 2: 16}[size % 3]


@pytest.mark.parametrize(
    "text",
    ["QQ==", "QQ=", "Q", "QI=", "Pz8/", "Pj4+", "QUJD\n", " QUJD", "QU JD", "Q\x00JD", "Q%44", "ＱＵＪＤ", "="],
)  # fmt: skip
def test_every_other_spelling_is_refused(text: str) -> None:
    """Row 45: padding, the other alphabet, white space, NUL, escapes and look-alike letters are not base64url."""
    with pytest.raises(ValueError):  # noqa: PT011 - callers tell nobody why
        b64decode(text)


def _is_read(text: str) -> bool:
    try:
        b64decode(text)
    except ValueError:
        return False
    return True
