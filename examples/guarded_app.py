"""The smallest guarded application: it knows the login service by its published keys, and shares no secret with it."""

import os
from urllib.request import urlopen

from quart import Quart

from watchword import Guard, KeyRing, current_token, token_required

LOGIN_SERVICE = os.environ.get("LOGIN_SERVICE", "http://127.0.0.1:8000")

app = Quart(__name__)
with urlopen(f"{LOGIN_SERVICE}/.well-known/jwks.json") as answer:
    Guard(app, keys=KeyRing.from_jwks(answer.read()), issuer=LOGIN_SERVICE)


@app.get("/reports")
@token_required(scope="reports:read")
async def reports() -> dict[str, str]:
    return {"reports_for": current_token.username}
