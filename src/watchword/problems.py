"""How a refusal looks to a client: the one table from reason to status, code, sentence and headers.

Used by the endpoints and by the guard, so that a token is refused in the same words everywhere.
It speaks HTTP and knows no framework.
"""

from dataclasses import dataclass, field

from watchword import errors

REALM = "watchword"
OAUTH_FOLDER = "/oauth/"
IDLE_SECONDS = 5
"""For how long hypercorn.toml keeps an idle connection."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One error answer (``docs/http.md``), but for the request id, which only the transport knows.

    Attributes:
        status: the HTTP status.
        code: a stable word for programs.
        sentence: a sentence for people.
        headers: challenge and retry headers, by name.
        details: further members of the body.
    """

    status: int
    code: str
    sentence: str
    headers: dict[str, str] = field(default_factory=dict)
    details: dict[str, object] = field(default_factory=dict)

    def body(self, *, request_id: str | None) -> dict[str, object]:
        """The members of the JSON body, in the order in which people read them."""
        answer: dict[str, object] = {"error": self.sentence, "code": self.code, **self.details}
        return answer if request_id is None else {**answer, "request_id": request_id}


@dataclass(frozen=True, slots=True)
class OAuthProblem(Problem):
    """One error answer of a path under ``/oauth/``, where clients read the body of RFC 6749 §5.2."""

    def body(self, *, request_id: str | None) -> dict[str, object]:  # noqa: ARG002  # a header has it
        """The two members that the RFC names."""
        return {"error": self.code, "error_description": self.sentence}


_TABLE: tuple[tuple[type[errors.WatchwordError], int, str, str | None], ...] = (
    # A sentence of None: the refusal's own message is made for the client's eyes.
    (errors.UnsupportedMediaType, 415, "unsupported_media_type", "The body must be application/json in UTF-8"),
    (errors.InvalidRequest, 400, "invalid_request", None),
    (errors.InvalidCredentials, 401, "invalid_credentials", "Invalid username or password"),
    (errors.MissingToken, 401, "missing_token", "A bearer token is required"),
    (errors.InvalidToken, 401, "invalid_token", "The token is invalid or has expired"),
    (errors.InsufficientScope, 403, "insufficient_scope", "The token does not cover this"),
    (errors.FreshLoginRequired, 401, "fresh_login_required", "Please log in again to do this"),
    (errors.InvalidRefreshToken, 401, "invalid_refresh_token", "The refresh token is invalid or has expired"),
    (errors.InvalidClient, 401, "invalid_client", "The client is unknown or its secret is wrong"),
    (errors.UnauthorizedClient, 403, "unauthorized_client", "The client may not do this"),
    (errors.UnknownSession, 404, "not_found", "There is nothing here"),
    (errors.WeakPassword, 422, "weak_password", "The new password breaks a rule"),
    (errors.TooManyAttempts, 429, "too_many_attempts", "Too many attempts, please try again later"),
    (errors.Overloaded, 503, "overloaded", "Too many logins at once, please try again"),
    (errors.Unavailable, 503, "unavailable", "The service is not available right now, please try again"),
)

_UNAVAILABLE = 503
INTERNAL_ERROR = Problem(500, "internal_error", "Something went wrong on our side")

_STATUS_WORDS = {
    404: ("not_found", "There is nothing here"),
    405: ("method_not_allowed", "This method is not allowed here"),
    408: ("request_timeout", "The request took too long to arrive"),
    413: ("payload_too_large", "The body is too large"),
    415: ("unsupported_media_type", "The body must be application/json in UTF-8"),
}

_OAUTH_CODES = frozenset({"invalid_client", "unauthorized_client"})


def problem_of(refusal: errors.WatchwordError) -> Problem:
    """Look a refusal up in the table; what no row foresees is an internal error."""
    for reason, status, code, sentence in _TABLE:
        if isinstance(refusal, reason):
            headers, details = _headers_of(refusal), _details_of(refusal)
            return Problem(status, code, sentence or str(refusal), headers=headers, details=details)
    return INTERNAL_ERROR


def problem_of_status(status: int) -> Problem:
    """The problem for a status that the web framework came to by itself, such as 404."""
    if status >= INTERNAL_ERROR.status:
        return INTERNAL_ERROR
    code, sentence = _STATUS_WORDS.get(status, ("invalid_request", "The request cannot be answered"))
    return Problem(status, code, sentence)


def problem_at(path: str, problem: Problem) -> Problem:
    """A problem as those read it who asked for a path: under ``/oauth/`` the word is one of RFC 6749's.

    It has none for most of what HTTP can say, so there the status tells more than ``invalid_request`` does.
    """
    if not path.startswith(OAUTH_FOLDER):
        return problem
    if problem.status == _UNAVAILABLE:
        code = "temporarily_unavailable"
    elif problem.status >= INTERNAL_ERROR.status:
        code = "server_error"
    else:
        code = problem.code if problem.code in _OAUTH_CODES else "invalid_request"
    return OAuthProblem(problem.status, code, problem.sentence, headers=problem.headers)


def _headers_of(refusal: errors.WatchwordError) -> dict[str, str]:
    if isinstance(refusal, errors.TryLater):
        # A server closes a connection that has been idle for some seconds: with the next try just on its way it would
        # cross. Any other time it is better kept, as it leads back to the worker that knows who was sent away.
        ends = {"Connection": "close"} if abs(refusal.retry_after - IDLE_SECONDS) <= 1 else {}
        return {"Retry-After": str(refusal.retry_after), **ends}
    if isinstance(refusal, errors.InvalidClient):
        return {"WWW-Authenticate": f'Basic realm="{REALM}"'}  # RFC 6749 §5.2
    challenge = f'Bearer realm="{REALM}"'
    if isinstance(refusal, errors.InvalidCredentials | errors.MissingToken | errors.InvalidRefreshToken):
        return {"WWW-Authenticate": challenge}  # RFC 6750 §3.1: no error code where no bearer token was sent
    if isinstance(refusal, errors.InvalidToken):
        return {"WWW-Authenticate": f'{challenge}, error="invalid_token"'}
    if isinstance(refusal, errors.InsufficientScope):
        return {"WWW-Authenticate": f'{challenge}, error="insufficient_scope", scope="{refusal.required}"'}
    if isinstance(refusal, errors.FreshLoginRequired):  # RFC 9470 §3
        error = 'error="insufficient_user_authentication", error_description="A more recent login is required"'
        return {"WWW-Authenticate": f'{challenge}, {error}, max_age="{refusal.max_age}"'}
    return {}


def _details_of(refusal: errors.WatchwordError) -> dict[str, object]:
    if isinstance(refusal, errors.WeakPassword):
        return {"reasons": list(refusal.reasons), "reason_codes": list(refusal.reason_codes)}
    return {}
