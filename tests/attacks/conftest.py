"""What attacks are made upon: a real server with one user, for all of them."""

import json
from collections.abc import Iterator

import pytest

from tests.attacks.raw import log_in
from tests.builders import PASSWORD
from tests.servers import Server, watchword, watchword_server


@pytest.fixture(scope="session")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """``watchword serve`` as a process of its own, where alice may log in."""
    with watchword_server(tmp_path_factory.mktemp("service") / "instance") as server:
        command = ("users", "add", "alice", "--password-stdin")
        watchword(*command, environ=server.environ, stdin=f"{PASSWORD}\n").check_returncode()
        yield server


@pytest.fixture(scope="session")
def token(service: Server) -> str:
    """A token that alice got there."""
    answer = log_in(service, "alice", PASSWORD)
    assert answer.status == 200
    text: str = json.loads(answer.body)["token"]
    return text
