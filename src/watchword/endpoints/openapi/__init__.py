"""The interface described for programs: OpenAPI 3.1, made of the route table, the answers' classes and the problems.

Nothing here is loaded before somebody asks for the description.
"""

from collections.abc import Iterable, Sequence
from functools import cache
from itertools import groupby
from typing import Any, Final

import msgspec

from watchword import __version__
from watchword.endpoints import DOORS, ROUTES, Caller, Route
from watchword.endpoints.bodies import WITHOUT_NUL
from watchword.endpoints.exchange import HEADERS
from watchword.endpoints.openapi.operations import CHAPTERS, OPERATIONS
from watchword.endpoints.openapi.parts import (
    FORM,
    JSON,
    OF_A_BEARER,
    OF_A_BODY,
    OF_A_CLIENT,
    OF_A_FORM,
    OF_A_SERVICE,
    OF_EVERY_ROUTE,
    Answer,
    Operation,
    Parameter,
    Schema,
    problems_of,
)
from watchword.endpoints.openapi.shapes import Error, OAuthError, WeakPassword
from watchword.endpoints.password import Passwords
from watchword.problems import OAuthProblem, Problem

DESCRIBED: Final = (*DOORS, *ROUTES)

_ABOUT: Final = """\
JSON in, JSON out, in UTF-8. An access token is sent as `Authorization: Bearer …`, never in an address. \
Every answer carries `X-Request-Id`, by which the log knows the request, and `Cache-Control: no-store` unless it says \
otherwise here.

An error is `{"error": "a sentence for people", "code": "a_stable_word", "request_id": "…"}`, under `/oauth/` however \
`{"error": "a_stable_word", "error_description": "a sentence for people"}`. What is not described here is 404 \
`not_found`, another method on a path 405 `method_not_allowed` with `Allow`, a head of more than 16 KiB or a hundred \
fields 431 `invalid_request`. What cannot be read as a request is refused as outside `/oauth/`. HEAD is answered \
wherever GET is. Members of a request's body that are not named here are passed over."""

_REQUEST_ID: Final = "T7nQxW3cVb0kLm5PzR9aYg"
_REF: Final = "#/components/schemas/{name}"
_ANYTHING: Final = "Anything"
_PASSED_OVER: Final[Schema] = {
    "propertyNames": WITHOUT_NUL,
    "additionalProperties": {"$ref": _REF.format(name=_ANYTHING)},
}
_OTHERS: Final[dict[str, Schema]] = {JSON: _PASSED_OVER, FORM: {"additionalProperties": {"type": "string"}}}
"""What else may be sent, by media type. A form has no lists: each would be a field that is sent more than once."""

_SECURITY: Final[dict[Caller, tuple[str, Schema]]] = {
    Caller.BEARER: (
        "bearer",
        {"type": "http", "scheme": "bearer", "bearerFormat": "JWT", "description": "The `token` of a login."},
    ),
    Caller.CLIENT: (
        "client",
        {
            "type": "http",
            "scheme": "basic",
            "description": "A client's name and secret (RFC 6749 §2.3.1); they may stand in the form instead.",
        },
    ),
    Caller.SERVICE: (
        "service",
        {"type": "http", "scheme": "bearer", "description": "A client's secret, `wws_…`, as it is."},
    ),
}
"""How a caller who is not just anyone says who it is: the scheme's name, and the scheme."""

_OF_A_CALLER: Final[dict[Caller, tuple[Problem, ...]]] = {
    Caller.ANYONE: (),
    Caller.BEARER: OF_A_BEARER,
    Caller.CLIENT: OF_A_CLIENT,
    Caller.SERVICE: OF_A_SERVICE,
}

_OF_A_BODY: Final = {JSON: OF_A_BODY, FORM: OF_A_FORM}

_NO_STORE: Final = {"Cache-Control": HEADERS[b"cache-control"].decode()}

