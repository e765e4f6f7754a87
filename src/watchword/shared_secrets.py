"""Which secrets somebody who tries would find: one rule for the service that signs and the guard that believes it."""

import re
from typing import Final

_MIN_CHARACTERS: Final = 16
_MIN_DIFFERENT: Final = 10

_EXAMPLE_SECRETS: Final = re.compile(
    r"change[-_ ]?me|256[-_ ]?bit|secret|password|example|your|super|insecure|dev|test|key",
    re.IGNORECASE,
)


def is_guessable(secret: bytes) -> bool:
    """Whether a secret, however long, is nothing that anybody made at random.

    Args:
        secret: a text in UTF-8, or any bytes.
    """
    # What makes up the length of a well-known word must be random by itself: "changeme" and 24 zeros are not.
    rest = _EXAMPLE_SECRETS.sub("", secret.decode(errors="surrogateescape"))
    return len(rest) < _MIN_CHARACTERS or len(set(rest)) < _MIN_DIFFERENT
