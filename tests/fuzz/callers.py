"""Who calls in Schemathesis's name: whoever the operation asks for, and always somebody good. Schemathesis loads it.

A bearer logs in anew for each request, because any of them may end its session, and does so as any client does, at the
server that the environment names.
"""

import json
import os
import subprocess
import sys
import urllib.error
import urllib.request
from typing import Any, Final

import schemathesis
from schemathesis import AuthContext, Case

from tests.builders import PASSWORD
from tests.endpoints.services import basic, bearer

URL: Final = os.environ["FUZZED_URL"]
SERVICE: Final = os.environ["FUZZED_SERVICE"]
SECRET: Final = os.environ["FUZZED_SERVICE_SECRET"]
BEARER: Final = "fuzzer"
CHANGES_PASSWORDS: Final = "changer"
"""A user of its own, so that no other bearer is logged out by a password that Schemathesis has changed."""
_EXAMPLE: Final = "another long sentence of words"
"""What the example of the description makes of the password."""
_AT_HOME: Final = {"X-Forwarded-For": "192.0.2.1"}
"""Where nobody guesses passwords, so that the throttle lets our own logins in; Schemathesis's come from elsewhere."""
_UNAUTHORIZED: Final = 401


@schemathesis.auth(refresh_interval=None)
class Callers:
    """Gives each request the ``Authorization`` that its operation asks for; none is sent where none is asked for."""

    def get(self, case: Case[Any], _context: AuthContext) -> str | None:
        """The header's value."""
        asked = case.operation.definition.raw["security"]
        if not asked:
            return None
        match next(iter(asked[0])):
            case "bearer":
                headers = bearer(_token(CHANGES_PASSWORDS if case.path == "/password/change" else BEARER))
            case "client":
                headers = basic(SERVICE, SECRET)
            case _:
                headers = bearer(SECRET)
        return headers["Authorization"]

    def set(self, case: Case[Any], data: str, _context: AuthContext) -> None:
        """Put it into the request, and into a good one nothing else: a client proves itself in one way only.

        That the form's members are for those who send no header is more than a schema can say.
        """
        case.headers["Authorization"] = data
        if case.meta is not None and case.meta.generation.mode.is_positive and isinstance(case.body, dict):
            for name in ("client_id", "client_secret"):
                case.body.pop(name, None)


def _token(username: str) -> str:
    for password in (PASSWORD, _EXAMPLE):
        if (token := _log_in(username, password)) is not None:
            return token
    # A password that nobody knows any more: Schemathesis has made it up.
    command = [sys.executable, "-m", "watchword", "users", "set-password", username, "--password-stdin"]
    subprocess.run(command, input=f"{PASSWORD}\n", text=True, check=True, capture_output=True)
    token = _log_in(username, PASSWORD)
    assert token is not None
    return token


def _log_in(username: str, password: str) -> str | None:
    body = json.dumps({"username": username, "password": password}).encode()
    request = urllib.request.Request(f"{URL}/login", body, {"Content-Type": "application/json", **_AT_HOME})
    try:
        with urllib.request.urlopen(request, timeout=10) as response:
            return str(json.load(response)["token"])
    except urllib.error.HTTPError as refusal:
        if refusal.code != _UNAUTHORIZED:
            raise
        return None
