"""A refusal reaches who is still writing a body that nobody waits for, where a page says how it does."""

import re
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from http.client import HTTPConnection
from pathlib import Path
from textwrap import dedent

import pytest

from tests.builders import SECRET
from tests.servers import environment, free_port, running

PAGE = Path(__file__).parents[2] / "docs" / "guard.md"
APPLICATION = f"""
from quart import Quart
from watchword import Guard, KeyRing, token_required

app = Quart(__name__)
Guard(app, keys=KeyRing.from_secret("{SECRET}"))


@app.post("/guarded")
@token_required
async def guarded():
    return {{}}
"""


PIECES = 40
PIECE = bytes(50_000)


@pytest.mark.parametrize(("path", "status"), [("/guarded", 401), ("/nowhere", 404)])
def test_a_refusal_reaches_who_posts_a_large_body(tmp_path: Path, path: str, status: int) -> None:
    """2 MB and ten of ten, with the page's lines at the top of the module; without them the pipe breaks."""
    (lines,) = re.findall(r"^    from watchword\.server .+?^    \S+\(\)$", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    (tmp_path / "uploads.py").write_text(dedent(lines) + APPLICATION)
    port = free_port()
    command = [
        *(sys.executable, "-m", "hypercorn", str(tmp_path / "uploads:app")),
        *("--workers", "1", "--bind", f"127.0.0.1:{port}"),
    ]
    with running(command, environ=environment(tmp_path), port=port, log=tmp_path / "log") as server:
        statuses = [_post(server.address, path) for _ in range(10)]
    assert statuses == [status] * 10


def _post(address: tuple[str, int], path: str) -> int:
    """The status that a client gets who writes all of a body before it reads, and not all of it at once."""

    def body() -> Iterator[bytes]:
        for _ in range(PIECES):
            yield PIECE
            time.sleep(0.002)

    with closing(HTTPConnection(*address, timeout=30)) as connection:
        connection.request("POST", path, body(), {"Content-Length": str(PIECES * len(PIECE))})
        return connection.getresponse().status
