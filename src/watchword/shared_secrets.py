"""Which secrets somebody who tries would find: one rule for the service that signs and the guard that believes it."""

import re
from hashlib import sha256
from itertools import pairwise
from typing import Final

_MIN_CHARACTERS: Final = 16
_MIN_DIFFERENT: Final = 10

_EXAMPLE_WORDS: Final = re.compile(
    r"change[-_ ]?me|(?:128|256|384|512)[-_ ]?bits?|at[-_ ]?least|secret|password|example|your|super|insecure|dev|test"
    r"|key|string|valid|long|very|random|token|jwt|private|default|please|replace|nobody|knows|this|that|which|with|is",
    re.IGNORECASE,
)

_PUBLISHED: Final = frozenset(
    {
        "570dad43de1af4c925f92c16a68a50936da42b7dd6fdeb24850507a1199aac89",  # FastAPI's tutorial on OAuth2 with JWT
        "2598f7d6adc142d88161630f3db12ab2bd3403521c281811e5e1ce60d4ac5d76",  # Flask's quickstart, under sessions
        "2b1fa627178e3424e20ffd0e18b7440c322ad538d3c96aef1e3f60d99951c23c",  # a much copied course on Spring Security
    }
)
"""SHA-256 digests of secrets, in small letters, that look random and stand in public code by the thousand."""


def is_guessable(secret: bytes) -> bool:
    """Whether a secret, however long, is nothing that anybody made at random, or is known to everybody.

    Args:
        secret: a text in UTF-8, or any bytes.
    """
    if sha256(secret.lower()).hexdigest() in _PUBLISHED:
        return True
    # What makes up the length of a well-known word must be random by itself: "changeme" and 24 zeros are not.
    rest = _without_runs(_EXAMPLE_WORDS.sub("", secret.decode(errors="surrogateescape")))
    return len(rest) < _MIN_CHARACTERS or len(set(rest)) < _MIN_DIFFERENT


def _without_runs(text: str) -> str:
    """A text without what can be told from the two characters before: ``cdef`` behind ``ab``, ``000`` behind ``00``."""
    steps = [ord(after) - ord(before) for before, after in pairwise(text)]
    rest = zip(text[2:], steps, steps[1:], strict=False)
    return text[:2] + "".join(each for each, before, step in rest if step != before or abs(step) > 1)
