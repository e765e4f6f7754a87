"""Tokens that were verified before, remembered by their digest until they expire.

A signature costs as much as all the rest of a small request, and a busy token comes again and again. What is remembered
holds for as long as the key is on the ring that has verified it; others may come and go.
"""

from collections import OrderedDict
from hashlib import sha256
from typing import Final

from watchword import tokens
from watchword.errors import InvalidToken
from watchword.keys import KeyRing, VerificationKey
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
        self._known: OrderedDict[bytes, tuple[AccessToken, VerificationKey | None]] = OrderedDict()

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
        digest = sha256(text.encode(errors="surrogatepass")).digest()
        token, key = self._known.get(digest, (None, None))
        # A clock that was put back makes a token one of the future, which is refused here as it is everywhere else.
        if token is not None and token.exp > now >= token.iat - tokens.CLOCK_SKEW and self._is_there(key):
            return token

        def find(kid: str) -> VerificationKey | None:
            nonlocal key
            key = self._ring.find(kid)
            return key

        token = tokens.verify(text, find_key=find, profile=self._profile, now=now)
        self._known[digest] = token, key
        if len(self._known) > MOST:
            self._known.popitem(last=False)
        return token

    def _is_there(self, key: VerificationKey | None) -> bool:
        """Whether the key that has verified a token would be asked again."""
        return key is not None and ((found := self._ring.find(key.kid)) is key or found == key)
