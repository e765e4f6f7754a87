"""The service of figures. It does not know who calls it; it sees whose token it is shown."""

from quart import Quart

from watchword import Guard, current_token, token_required

app = Quart(__name__)
Guard(app)  # WATCHWORD_ISSUER says whose tokens, WATCHWORD_SERVICE_TOKEN_FILE lets it follow logouts


@app.get("/figures")
@token_required(scope="figures:read")
async def figures() -> dict[str, object]:
    return {"figures": [3, 1, 4], "asked_by": current_token.username}
