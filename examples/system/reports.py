"""The service of reports. It asks the service of figures on the user's behalf: with the token that it was shown."""

import os
from collections.abc import AsyncGenerator

import httpx
from quart import Quart, request

from watchword import Guard, current_token, token_required

app = Quart(__name__)
Guard(app)


@app.while_serving
async def connections() -> AsyncGenerator[None]:
    # A token is handed on to this one address, which the operator gave, and never to one that a request names.
    figures = os.environ["FIGURES_SERVICE"]
    # Nor to a proxy that the environment names. A connection is given up before a server does it, after five seconds.
    straight = httpx.AsyncHTTPTransport(limits=httpx.Limits(keepalive_expiry=4))
    async with httpx.AsyncClient(base_url=figures, timeout=5, transport=straight) as app.extensions["figures"]:
        yield


@app.get("/reports")
@token_required(scope="reports:read")
async def reports() -> tuple[dict[str, object], int]:
    bearer = {"Authorization": request.headers["Authorization"]}
    try:
        answer = await app.extensions["figures"].get("/figures", headers=bearer)
    except httpx.RequestError:
        return {"error": "There are no figures right now"}, 503
    try:
        told = answer.json()
        if answer.status_code != httpx.codes.OK:
            return {"refused_by": "figures", "code": told["code"]}, answer.status_code
        return {"report_for": current_token.username, "figures": told["figures"]}, 200
    # Not its own words: the page of a proxy on the way, or of a fault.
    except (ValueError, TypeError, KeyError, RecursionError):
        return {"error": "The figures cannot be read"}, 502