_HEADERS: Final[dict[str, tuple[str, Schema]]] = {
    "X-Request-Id": ("By which the log knows the request.", {"type": "string", "pattern": "^[A-Za-z0-9_-]{22}$"}),
    "Retry-After": ("Seconds after which another try makes sense.", {"type": "integer", "minimum": 1}),
    "ETag": ("Another one whenever the keys are others.", {"type": "string", "pattern": '^"[A-Za-z0-9_-]{43}"$'}),
    "X-Auth-User": ("The user's name.", {"type": "string", "pattern": "^[!-~]+$"}),
    "X-Auth-Subject": ("The user's id.", {"type": "string", "pattern": "^[!-~]+$"}),
    "X-Auth-Scope": ("The token's scopes, separated by spaces.", {"type": "string"}),
}
"""Headers whose value varies, and which an answer has whenever another of its status has them; of any other header the
description names each value."""


@cache
def document(*, issuer: str, password_min_length: int) -> bytes:
    """The OpenAPI document as it is answered.

    Args:
        issuer: the address under which clients know the service.
        password_min_length: code points of a new password.
    """
    described = describe(issuer=issuer, password_min_length=password_min_length)
    return msgspec.json.format(msgspec.json.encode(described), indent=2) + b"\n"


def describe(*, issuer: str, password_min_length: int) -> dict[str, Any]:
    """The OpenAPI document as an object; the arguments are those of ``document``."""
    operations = [(route, OPERATIONS[f"{route.method} {route.path}"]) for route in DESCRIBED]
    paths: dict[str, dict[str, Any]] = {}
    for route, operation in operations:
        path = route.path.replace("<", "{").replace(">", "}")
        paths.setdefault(path, {})[route.method.lower()] = _operation(route, operation)
    schemas = _schemas([operation for _, operation in operations])
    schemas[Passwords.__name__]["properties"]["new_password"]["minLength"] = password_min_length
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Watchword",
            "version": __version__,
            "summary": "A password goes in, a bearer token comes out.",
            "description": _ABOUT,
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "servers": [{"url": issuer.rstrip("/")}],
        "tags": [{"name": name, "description": said} for name, said in CHAPTERS.items()],
        "paths": paths,
        "components": {
            "schemas": schemas,
            "headers": _common_headers(),
            "securitySchemes": dict(_SECURITY[caller] for caller in Caller if caller in _SECURITY),
        },
    }


def _operation(route: Route, operation: Operation) -> dict[str, Any]:
    problems = problems_of(
        operation,
        _OF_A_CALLER[route.caller],
        _OF_A_BODY[operation.media] if operation.body is not None else (),
        OF_EVERY_ROUTE,
        path=route.path,
    )
    members: dict[str, Any] = {
        "operationId": route.view.__name__,
        "tags": [operation.tag],
        "summary": operation.summary,
        "description": operation.said,
        "security": [{_SECURITY[route.caller][0]: []}] if route.caller in _SECURITY else [],
        "parameters": [_parameter(each) for each in operation.parameters],
        "responses": {
            **{str(status): _answers(list(each)) for status, each in groupby(operation.answers, lambda a: a.status)},
            **{str(status): _refusals(list(each)) for status, each in groupby(problems, lambda p: p.status)},
        },
    }
    if operation.body is not None:
        content = {operation.media: {"schema": _reference(operation.body), "example": operation.body}}
        members["requestBody"] = {"required": True, "content": content}
    return members


def _parameter(parameter: Parameter) -> dict[str, Any]:
    return {
        "name": parameter.name,
        "in": parameter.place,
        "required": parameter.place == "path",
        "description": parameter.said,
        "schema": parameter.schema,
        "example": parameter.example,
    }


def _answers(answers: Sequence[Answer]) -> dict[str, Any]:
    """The answers of one status: one, or several whose bodies differ in kind."""
    bodies = [answer.body for answer in answers if answer.body is not None]
    members: dict[str, Any] = {
        "description": " ".join(answer.said for answer in answers),
        "headers": _headers([answer.headers for answer in answers]),
    }
    if bodies:
        kinds = list({type(body): _reference(body) for body in bodies}.values())
        schema = kinds[0] if len(kinds) == 1 else {"anyOf": kinds}
        examples = {_word(type(body).__name__): {"value": body} for body in bodies}
        members["content"] = {answers[0].media: {"schema": schema, "examples": examples}}
    return members


