"""A refusal as the exception that Quart turns into an answer, in the words of ``watchword.problems``.

An ``HTTPException``, so that an application may reshape it with an error handler as it would any 401 or 403.
"""

import json
from typing import Any

from quart import g, has_app_context
from werkzeug.exceptions import HTTPException

from watchword.errors import TokenRefused
from watchword.problems import Problem, problem_of


class Refusal(HTTPException):
    """A bearer who may not pass.

    Attributes:
        problem: status, code, sentence and challenge of the answer.
    """

    def __init__(self, reason: TokenRefused) -> None:
        self.problem: Problem = problem_of(reason)
        self.code = self.problem.status
        super().__init__(self.problem.sentence)

    def get_body(self, *_: Any, **__: Any) -> str:
        """The error answer as JSON."""
        request_id = g.get("request_id") if has_app_context() else None
        return json.dumps(self.problem.body(request_id=request_id))

    def get_headers(self, *_: Any, **__: Any) -> list[tuple[str, str]]:
        """The challenge (RFC 6750 §3); no cache may keep the answer."""
        return [("Content-Type", "application/json"), ("Cache-Control", "no-store"), *self.problem.headers.items()]
