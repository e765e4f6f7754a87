"""What each route does, one entry per row of the route table, under its method and path."""

from typing import Final

from watchword import errors
from watchword.endpoints.feed import Ended, Feed
from watchword.endpoints.introspect import Active, Inactive
from watchword.endpoints.jwks import KEPT
from watchword.endpoints.login import Credentials
from watchword.endpoints.me import Me
from watchword.endpoints.metadata import Metadata
from watchword.endpoints.oauth import TokenForm
from watchword.endpoints.openapi.parts import FORM, Answer, Operation, Parameter
from watchword.endpoints.openapi.shapes import Alive, Description, EllipticKey, KeySet, Ready
from watchword.endpoints.password import Passwords
from watchword.endpoints.refresh import RefreshRequest
from watchword.endpoints.sessions import SessionAnswer, SessionsAnswer
from watchword.endpoints.tokens import TokenAnswer
from watchword.flows.logout import Scope
from watchword.metrics import TEXT
from watchword.model import ClientScope

TOKENS: Final = "Tokens"
ACCOUNT: Final = "Account"
VERIFYING: Final = "Verifying"
OPERATING: Final = "Operating"

CHAPTERS: Final = {
    TOKENS: "A password goes in, tokens come out: one for requests, one to get the next pair with.",
    ACCOUNT: "What the bearer of a token may see and change.",
    VERIFYING: "For services that check tokens themselves, and proxies that ask for each request.",
    OPERATING: "Is it well, and how is it used?",
}

_NOW: Final = 1_800_000_000
_SESSION: Final = "T0c3kFv2Qm6nH1yR8sXbLw"
_THROTTLED: Final = errors.TooManyAttempts("", retry_after=30)
_OVERLOADED: Final = errors.Overloaded("", retry_after=2)
_UNAVAILABLE: Final = errors.Unavailable("")
_ISSUER: Final = "https://login.example.com"

_ISSUED: Final = TokenAnswer(
    token="eyJhbGciOiJFUzI1NiIsImtpZCI6…",
    token_type="Bearer",
    expires_in=900,
    refresh_token="wwr_T0c3kFv2Qm6nH1yR8sXbLw.0…",
    refresh_expires_in=604_800,
)

