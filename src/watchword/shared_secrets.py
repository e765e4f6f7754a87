"""Which secrets somebody who tries would find: one rule for the service that signs and the guard that believes it."""

import re
from hashlib import sha256
from itertools import pairwise
from typing import Final

_MIN_CHARACTERS: Final = 16
_MIN_DIFFERENT: Final = 10

_EXAMPLE_WORDS: Final = re.compile(
    r"change[-_ ]?me|(?:128|256|384|512)[-_ ]?bits?|at[-_ ]?least|secret|password|example|your|super|insecure|dev|test"
    r"|key|string|valid|long|very|random|token|jwt|private|default|please|replace|nobody|knows|this|that|which|with|is"
    r"|qwerty|uiop|asdf|ghjkl|zxcv|bnm|1qaz|2wsx|3edc|4rfv|5tgb|6yhn|7ujm|8ik|9ol|0p"
    r"|correct|horse|battery|staple|quick|brown|fox|jumps|over|lazy|dog",
    re.IGNORECASE,
)
_REPEATED: Final = re.compile(r"(.+?)\1+", re.DOTALL)

_PUBLISHED: Final = frozenset(
    {
        "570dad43de1af4c925f92c16a68a50936da42b7dd6fdeb24850507a1199aac89",  # FastAPI's tutorial on OAuth2 with JWT
        "2598f7d6adc142d88161630f3db12ab2bd3403521c281811e5e1ce60d4ac5d76",  # Flask's quickstart, under sessions
        "2b1fa627178e3424e20ffd0e18b7440c322ad538d3c96aef1e3f60d99951c23c",  # a much copied course on Spring Security
        "5df73e1aa59d8f332c2f5fd6ea1c37d0f2266b623ea3c4efe6cb3d577fd6a5e1",  # another
        "138e3c21f8c5581ec97cca6b029c0b232b5bc4bfe6d573ace3be91f80784e2b4",  # and a third
        "909a20f456d403cdd07a05db862034ab777325831c9cb5695954278638598a5c",  # an article on ASP.NET Core with JWT
        "f7756803cad8cf2c559107ce2d24d1771aa072d9fdc9546bfecdd4800f879a49",  # BezKoder's tutorials on Spring Boot
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
    text = secret.decode(errors="surrogateescape")
    repeated = _REPEATED.fullmatch(text)
    rest = _without_runs(_EXAMPLE_WORDS.sub("", repeated[1] if repeated else text))
    return len(rest) < _MIN_CHARACTERS or len(set(rest)) < _MIN_DIFFERENT


def _without_runs(text: str) -> str:
    """A text without what can be told from the two characters before: ``cdef`` behind ``ab``, ``000`` behind ``00``."""
    steps = [ord(after) - ord(before) for before, after in pairwise(text)]
    rest = zip(text[2:], steps, steps[1:], strict=False)
    return text[:2] + "".join(each for each, before, step in rest if step != before or abs(step) > 1)
