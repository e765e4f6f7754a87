"""The Flask original as its readers complete it: a table of users, a real password hash, Flask-JWT-Extended."""

import os
import sqlite3

from argon2 import PasswordHasher
from argon2.exceptions import VerifyMismatchError
from flask import Flask, g, jsonify, request
from flask_jwt_extended import JWTManager, create_access_token, get_jwt_identity, jwt_required

app = Flask(__name__)
app.config["JWT_SECRET_KEY"] = os.environ["SECRET_KEY"]
jwt = JWTManager(app)
hasher = PasswordHasher(time_cost=2, memory_cost=19456, parallelism=1)


def database():
    if "database" not in g:
        g.database = sqlite3.connect(os.environ["DATABASE"])
    return g.database


@app.teardown_appcontext
def close_database(_):
    if "database" in g:
        g.database.close()


@app.post("/login")
def login():
    username, password = request.json.get("username"), request.json.get("password")
    row = database().execute("SELECT password_hash FROM users WHERE username = ?", (username,)).fetchone()
    try:
        if row is None or not hasher.verify(row[0], password):
            return jsonify({"error": "Invalid username or password"}), 401
    except VerifyMismatchError:
        return jsonify({"error": "Invalid username or password"}), 401
    return jsonify({"token": create_access_token(identity=username)})


@app.get("/me")
@jwt_required()
def me():
    return jsonify({"username": get_jwt_identity()})


@app.get("/healthz")
def healthz():
    return jsonify({"status": "alive"})
