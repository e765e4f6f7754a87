"""A FastAPI service whose routes ask for a token with a scope: pip install fastapi, and what the check needs."""

from collections.abc import Callable
from typing import Annotated, Any

from fastapi import Depends, FastAPI, HTTPException, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from login_service import InvalidToken, Unavailable
from verify_with_joserfc import verify

app = FastAPI()
Sent = Annotated[HTTPAuthorizationCredentials | None, Depends(HTTPBearer(auto_error=False))]


def token_with(scope: str) -> Callable[..., Any]:
    """A dependency that gives the claims. It is no coroutine, so a check that asks elsewhere holds up nobody."""

    def checked(request: Request, sent: Sent) -> dict[str, Any]:
        if sent is None:
            raise refusal(401)
        if len(request.headers.getlist("Authorization")) > 1:  # a proxy before us may have believed the other one
            raise refusal(401, ', error="invalid_token"')
        try:
            claims = verify(sent.credentials)
        except InvalidToken:
            raise refusal(401, ', error="invalid_token"') from None
        except Unavailable:
            raise HTTPException(503, "Try again in a moment", {"Retry-After": "1"}) from None
        if scope not in claims.get("scope", "").split():
            raise refusal(403, f', error="insufficient_scope", scope="{scope}"')
        return claims

    return checked


def refusal(status: int, why: str = "") -> HTTPException:
    """With the challenge of RFC 6750 §3."""
    return HTTPException(status, "A good token is needed", {"WWW-Authenticate": f'Bearer realm="reports"{why}'})


@app.get("/reports")
def reports(claims: Annotated[dict[str, Any], Depends(token_with("reports:read"))]) -> dict[str, str]:
    return {"reports_for": claims["username"]}
