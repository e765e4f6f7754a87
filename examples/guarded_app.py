"""The smallest guarded application: it knows the login service by its URL, and shares no secret with it."""

import os

from quart import Quart

from watchword import Guard, current_token, token_required

app = Quart(__name__)
Guard(app, issuer=os.environ.get("LOGIN_SERVICE", "http://127.0.0.1:8000"))


@app.get("/reports")
@token_required(scope="reports:read")
async def reports() -> dict[str, str]:
    return {"reports_for": current_token.username}
