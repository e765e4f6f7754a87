"""A day in the life of a service account, on a real server and through the command line."""

import re
from pathlib import Path

import httpx

from tests.builders import PASSWORD
from tests.servers import watchword, watchword_server
from tests.stories.pages import blocks, paste

SCOPES = ("tokens:introspect", "tokens:revoke", "revocations:read", "metrics:read")


def ask(http: httpx.Client, secret: str, path: str, token: str | None = None) -> httpx.Response:
    """What a client is answered: a form by HTTP Basic where there is a token, else by its secret as a bearer token."""
    if token is None:
        return http.get(path, headers={"Authorization": f"Bearer {secret}"})
    return http.post(path, auth=("gateway", secret), data={"token": token})


def test_a_service_account_from_its_first_day_to_its_last(tmp_path: Path) -> None:
    """Added by a command while two workers serve, it is known to both; revoked, it is refused at once by both; and
    neither its secret nor a token of a user was ever logged (rows 77, 94 and 98).
    """
    anew = httpx.Limits(max_keepalive_connections=0)  # each request on a connection of its own: either worker is asked
    with (
        watchword_server(tmp_path / "instance", workers=2) as server,
        httpx.Client(base_url=server.url, limits=anew) as http,
    ):
        command = ("users", "add", "alice", "--password-stdin", "--scope", "reports:read")
        watchword(*command, environ=server.environ, stdin=f"{PASSWORD}\n").check_returncode()
        scopes = [part for scope in SCOPES for part in ("--scope", scope)]
        secret = watchword("clients", "add", "gateway", *scopes, environ=server.environ).stdout.strip()
        given = http.post("/login", json={"username": "alice", "password": PASSWORD}).json()

        told = ask(http, secret, "/oauth/introspect", given["token"]).json()
        assert (told["active"], told["username"], told["scope"]) == (True, "alice", "reports:read")
        before = ask(http, secret, "/revocations").json()
        assert before["revocations"] == []

        revoked = ask(http, secret, "/oauth/revoke", given["refresh_token"])
        assert (revoked.status_code, revoked.content) == (200, b"")
        assert "content-type" not in revoked.headers
        assert revoked.headers["content-length"] == "0"
        after = ask(http, secret, f"/revocations?after={before['seq']}").json()
        assert [each["sid"] for each in after["revocations"]] == [told["sid"]]
        assert after["keys"] == before["keys"]
        for _ in range(8):
            assert ask(http, secret, "/oauth/introspect", given["refresh_token"]).json() == {"active": False}
        refreshed = http.post("/refresh", json={"refresh_token": given["refresh_token"]})
        assert refreshed.status_code == 401
        assert "watchword_request_seconds_count" in ask(http, secret, "/metrics").text

        watchword("clients", "revoke", "gateway", environ=server.environ).check_returncode()
        for _ in range(8):
            for path, token in (("/oauth/introspect", "x"), ("/oauth/revoke", "x"), ("/revocations", None)):
                assert ask(http, secret, path, token).status_code == 401
        log = server.logged()
    assert '"authn_token_revoked"' in log
    for hidden in (secret.rpartition(".")[2], given["token"], given["refresh_token"].rpartition(".")[2]):
        assert hidden not in log


def test_the_commands_of_the_page(tmp_path: Path) -> None:
    """Pasted one after the other, all of them do what the text says; and no token is an argument of curl's."""
    page = "\n".join(blocks("clients.md"))
    assert not re.search(r"\bcurl\b.*\$TOKEN", page)
    with watchword_server(tmp_path / "instance") as server:
        command = ("users", "add", "alice", "--password-stdin")
        watchword(*command, environ=server.environ, stdin=f"{PASSWORD}\n").check_returncode()
        token = httpx.post(f"{server.url}/login", json={"username": "alice", "password": PASSWORD}).json()["token"]
        text = page.replace("http://127.0.0.1:8000", server.url)
        said = paste(text, folder=tmp_path, environ={**server.environ, "TOKEN": token}).stdout
        assert httpx.get(f"{server.url}/me", headers={"Authorization": f"Bearer {token}"}).status_code == 401
        assert watchword("clients", "list", environ=server.environ).stdout == ""
    for told in ('{"active":true,', "HTTP/1.1 200", '"revocations":[', "watchword_request_seconds_count"):
        assert told in said
