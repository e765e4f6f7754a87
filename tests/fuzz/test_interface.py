"""Schemathesis against a real server: what fits the description, and what breaks it, is answered as it says."""

import json
import os
import secrets
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from tests.races.clients import add_users
from tests.races.rounds import IS_FULL
from tests.servers import Server, watchword, watchword_server
from watchword.endpoints import DOORS, ROUTES
from watchword.model import ClientScope

ROOT: Final = Path(__file__).parents[2]
USERS: Final = ("alice", "fuzzer", "changer")
"""Alice has the password of the description's example; as the others Schemathesis is logged in (``callers``)."""
SERVICE: Final = "service"
REQUESTS: Final = 20_000 if IS_FULL else 300
EXAMPLES: Final = REQUESTS // len((*DOORS, *ROUTES)) if IS_FULL else 6
"""Cases per operation and phase; there are fewer where fewer different ones can be thought of."""
CONFIGURATION: Final = """
[checks.positive_data_acceptance]
expected-statuses = ["2xx", "3xx", 401, 403, 404, 409, 413, 422, 429, "5xx"]

[checks.negative_data_rejection]
expected-statuses = [400, 401, 403, 404, 405, 406, 409, 413, 415, 422, 428, 429, "5xx"]
"""
"""That a password is easy to guess (422), or a body too long in its bytes (413), is more than a schema can say; the
other statuses are the checks' own."""
SECONDS: Final = 6 * 3600 if IS_FULL else 300


@pytest.fixture(params=["sqlite", "postgresql"] if IS_FULL else ["postgresql"])
def database_url(request: pytest.FixtureRequest) -> str:
    """With the suite the database that is more easily upset: SQLite stores a NUL, and numbers of any size."""
    url: str = request.getfixturevalue(f"{request.param}_url")
    return url


@pytest.fixture
def fuzzed(tmp_path: Path, database_url: str) -> Iterator[Server]:
    """Two workers, some users, and a service that may do all that a service can."""
    with watchword_server(
        tmp_path / "instance", workers=2, DATABASE_URL=database_url, HASH_MAX_WAIT="60", TRUSTED_PROXIES="127.0.0.1"
    ) as server:
        add_users(server, *USERS)
        yield server


def test_no_request_gets_an_answer_that_is_not_described(fuzzed: Server, tmp_path: Path) -> None:
    """All operations, all checks, good and bad requests, one by one and in the order in which answers lead on: nothing
    is found, nothing is answered with a 5xx, and each route has answered well at least once (row 37).
    """
    scopes = [word for scope in ClientScope for word in ("--scope", scope)]
    added = watchword("clients", "add", SERVICE, *scopes, environ=fuzzed.environ)
    added.check_returncode()
    seed = str(secrets.randbelow(2**32) if IS_FULL else 37)
    command = [
        *(sys.executable, "-m", "schemathesis.cli", "run", f"{fuzzed.url}/openapi.json", "--url", fuzzed.url),
        *("--phases", "examples,coverage,fuzzing,stateful", "--mode", "all", "--checks", "all"),
        *("--max-examples", str(EXAMPLES), "--seed", seed, "--no-shrink", "--continue-on-failure"),
        *("--warnings", "off", "--no-color"),
    ]
    environ = {
        **fuzzed.environ,
        "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "src")]),
        "SCHEMATHESIS_HOOKS": "tests.fuzz.callers",
        "FUZZED_URL": fuzzed.url,
        "FUZZED_SERVICE": SERVICE,
        "FUZZED_SERVICE_SECRET": added.stdout.strip(),
    }
    (tmp_path / "schemathesis.toml").write_text(CONFIGURATION)
    # In a folder of its own, so that no run depends on what an earlier one has found.
    done = subprocess.run(
        command, cwd=tmp_path, env=environ, capture_output=True, text=True, timeout=SECONDS, check=False
    )
    assert done.returncode == 0, done.stdout[-20_000:] + done.stderr
    statuses = Counter[tuple[str, int]]()
    for line in map(json.loads, fuzzed.logged().splitlines()):
        assert line["level"] in {"info", "warning"}, line
        if line["event"] == "request":
            statuses[f"{line['method']} {line.get('route')}", line["status"]] += 1
    assert not [seen for seen in statuses if seen[1] >= 500]
    assert statuses.total() >= REQUESTS
    answered_well = {route for route, status in statuses if status < 400}
    assert answered_well >= {f"{route.method} {route.path}" for route in (*DOORS, *ROUTES)}
