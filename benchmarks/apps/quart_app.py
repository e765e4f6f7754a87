"""The same tutorial with ``async`` in front and nothing else changed: SQLite and the hash run on the event loop."""

import os
import sqlite3
import time

import jwt
from argon2 import PasswordHasher
from argon2.exceptions import VerifyMismatchError
from quart import Quart, g, jsonify, request

app = Quart(__name__)
app.config["SECRET_KEY"] = os.environ["SECRET_KEY"]
hasher = PasswordHasher(time_cost=2, memory_cost=19456, parallelism=1)


def database():
    if "database" not in g:
        g.database = sqlite3.connect(os.environ["DATABASE"])
    return g.database


@app.teardown_appcontext
async def close_database(_):
    if "database" in g:
        g.database.close()


@app.post("/login")
async def login():
    credentials = await request.get_json()
    username, password = credentials.get("username"), credentials.get("password")
    row = database().execute("SELECT password_hash FROM users WHERE username = ?", (username,)).fetchone()
    try:
        if row is None or not hasher.verify(row[0], password):
            return jsonify({"error": "Invalid username or password"}), 401
    except VerifyMismatchError:
        return jsonify({"error": "Invalid username or password"}), 401
    claims = {"sub": username, "exp": time.time() + 900}
    return jsonify({"token": jwt.encode(claims, app.config["SECRET_KEY"], algorithm="HS256")})


@app.get("/me")
async def me():
    token = request.headers.get("Authorization", "").removeprefix("Bearer ")
    try:
        claims = jwt.decode(token, app.config["SECRET_KEY"], algorithms=["HS256"])
    except jwt.InvalidTokenError:
        return jsonify({"error": "Invalid token"}), 401
    return jsonify({"username": claims["sub"]})


@app.get("/healthz")
async def healthz():
    return jsonify({"status": "alive"})
