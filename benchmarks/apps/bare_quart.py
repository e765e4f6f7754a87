"""One Quart route that does nothing: what a request costs before an application does anything with it."""

from quart import Quart

app = Quart(__name__)


@app.get("/bare")
async def bare() -> dict[str, str]:
    return {"hello": "world"}


@app.get("/healthz")
async def healthz() -> dict[str, str]:
    return {"status": "alive"}
