"""The login API that the tutorials teach: one user in the source, a token without an end, one guarded route."""

import os

import jwt
from flask import Flask, jsonify, request

app = Flask(__name__)
app.config["SECRET_KEY"] = os.environ["SECRET_KEY"]

USERNAME, PASSWORD = "alice", "correct horse battery staple"


@app.post("/login")
def login():
    username, password = request.json.get("username"), request.json.get("password")
    if (username, password) != (USERNAME, PASSWORD):
        return jsonify({"error": "Invalid username or password"}), 401
    return jsonify({"token": jwt.encode({"username": username}, app.config["SECRET_KEY"])})


@app.get("/hello")
def hello():
    token = request.headers.get("Authorization", "").removeprefix("Bearer ")
    try:
        claims = jwt.decode(token, app.config["SECRET_KEY"], algorithms=["HS256"])
    except jwt.InvalidTokenError:
        return jsonify({"error": "Invalid token"}), 401
    return jsonify({"hello": claims["username"]})
