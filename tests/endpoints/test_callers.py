"""Who is asking, as far as a request tells."""

from typing import Any, cast

import pytest

from watchword.endpoints.callers import asker_of
from watchword.flows import Tools


@pytest.mark.parametrize(
    ("sent", "shown"),
    [
        ("Téléphone ✓".encode(), "Téléphone ✓"),
        ("Téléphone".encode("latin-1"), "Téléphone"),
        ("😀".encode() * 300, "😀" * 200),
        ("a\0\u202eb".encode(), "ab"),
        (b"a\xed\xa0\x80", "aí"),
    ],
    ids=["UTF-8", "Latin-1", "long", "unprintable", "a lone surrogate is no UTF-8"],
)
def test_a_client_is_called_as_it_calls_itself(tools: Tools, sent: bytes, shown: str) -> None:
    """In UTF-8 or, where it is none, in Latin-1; what cannot be printed is left out, and so is a long rest."""
    scope = cast("Any", {"type": "http", "headers": [(b"user-agent", sent)], "client": None})
    assert asker_of(tools, scope, request_id="").user_agent == shown
