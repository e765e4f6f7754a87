"""A login service as the guard sees it: keys, an issuer, an audience, and bearers with tokens from it."""

from dataclasses import dataclass, field

from quart import Quart

from watchword import tokens
from watchword.clock import system_clock
from watchword.identifiers import new_id
from watchword.keys import KeyRing, SigningKey
from watchword.model import AccessToken
from watchword.tokens import Profile


@dataclass(frozen=True, slots=True)
class Issuer:
    """Who signs the tokens that an application is to believe.

    Attributes:
        url: the ``iss`` of its tokens.
        audience: their ``aud``, if they name any.
        key: what signs them.
    """

    url: str = "https://login.example"
    audience: str | None = "watchword"
    key: SigningKey = field(default_factory=lambda: SigningKey.generate("EdDSA"))

    @property
    def keys(self) -> KeyRing:
        """What the application knows of its keys: the published part."""
        return KeyRing([self.key.verification])

    def token(self, username: str = "alice", *, scope: str = "", lifetime: int = 900, login_age: int = 0) -> str:
        """A token for a user."""
        now = system_clock()
        claims = AccessToken(
            sub=f"id of {username}",
            username=username,
            scope=scope,
            sid=new_id(),
            jti=new_id(),
            client_id="watchword",
            iat=now,
            exp=now + lifetime,
            auth_time=now - login_age,
        )
        return tokens.mint(claims, key=self.key, profile=Profile(issuer=self.url, audience=self.audience))

    def bearer(self, username: str = "alice", *, scope: str = "") -> dict[str, str]:
        """The header that a user sends."""
        return {"Authorization": f"Bearer {self.token(username, scope=scope)}"}


async def status(app: Quart, issuer: Issuer) -> int:
    """What a bearer of an issuer's new token gets."""
    return (await app.test_client().get("/", headers=issuer.bearer())).status_code
