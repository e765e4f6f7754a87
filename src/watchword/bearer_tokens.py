"""What a bearer token may consist of: one form for the service's clients, the guard and the load test."""

import re
from typing import Final

_FORM: Final = re.compile(r"[A-Za-z0-9._~+/-]+=*", re.ASCII)  # RFC 6750 §2.1; nothing that could end a header


def is_bearer_token(text: str) -> bool:
    """Whether a text can stand behind ``Bearer`` in a header; not whether it is a token of anybody's."""
    return _FORM.fullmatch(text) is not None
