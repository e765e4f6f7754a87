"""User names: what one is, and when two are the same (RFC 8265, profile UsernameCaseMapped).

``Alice``, ``alice`` and full-width ``ＡＬＩＣＥ`` are one user; a name with a space, a control or a zero-width
character is none. Letters of different scripts that look alike stay different.
"""

import re
from functools import cache
from typing import Any, Final

from watchword.errors import InvalidUsername

MAX_CODE_POINTS: Final = 128

_READ_AGAIN: Final = (
    ("\u30fb\uff65", 8, "katakana middle dots"),  # the profile makes the narrow one wide
    ("٠١٢٣٤٥٦٧٨٩۰۱۲۳۴۵۶۷۸۹", 32, "Arabic digits"),
)
"""Characters for each of which PRECIS reads the whole name (RFC 5892 §A.7 to A.9), and how many of them there may be: a
name of nothing else it would read a hundred times, up to 50 ms for who only sends a login."""

_IN_WORDS: Final = {
    "bidi_rule": "letters that are read from right to left together with others, or a digit before them",
    "exceptions": "characters that only lengthen or repeat others",
    "has_compat": "characters that stand for others, as ligatures do",
    "old_hangul_jamo": "single parts of Hangul syllables",
    "other": "what is not UTF-8, or no letter, digit or mark",
    "other_letter_digits": "letters or digits of a rare kind, as Roman numerals",
    "precis_ignorable_properties": "characters that nobody sees",
    "unassigned": "characters that Unicode does not know",
}
"""Names that PRECIS has for what it does not allow (RFC 8264 §8, §9) and that say nothing to who chose the name."""

_PLAIN: Final = re.compile(r"[!-~]+", re.ASCII)


def canonical(username: str) -> str:
    """The form in which names are compared and found.

    Raises:
        InvalidUsername: not a user name, or one that takes long to read.
    """
    if not username.isascii() and len(username) <= MAX_CODE_POINTS:
        for characters, most, called in _READ_AGAIN:
            if sum(map(username.count, characters)) > most:
                raise InvalidUsername(f"A user name has at most {most} {called}")
    return canonical_at_leisure(username)


def canonical_at_leisure(username: str) -> str:
    """The same of one that may take long: an operator must find users too whose names are older than that bound.

    Raises:
        InvalidUsername: not a user name.
    """
    if not 1 <= len(username) <= MAX_CODE_POINTS:
        raise InvalidUsername(f"A user name has 1 to {MAX_CODE_POINTS} characters")
    if _PLAIN.fullmatch(username):
        return username.lower()  # what the profile does to visible ASCII, without loading it
    try:
        name: str = _profile().enforce(username)
    except UnicodeEncodeError as fault:
        reason = fault.reason.rpartition("/")[2]
        raise InvalidUsername(f"A user name cannot have {_IN_WORDS.get(reason, reason.replace('_', ' '))}") from None
    if len(name) > MAX_CODE_POINTS:  # NFC takes some letters apart
        raise InvalidUsername(f"A user name has 1 to {MAX_CODE_POINTS} characters")
    return name


def rehearse() -> None:
    """Load what a name beyond ASCII needs; when the first one comes there may be no descriptor left to open it with."""
    _profile().enforce("é")


@cache
def _profile() -> Any:
    from precis_i18n import get_profile

    return get_profile("UsernameCaseMapped")
