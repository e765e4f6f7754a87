"""A service elsewhere: one route twice, bare and behind the guard, which follows the login service by its URL."""

from quart import Quart

from watchword import Guard, token_required

app = Quart(__name__)
guard = Guard(app)


@app.get("/bare")
async def bare() -> dict[str, str]:
    return {"hello": "world"}


@app.get("/guarded")
@token_required
async def guarded() -> dict[str, str]:
    return {"hello": "world"}


@app.get("/healthz")
async def healthz() -> dict[str, str]:
    return {"status": "alive"}
