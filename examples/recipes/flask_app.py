"""A Flask service whose routes ask for a token with a scope: pip install flask, and what the check needs."""

from collections.abc import Callable
from functools import wraps
from typing import Any

from flask import Flask, Response, abort, g, jsonify, make_response, request
from login_service import InvalidToken, Unavailable
from verify_with_pyjwt import verify

app = Flask(__name__)


def token_required(scope: str) -> Callable[..., Any]:
    """Stands below the route; the claims are in ``g.claims``."""

    def decorate(view: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(view)
        def guarded(*args: Any, **kwargs: Any) -> Any:
            scheme, _, token = request.headers.get("Authorization", "").partition(" ")
            if scheme.lower() != "bearer":
                abort(refusal(401))
            try:
                g.claims = verify(token.strip(" "))
            except InvalidToken:
                abort(refusal(401, ', error="invalid_token"'))
            except Unavailable:
                abort(make_response(jsonify(error="Try again in a moment"), 503, {"Retry-After": "1"}))
            if scope not in g.claims.get("scope", "").split():
                abort(refusal(403, f', error="insufficient_scope", scope="{scope}"'))
            return view(*args, **kwargs)

        return guarded

    return decorate


def refusal(status: int, why: str = "") -> Response:
    """With the challenge of RFC 6750 §3."""
    challenge = {"WWW-Authenticate": f'Bearer realm="reports"{why}'}
    return make_response(jsonify(error="A good token is needed"), status, challenge)


@app.get("/reports")
@token_required("reports:read")
def reports() -> dict[str, str]:
    return {"reports_for": g.claims["username"]}