OPERATIONS: Final[dict[str, Operation]] = {
    "POST /login": Operation(
        tag=TOKENS,
        summary="Log in",
        said="Exchanges a user name and a password for tokens. An unknown user, a wrong password and a disabled "
        "account are answered in the same words and the same time.",
        body=Credentials(username="alice", password="correct horse battery staple"),
        answers=(Answer(said="Logged in.", body=_ISSUED, headers={"Pragma": "no-cache"}),),
        refusals=(errors.InvalidCredentials(), _THROTTLED, _OVERLOADED, _UNAVAILABLE),
    ),
    "POST /refresh": Operation(
        tag=TOKENS,
        summary="Refresh",
        said="Exchanges a refresh token for the next one and a new access token. The token just exchanged gets the "
        "same answer again for some seconds, in case an answer was lost; an older one ends the session, as only a "
        "thief would have it.",
        body=RefreshRequest(refresh_token=_ISSUED.refresh_token),
        answers=(Answer(said="The next tokens.", body=_ISSUED, headers={"Pragma": "no-cache"}),),
        refusals=(errors.InvalidRefreshToken(), _UNAVAILABLE),
    ),
    "POST /logout": Operation(
        tag=TOKENS,
        summary="Log out",
        said="Ends sessions: their access tokens are refused from now on, and their refresh tokens too. There is "
        "no body.",
        parameters=(
            Parameter(
                name="scope",
                said="Which sessions: this one, the user's others, or all.",
                schema={"type": "string", "enum": [scope.value for scope in Scope], "default": Scope.LOCAL.value},
                example=Scope.GLOBAL.value,
            ),
        ),
        answers=(Answer(status=204, said="Logged out."),),
        refusals=(errors.InvalidRequest("scope: must be local, others or global"),),
    ),
    "GET /me": Operation(
        tag=ACCOUNT,
        summary="Who am I?",
        said="What the token says about its bearer; nothing but the token is asked.",
        answers=(
            Answer(
                said="The claims of the token.",
                body=Me(
                    sub="Zq4mJw7Yb1uKc9XoE2nTgA",
                    username="alice",
                    scope="reports:read",
                    sid=_SESSION,
                    iat=_NOW,
                    exp=_NOW + 900,
                    auth_time=_NOW,
                ),
            ),
        ),
    ),
    "GET /sessions": Operation(
        tag=ACCOUNT,
        summary="List my sessions",
        said="Where the bearer is logged in: one session per login, first the one that asks, as its token knows it, "
        "then the one that was used last. It tells at most 200; a global logout ends the others too.",
        answers=(
            Answer(
                said="The sessions that have not ended.",
                body=SessionsAnswer(
                    [
                        SessionAnswer(
                            id=_SESSION,
                            auth_time=_NOW,
                            refreshed_at=_NOW + 800,
                            ends_at=_NOW + 605_600,
                            network="192.0.2.7",
                            user_agent="curl/8.5.0",
                            current=True,
                        )
                    ]
                ),
            ),
        ),
    ),
    "DELETE /sessions/<session_id>": Operation(
        tag=ACCOUNT,
        summary="End one of my sessions",
        said="Logs the bearer out somewhere else.",
        parameters=(
            Parameter(
                name="session_id",
                said="The `id` in the list of sessions, and the `sid` of the session's access tokens.",
                place="path",
                schema={"type": "string", "minLength": 1},
                example=_SESSION,
            ),
        ),
        answers=(Answer(status=204, said="It has ended."),),
        refusals=(errors.UnknownSession(),),
    ),
    "POST /password/change": Operation(
        tag=ACCOUNT,
        summary="Change my password",
        said="The present password is proven, the new one takes its place, and every other session ends.",
        body=Passwords(
            current_password="correct horse battery staple",
            new_password="another long sentence of words",
        ),
        answers=(Answer(status=204, said="Changed."),),
        refusals=(
            errors.InvalidCredentials(),
            errors.WeakPassword({"too_short": "The password must have at least 15 characters, this one has 12"}),
            _THROTTLED,
            _OVERLOADED,
        ),
    ),
    "GET /.well-known/jwks.json": Operation(
        tag=VERIFYING,
        summary="Public keys",
        said="The keys that check access tokens (RFC 7517); a token's header names one by its `kid`. Empty under "
        "HS256, which has no public keys. Whoever sends the `ETag` in `If-None-Match` is sent the keys only if they "
        "have changed.",
        answers=(
            Answer(
                said="The key set.",
                body=KeySet(
                    [
                        EllipticKey(
                            kid="XHmJbFDW7tYc0GqK5nVrPa3s8ZoE1uLw9dIf2RyTgBk",
                            use="sig",
                            alg="ES256",
                            crv="P-256",
                            x="MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4",
                            y="4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM",
                        )
                    ]
                ),
                headers={"Cache-Control": KEPT, "ETag": '"r8zG1kVw0QpLh3Yt6BnXc9UoJm2EsDf5IaT7vKq4RWg"'},
            ),
            Answer(
                status=304,
                said="They have not changed.",
                headers={"Cache-Control": KEPT, "ETag": '"r8zG1kVw0QpLh3Yt6BnXc9UoJm2EsDf5IaT7vKq4RWg"'},
            ),
        ),
    ),
    "GET /.well-known/oauth-authorization-server": Operation(
        tag=VERIFYING,
        summary="Metadata",
        said="Where the parts of this service are (RFC 8414), under the issuer's address. What is not there is not "
        "named. A login is no OAuth grant, so no grant is.",
        answers=(
            Answer(
                said="The metadata.",
                body=Metadata(
                    issuer=_ISSUER,
                    jwks_uri=f"{_ISSUER}/.well-known/jwks.json",
                    response_types_supported=[],
                    grant_types_supported=[],
                ),
                headers={"Cache-Control": KEPT},
            ),
        ),
    ),
    "POST /oauth/introspect": Operation(
        tag=VERIFYING,
        summary="Introspect a token",
        said="What a token says, for clients with the scope `tokens:introspect` (RFC 7662). Of one that is not good, "
        "whatever the reason, nothing is told. A good refresh token is told without `token_type`, `scope`, `aud` and "
        "`jti`: it is no bearer token.",
        body=TokenForm(token=_ISSUED.token),
        media=FORM,
        answers=(
            Answer(
                said="The token is good.",
                body=Active(
                    active=True,
                    scope="reports:read",
                    client_id="watchword",
                    username="alice",
                    token_type="Bearer",
                    exp=_NOW + 900,
                    iat=_NOW,
                    sub="Zq4mJw7Yb1uKc9XoE2nTgA",
                    aud="watchword",
                    iss=_ISSUER,
                    jti="Jd8sKq2LrT5vWm0XyB7nCg",
                    sid=_SESSION,
                    auth_time=_NOW,
                ),
            ),
            Answer(said="Or it is not.", body=Inactive(active=False)),
        ),
    ),
    "POST /oauth/revoke": Operation(
        tag=VERIFYING,
        summary="Revoke a token",
        said="Ends the session of a token, for clients with the scope `tokens:revoke` (RFC 7009): its access tokens "
        "are refused from now on, and its refresh tokens too. A token that is not good is no error.",
        body=TokenForm(token=_ISSUED.refresh_token),
        media=FORM,
        answers=(Answer(said="There is no such session any more."),),
    ),
    "GET /revocations": Operation(
        tag=VERIFYING,
        summary="Ended sessions",
        said="Which sessions have ended before their time, for guards that share no database with this service; with "
        "the scope `revocations:read`. Ask again and again with the `seq` of the last answer. One that is lower than "
        "what was asked for means that the numbers have begun anew: ask without `after`.",
        parameters=(
            Parameter(
                name="after",
                said="Only those with a higher number; where left out, all that still count.",
                schema={"type": "integer", "minimum": 0, "maximum": 10**18 - 1},
                example=41,
            ),
        ),
        answers=(
            Answer(
                said="The news; `more` says whether to ask again at once.",
                body=Feed(
                    seq=42,
                    more=False,
                    now=_NOW,
                    keys="r8zG1kVw0QpLh3Yt6BnXc9UoJm2EsDf5IaT7vKq4RWg",
                    revocations=[Ended(seq=42, sid=_SESSION, revoked_at=_NOW - 1, expires_at=_NOW + 899)],
                ),
            ),
        ),
        refusals=(
            errors.InvalidRequest("after: must be a number, once"),
            errors.InsufficientScope(ClientScope.REVOCATIONS_READ),
        ),
    ),
    "GET /metrics": Operation(
        tag=OPERATING,
        summary="Metrics",
        said="What the worker that answers has counted, for Prometheus; with the scope `metrics:read`.",
        answers=(Answer(said="The metrics.", body="# HELP watchword_logins_total …\n", media=TEXT),),
        refusals=(errors.InsufficientScope(ClientScope.METRICS_READ),),
    ),
    "GET /forward-auth": Operation(
        tag=VERIFYING,
        summary="Whose token is this?",
        said="For nginx, Traefik and Caddy, which ask before they pass a request on. The answer is in the headers. "
        "A user name with other than visible ASCII characters is percent-encoded.",
        answers=(
            Answer(
                said="The bearer may pass.",
                headers={
                    "X-Auth-User": "alice",
                    "X-Auth-Subject": "Zq4mJw7Yb1uKc9XoE2nTgA",
                    "X-Auth-Scope": "reports:read",
                },
            ),
        ),
    ),
    "GET /healthz": Operation(
        tag=OPERATING,
        summary="Alive?",
        said="Answers while the process is alive, whatever the state of its database.",
        answers=(Answer(said="Alive.", body=Alive("alive")),),
    ),
    "GET /readyz": Operation(
        tag=OPERATING,
        summary="Ready?",
        said="Looks at the database, its schema and the keys: could somebody log in?",
        answers=(Answer(said="Ready.", body=Ready("ready")),),
        refusals=(_UNAVAILABLE,),
    ),
    "GET /openapi.json": Operation(
        tag=OPERATING,
        summary="This description",
        said="The OpenAPI document of this service; `watchword openapi` prints the same. The setting `API_DOCS` "
        "switches it off.",
        answers=(
            Answer(
                said="The document.",
                body=Description("3.1.0", {"title": "Watchword", "version": "…"}, [], [], {}, {}),
            ),
        ),
    ),
    "GET /docs": Operation(
        tag=OPERATING,
        summary="This description, for people",
        said="One page, without a script, that needs no other host. The setting `API_DOCS` switches it off.",
        answers=(Answer(said="The page.", body="<!DOCTYPE html>…", media="text/html; charset=utf-8"),),
    ),
}
"""A route without an entry has no description, and a test misses it."""
