"""Claims about how refusals look to a client: one status, code and sentence each, and no help for an attacker."""

import pytest

from watchword import errors, hypercorn_toml
from watchword.problems import IDLE_SECONDS, INTERNAL_ERROR, Problem, problem_at, problem_of, problem_of_status

BARE = 'Bearer realm="watchword"'


@pytest.mark.parametrize(
    ("refusal", "status", "code", "headers"),
    [
        (errors.InvalidRequest("password: must not be empty"), 400, "invalid_request", {}),
        (errors.UnsupportedMediaType("x"), 415, "unsupported_media_type", {}),
        (errors.InvalidCredentials("x"), 401, "invalid_credentials", {"WWW-Authenticate": BARE}),
        (errors.MissingToken(), 401, "missing_token", {"WWW-Authenticate": BARE}),
        (errors.InvalidToken("x"), 401, "invalid_token", {"WWW-Authenticate": f'{BARE}, error="invalid_token"'}),
        (
            errors.InsufficientScope("notes:read notes:write"),
            403,
            "insufficient_scope",
            {"WWW-Authenticate": f'{BARE}, error="insufficient_scope", scope="notes:read notes:write"'},
        ),
        (errors.InvalidClient("x"), 401, "invalid_client", {"WWW-Authenticate": 'Basic realm="watchword"'}),
        (errors.UnauthorizedClient("x"), 403, "unauthorized_client", {}),
        (
            errors.TooManyAttempts("x", retry_after=30),
            429,
            "too_many_attempts",
            {"Retry-After": "30"},
        ),
        (errors.Overloaded("x", retry_after=3), 503, "overloaded", {"Retry-After": "3"}),
        (errors.Overloaded("x", retry_after=5), 503, "overloaded", {"Retry-After": "5", "Connection": "close"}),
        (errors.Unavailable("x", retry_after=0), 503, "unavailable", {"Retry-After": "1"}),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else "",
)
def test_each_refusal_has_its_answer(
    refusal: errors.WatchwordError, status: int, code: str, headers: dict[str, str]
) -> None:
    """Row 95: status, code and headers are those of the contract, and a person finds a sentence."""
    problem = problem_of(refusal)
    assert (problem.status, problem.code, problem.headers) == (status, code, headers)
    assert problem.sentence


@pytest.mark.parametrize(
    "reason",
    [
        errors.InvalidCredentials,
        errors.InvalidToken,
        errors.TooManyAttempts,
        errors.Overloaded,
        errors.Unavailable,
    ],
)
def test_the_reason_behind_a_refusal_stays_inside(reason: type[errors.WatchwordError]) -> None:
    """Rows 3 and 95: which check failed is never told, so two refusals of a kind are equal in every byte."""
    assert problem_of(reason("canary")) == problem_of(reason("another"))
    assert "canary" not in repr(problem_of(reason("canary")))


def test_what_is_wrong_with_a_request_is_told() -> None:
    """The message of an unreadable request is made for the client's eyes."""
    assert problem_of(errors.InvalidRequest("username: is missing")).sentence == "username: is missing"


@pytest.mark.parametrize(
    "refusal", [errors.WatchwordError("canary"), errors.TokenRefused("canary"), errors.UnreadableHash("canary")]
)
def test_what_no_row_foresees_is_an_internal_error(refusal: errors.WatchwordError) -> None:
    """Row 99: a refusal without a row answers 500 and says nothing about itself."""
    problem = problem_of(refusal)
    assert problem == INTERNAL_ERROR
    assert (problem.status, problem.code) == (500, "internal_error")
    assert "canary" not in problem.sentence


def test_a_new_kind_of_a_known_refusal_answers_like_it() -> None:
    """A subclass that has no row of its own has its parent's."""

    class Stale(errors.InvalidToken):
        pass

    assert problem_of(Stale("x")) == problem_of(errors.InvalidToken("y"))


@pytest.mark.parametrize(
    ("status", "code"),
    [(404, "not_found"), (405, "method_not_allowed"), (408, "request_timeout"), (413, "payload_too_large")],
)
def test_the_frameworks_refusals_have_our_words(status: int, code: str) -> None:
    """A status that the web framework came to by itself gets a code and a sentence of ours."""
    problem = problem_of_status(status)
    assert (problem.status, problem.code, problem.headers) == (status, code, {})


def test_any_other_client_error_is_an_invalid_request() -> None:
    """A client error that the table does not name keeps its status."""
    assert (problem_of_status(431).status, problem_of_status(431).code) == (431, "invalid_request")


def test_the_body_is_in_the_order_in_which_people_read() -> None:
    """The sentence comes first, the request id last, details between; without a request there is no id."""
    problem = Problem(422, "weak_password", "Too weak", details={"reasons": ["too short"]})
    expected = {"error": "Too weak", "code": "weak_password", "reasons": ["too short"], "request_id": "r1"}
    assert list(problem.body(request_id="r1").items()) == list(expected.items())
    assert "request_id" not in problem.body(request_id=None)


@pytest.mark.parametrize(
    ("problem", "status", "error"),
    [
        (problem_of(errors.InvalidRequest("x")), 400, "invalid_request"),
        (problem_of(errors.InvalidClient("x")), 401, "invalid_client"),
        (problem_of(errors.UnauthorizedClient("x")), 403, "unauthorized_client"),
        (problem_of(errors.Unavailable("x")), 503, "temporarily_unavailable"),
        (problem_of_status(404), 404, "invalid_request"),
        (problem_of_status(405), 405, "invalid_request"),
        (problem_of_status(408), 408, "invalid_request"),
        (problem_of_status(413), 413, "invalid_request"),
        (INTERNAL_ERROR, 500, "server_error"),
    ],
)
def test_under_oauth_the_words_are_those_of_the_rfc(problem: Problem, status: int, error: str) -> None:
    """RFC 6749 §5.2: two members, words that clients know, the status and headers that the problem has anywhere."""
    told = problem_at("/oauth/introspect", problem)
    assert (told.status, told.code, told.headers) == (status, error, problem.headers)
    assert told.body(request_id="r1") == {"error": error, "error_description": problem.sentence}
    assert problem_at("/login", problem) is problem
    assert problem_at("/oauth", problem) is problem


def test_a_connection_is_thought_idle_for_as_long_as_the_server_keeps_it() -> None:
    """What hypercorn.toml says and what refusals go by is the same number."""
    assert hypercorn_toml.read().keep_alive_timeout == IDLE_SECONDS
