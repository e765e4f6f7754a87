"""What a description is made of: an operation, its answers, and the refusals that a route has by its kind.

An example is an object of the class that the answer is made of, so it can have no member that the answer has not.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec

from watchword import errors
from watchword.problems import INTERNAL_ERROR, Problem, problem_at, problem_of, problem_of_status

JSON: Final = "application/json"
FORM: Final = "application/x-www-form-urlencoded"
Schema = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """An answer that is no refusal.

    Attributes:
        status: the HTTP status.
        said: what it means.
        body: an example; None where there is no body.
        headers: those beyond the ones of every answer, by name, with an example each.
        media: the body's type.
    """

    status: int = 200
    said: str
    body: msgspec.Struct | str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    media: str = JSON


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """A part of the address that varies.

    Attributes:
        name: in the route's brackets, or in the query.
        said: what it is.
        place: ``path`` or ``query``; what is in the query may be left out.
        schema: which values are taken.
        example: one of them.
    """

    name: str
    said: str
    place: str = "query"
    schema: Schema
    example: str | int


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One route, as its reader needs it.

    Attributes:
        tag: the chapter that it belongs to.
        summary: what it does, in a few words.
        said: what else must be known; CommonMark, of which our own page knows `code` alone.
        body: an example of what is sent.
        media: its type.
        parameters: parts of the address that vary.
        answers: those that are no refusals.
        refusals: those beyond what every route of its kind may answer.
    """

    tag: str
    summary: str
    said: str
    body: msgspec.Struct | None = None
    media: str = JSON
    parameters: tuple[Parameter, ...] = ()
    answers: tuple[Answer, ...]
    refusals: tuple[errors.WatchwordError, ...] = ()


OF_EVERY_ROUTE: Final = (problem_of_status(400), INTERNAL_ERROR)
"""A body with two ends, a query that is not UTF-8, a Host that is none; and what nobody foresaw."""

OF_A_BODY: Final = (
    problem_of(errors.InvalidRequest("The body is not a JSON object: not JSON")),
    problem_of_status(408),
    problem_of_status(413),
    problem_of(errors.UnsupportedMediaType()),
)

OF_A_FORM: Final = (
    problem_of(errors.InvalidRequest("The body is not a form")),
    problem_of_status(408),
    problem_of_status(413),
)

OF_A_BEARER: Final = (
    problem_of(errors.MissingToken()),
    problem_of(errors.InvalidToken()),
    problem_of(errors.Unavailable("")),  # whether the token's session has ended is not known
)

OF_A_CLIENT: Final = (
    problem_of(errors.InvalidClient("")),
    problem_of(errors.UnauthorizedClient("")),
    problem_of(errors.Unavailable("")),
)

OF_A_SERVICE: Final = OF_A_BEARER
"""But for the scope that it must have, which each route names itself."""


def problems_of(operation: Operation, *common: tuple[Problem, ...], path: str) -> list[Problem]:
    """An operation's refusals, one for each status and word; its own words come before those of its kind.

    Args:
        operation: the operation.
        common: refusals that it has by its kind.
        path: where it is, as under some the words are others.
    """
    own = [problem_of(reason) for reason in operation.refusals]
    found: dict[tuple[int, str], Problem] = {}
    for problem in (problem_at(path, each) for each in [*own, *(each for kind in common for each in kind)]):
        found.setdefault((problem.status, problem.code), problem)
    return sorted(found.values(), key=lambda problem: problem.status)