def _refusals(problems: Sequence[Problem]) -> dict[str, Any]:
    kind, word = _kind_of(problems[0])
    schema = {
        "$ref": _REF.format(name=kind.__name__),
        "properties": {word: {"enum": [problem.code for problem in problems]}},
    }
    examples = {problem.code: {"value": problem.body(request_id=_REQUEST_ID)} for problem in problems}
    return {
        "description": " ".join(f"{problem.sentence}." for problem in problems),
        "headers": _headers([problem.headers for problem in problems]),
        "content": {JSON: {"schema": schema, "examples": examples}},
    }


def _kind_of(problem: Problem) -> tuple[type, str]:
    """The class that a refusal looks like, and the member that programs go by."""
    if isinstance(problem, OAuthProblem):
        return OAuthError, "error"
    return (WeakPassword if problem.details else Error), "code"


def _headers(sent: Sequence[Any]) -> dict[str, Any]:
    """The headers of the answers of one status: those of every answer, and their own."""
    every = {**_NO_STORE, "X-Request-Id": _REQUEST_ID}
    each = [{**every, **own} for own in sent]
    names = dict.fromkeys(name for headers in each for name in headers)
    return {name: _header(name, [headers[name] for headers in each if name in headers], of=len(each)) for name in names}


def _header(name: str, values: Sequence[str], *, of: int) -> dict[str, Any]:
    if name in _HEADERS or {name: values[0]} == _NO_STORE:
        return {"$ref": f"#/components/headers/{name}"}
    return {"required": len(values) == of, "schema": {"type": "string", "enum": list(dict.fromkeys(values))}}


def _common_headers() -> dict[str, Any]:
    (no_store,) = _NO_STORE.items()
    common = {
        name: {"description": said, "required": True, "schema": schema} for name, (said, schema) in _HEADERS.items()
    }
    return {no_store[0]: {"required": True, "schema": {"type": "string", "enum": [no_store[1]]}}, **common}


def _schemas(operations: Iterable[Operation]) -> dict[str, Any]:
    """The schemas of all bodies. An answer has the members that are named and no others; of a request others go."""
    sent: dict[type, str] = {
        type(operation.body): operation.media for operation in operations if operation.body is not None
    }
    bodies = (answer.body for operation in operations for answer in operation.answers)
    answered: set[type] = {
        Error,
        OAuthError,
        WeakPassword,
        *(type(body) for body in bodies if isinstance(body, msgspec.Struct)),
    }
    ordered = sorted({*sent, *answered}, key=lambda kind: kind.__name__)
    _, schemas = msgspec.json.schema_components(ordered, ref_template=_REF)
    others = {kind.__name__: _OTHERS[media] for kind, media in sent.items()}
    described = {
        name: {**schema, **others.get(name, {"additionalProperties": False})} for name, schema in schemas.items()
    }
    return dict(sorted({**described, _ANYTHING: _anything()}.items()))


def _anything() -> Schema:
    """What ``strictjson`` lets through, but for the bounds that no schema can tell."""
    return {
        "title": _ANYTHING,
        "description": "Whatever else is sent: no text has a NUL in it, no integer more than 20 digits, and nothing is "
        "nested more than 32 levels deep.",
        "anyOf": [
            {"type": ["null", "boolean", "number"]},
            {"type": "string", **WITHOUT_NUL},
            {"type": "array", "items": {"$ref": _REF.format(name=_ANYTHING)}},
            {"type": "object", **_PASSED_OVER},
        ],
    }


def _reference(body: msgspec.Struct | str) -> Schema:
    return {"type": "string"} if isinstance(body, str) else {"$ref": _REF.format(name=type(body).__name__)}


def _word(name: str) -> str:
    return name[0].lower() + name[1:]
