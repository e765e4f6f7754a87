"""A refusal as the exception that Quart turns into an answer, in the words of ``watchword.problems``.

An ``HTTPException``, so that an application may reshape it with an error handler as it would any 401, 403 or 503.
"""

import json
from typing import Any, Final

from werkzeug.exceptions import Forbidden, HTTPException, ServiceUnavailable, Unauthorized

from watchword.errors import TokenRefused, Unavailable
from watchword.problems import Problem, problem_of


class Refusal(HTTPException):
    """A bearer who may not pass, or not now.

    Attributes:
        problem: status, code, sentence and challenge of the answer.
        reason: why; the client learns no more of it than the problem says.
    """

    def __init__(self, problem: Problem, reason: TokenRefused | Unavailable) -> None:
        super().__init__(problem.sentence)
        self.reason = reason
        self.problem = problem

    def get_body(self, *_: Any, **__: Any) -> str:
        """The error answer as JSON; whether a request has an id, and of what kind, is the application's affair."""
        return json.dumps(self.problem.body(request_id=None))

    def get_headers(self, *_: Any, **__: Any) -> list[tuple[str, str]]:
        """The challenge (RFC 6750 §3) or when to come back; no cache may keep the answer."""
        return [("Content-Type", "application/json"), ("Cache-Control", "no-store"), *self.problem.headers.items()]


# Quart finds ``errorhandler(401)`` by the class of the exception, so each status needs one.
class _Unauthorized(Refusal, Unauthorized):
    pass


class _Forbidden(Refusal, Forbidden):
    pass


class _Unavailable(Refusal, ServiceUnavailable):
    pass


_KINDS: Final[dict[int, type[Refusal]]] = {401: _Unauthorized, 403: _Forbidden, 503: _Unavailable}


def refusal_of(reason: TokenRefused | Unavailable) -> Refusal:
    """The exception to raise for a reason."""
    problem = problem_of(reason)
    return _KINDS[problem.status](problem, reason)
