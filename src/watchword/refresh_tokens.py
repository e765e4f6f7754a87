"""Refresh tokens, ``wwr_<session>.<counter>.<mac>``: written and checked. Pure: no clock, no I/O, no memory.

Nothing of a token is stored. Its MAC is computed from the session's salt, which is in the database, and from
SECRET_KEY, which is not, so that neither of them alone makes a token; and the same session at the same counter always
has the same token, so that an answer which was lost can be given again.
"""

import hmac
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, Self

from watchword.base64url import b64encode
from watchword.errors import InvalidRefreshToken
from watchword.model import Session
from watchword.root_secret import Use, derived

MAX_LENGTH: Final = 84
"""Characters of the longest token there is. Checked first, as everything after costs time in proportion."""

# One spelling each: no leading zeros, no padding, and a MAC of 256 bits is compared as it is written.
_FORM: Final = re.compile(r"wwr_([A-Za-z0-9_-]{22})\.(0|[1-9][0-9]{0,11})\.([A-Za-z0-9_-]{43})", re.ASCII)


@dataclass(frozen=True, slots=True)
class RefreshToken:
    """What a token says, believed or not.

    Attributes:
        session_id: which session it claims to be of.
        counter: how often that session had been refreshed when the token was given.
        mac: what proves it.
    """

    session_id: str
    counter: int
    mac: str = field(repr=False)

    @classmethod
    def parse(cls, text: str) -> Self:
        """Take a token apart.

        Raises:
            InvalidRefreshToken: it has not the form of one.
        """
        parts = _FORM.fullmatch(text) if len(text) <= MAX_LENGTH else None
        if parts is None:
            raise InvalidRefreshToken("form")
        return cls(session_id=parts[1], counter=int(parts[2]), mac=parts[3])


class RefreshKeys:
    """What refresh tokens are made and checked with.

    Args:
        secret: the root secret, under which tokens are made.
        fallbacks: its predecessors, under which they are still good.
    """

    def __init__(self, secret: bytes, fallbacks: Sequence[bytes] = ()) -> None:
        self._bases = tuple(derived(each, Use.REFRESH_TOKENS) for each in (secret, *fallbacks))

    def mint(self, session: Session) -> str:
        """The one token of a session at its present counter."""
        mac = _mac(self._bases[0], salt=session.salt, session_id=session.id, counter=session.counter)
        return f"wwr_{session.id}.{session.counter}.{mac}"

    def verify(self, token: RefreshToken, *, salt: bytes) -> None:
        """Check the MAC.

        Args:
            token: what was presented.
            salt: of the session that it names.

        Raises:
            InvalidRefreshToken: we did not make it.
        """
        fitting = [
            hmac.compare_digest(token.mac, _mac(base, salt=salt, session_id=token.session_id, counter=token.counter))
            for base in self._bases
        ]
        if not any(fitting):
            raise InvalidRefreshToken("mac")


def _mac(base: bytes, *, salt: bytes, session_id: str, counter: int) -> str:
    # A salt and an id have one length each, so no two sessions write the same text.
    return b64encode(hmac.digest(base, salt + f"{session_id}.{counter}".encode(), "sha256"))
