"""Tokens that were verified before, remembered by their digest until they expire.

A signature costs as much as all the rest of a small request, and a busy token comes again and again. What is remembered
holds for one set of keys: when the ring changes, everything is verified anew.
"""

from collections import OrderedDict
from hashlib import sha256
from typing import Final

from watchword import tokens
from watchword.errors import InvalidToken
from watchword.keys import KeyRing
from watchword.model import AccessToken
from watchword.tokens import Profile

MOST: Final = 10_000
"""Tokens that are remembered; some 6 MB. The one that came first is forgotten first."""


class VerifiedTokens:
    """Verifies tokens, and the same token only once.

    Args:
        ring: the keys that verify.
        profile: the issuer and audience to insist on.
    """

    def __init__(self, ring: KeyRing, profile: Profile) -> None:
        self._ring = ring
        self._profile = profile
        self._version = ring.version
        self._known: OrderedDict[bytes, AccessToken] = OrderedDict()

    @property
    def keys(self) -> object:
        """Another object whenever the keys may be others: what was verified before is then to be verified anew."""
        return self._ring.version

    def verify(self, text: str, *, now: int) -> AccessToken:
        """As ``tokens.verify``; the digest is of the whole token, so that no part of it goes unchecked.

        Raises:
            InvalidToken: any check failed.
        """
        if len(text) > tokens.MAX_LENGTH:
            raise InvalidToken("length")
        if self._version is not self._ring.version:
            self._known.clear()
            self._version = self._ring.version
        digest = sha256(text.encode(errors="surrogatepass")).digest()
        token = self._known.get(digest)
        # A clock that was put back makes a token one of the future, which is refused here as it is everywhere else.
        if token is not None and token.exp > now >= token.iat - tokens.CLOCK_SKEW:
            return token
        token = tokens.verify(text, find_key=self._ring.find, profile=self._profile, now=now)
        self._known[digest] = token
        if len(self._known) > MOST:
            self._known.popitem(last=False)
        return token
