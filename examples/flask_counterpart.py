"""The same API on Watchword: users in a database, tokens that expire, and the guarded route in the same process.

It answers the requests that ``flask_original.py`` answers. With WATCHWORD_ALGORITHM=HS256 its tokens are of the same
kind, so that a Flask service with the same secret reads them with the ``jwt.decode`` that it has.
"""

from watchword import create_app, current_token, token_required

app = create_app()


@app.get("/hello")
@token_required
async def hello() -> dict[str, str]:
    return {"hello": current_token.username}
