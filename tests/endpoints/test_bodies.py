"""Bodies that are not a JSON object of two strings: refused in one shape, before any work, and nothing breaks."""

import json
import shutil
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from quart.typing import TestClientProtocol as Client  # under its own name pytest would take it for tests
from werkzeug.datastructures import Headers

from tests.builders import PASSWORD, add_user, cheap_settings
from tests.endpoints.contract import ask, refused
from watchword import create_app
from watchword.app import start_tools
from watchword.clock import system_clock
from watchword.endpoints import MAX_BODY_BYTES
from watchword.instruments import build_tools

GOOD = json.dumps({"username": "alice", "password": PASSWORD}).encode()
JSON = "application/json"
NOT_STRINGS = ("null", "true", "false", "0", "1.5", "[]", "{}", '["x"]', '{"x": "y"}', '""')


@pytest.fixture(scope="module")
async def client(sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Client]:
    """A client of one service for all these tests: whatever was sent before, it has to be as good as new."""
    instance = tmp_path_factory.mktemp("bodies")
    database = shutil.copy(sqlite_template, instance / "watchword.db")
    settings = cheap_settings(instance=instance, database_url=f"sqlite:///{database}")
    app = create_app(settings)
    async with app.test_app(), AsyncExitStack() as running:
        tools = build_tools(settings, clock=system_clock)
        await start_tools(tools, settings, running)
        await add_user(tools)
        yield app.test_client()


def with_password(text: str) -> bytes:
    """A body with a JSON text, right or wrong, in the place of the password."""
    return b'{"username": "alice", "password": %s}' % text.encode()


UNREADABLE = {
    **{f"a username of {text}": b'{"username": %s, "password": "x"}' % text.encode() for text in NOT_STRINGS},
    **{f"a password of {text}": with_password(text) for text in NOT_STRINGS},
    "no username": b'{"password": "x"}',
    "no password": b'{"username": "alice"}',
    "an empty object": b"{}",
    "names in capitals": b'{"Username": "alice", "Password": "x"}',
    "an array": b"[%s]" % GOOD,
    "a string": b'"alice"',
    "a number": b"1",
    "null": b"null",
    "nothing": b"",
    "spaces": b" " * 10,
    "a second object": GOOD + GOOD,
    "cut": GOOD[:-1],
    "single quotes": b"{'username': 'alice', 'password': 'x'}",
    "a comma too many": b'{"username": "alice", "password": "x",}',
    "a comment": b'/* */ {"username": "alice", "password": "x"}',
    "a form": b"username=alice&password=x",
    "username twice": b'{"username": "bob", "username": "alice", "password": "x"}',
    "password twice": b'{"username": "alice", "password": "x", "password": "y"}',
    "username twice, once escaped": b'{"username": "alice", "\\u0075sername": "bob", "password": "x"}',
    "a member twice inside": b'{"username": "alice", "password": "x", "more": {"a": 1, "a": 2}}',
    "arrays in arrays": with_password("[" * 1000 + "]" * 1000),
    "objects in objects": with_password('{"a":' * 1000 + "1" + "}" * 1000),
    "arrays without end": b"[" * 16_000,
    "objects without end": b'{"a":' * 3_000,
    "deep in a member that nobody asked for": b'{"username": "alice", "password": "x", "z": '
    + b"[" * 100
    + b"]" * 100
    + b"}",
    "thousands of objects": b'{"username": "alice", "password": "x", "z": [' + b"{}," * 2_200 + b"{}]}",
    "NaN": with_password("NaN"),
    "Infinity": with_password("-Infinity"),
    "beyond a double": with_password("1e999"),
    "a long integer": with_password("1" * 5_000),
    "a long integer that nobody asked for": b'{"username": "alice", "password": "x", "z": ' + b"1" * 5_000 + b"}",
    "not UTF-8": with_password('"x"').replace(b"x", b"\xff"),
    "an overlong slash": with_password('"x"').replace(b"x", b"\xc0\xaf"),
    "a surrogate in UTF-8": with_password('"x"').replace(b"x", b"\xed\xa0\x80"),
    "UTF-16": GOOD.decode().encode("utf-16"),
    "UTF-16 without a mark": GOOD.decode().encode("utf-16-le"),
    "UTF-32": GOOD.decode().encode("utf-32"),
    "a byte order mark": b"\xef\xbb\xbf" + GOOD,
    "a lone surrogate": with_password('"\\ud800"'),
    "a lone surrogate in the name": b'{"username": "\\udc00", "password": "x"}',
    "NUL": with_password('"a\\u0000b"'),
    "NUL in the name": b'{"username": "alice\\u0000", "password": "x"}',
    "NUL in a member's name": b'{"username": "alice", "password": "x", "\\u0000": 1}',
    "a raw control": with_password('"a\nb"'),
    "a raw NUL": with_password('"a\x00b"'),
}

OTHER_LABELS = {
    "none": [],
    "empty": [""],
    "text": ["text/plain"],
    "a form": ["application/x-www-form-urlencoded"],
    "multipart": ["multipart/form-data; boundary=x"],
    "another JSON": ["application/vnd.x+json"],
    "JSON text": ["text/json"],
    "JSON sequence": ["application/json-seq"],
    "a prefix": ["application/jsonp"],
    "UTF-16": ["application/json; charset=utf-16"],
    "Latin": ["application/json; charset=iso-8859-1"],
    "UTF-16 behind a blank": ["application/json; charset = utf-16"],
    "a charset without its end": ['application/json; charset="utf-16'],
    "no charset": ["application/json; charset="],
    "a charset beyond ASCII": ["application/json;Charset=\xff"],
    "two alike": [JSON, JSON],
    "two, the other second": [JSON, "text/plain"],
    "two, the other first": ["text/plain", JSON],
    "two in one": ["application/json, text/plain"],
    "no type at all": ["json"],
    "beyond ASCII": ["application/\xffjson"],
    "longer than anybody reads": [JSON + ";a=b" * 62],
}  # fmt: skip

SAME_LABEL = (
    "application/json",
    "APPLICATION/JSON",
    "application/json; charset=utf-8",
    'application/json;charset="UTF-8"',
    "application/json" + ";a=b" * 60,
)


async def still_works(client: Client) -> bool:
    """Whether a good login is good after whatever came before."""
    response = await client.post("/login", data=GOOD, headers={"Content-Type": JSON})
    return response.status_code == 200


async def test_a_password_may_be_all_brackets(client: Client) -> None:
    """They are no objects: it is read, and is not alice's."""
    body = json.dumps({"username": "alice", "password": "{[" * 512})
    response = await client.post("/login", data=body, headers={"Content-Type": JSON})
    assert response.status_code == 401


@pytest.mark.parametrize("kind", UNREADABLE)
async def test_an_unreadable_body(client: Client, kind: str) -> None:
    """400 in the one shape of errors, whose sentence repeats nothing of the body (rows 9, 10, 20 to 26)."""
    response = await client.post("/login", data=UNREADABLE[kind], headers={"Content-Type": JSON})
    assert await refused(response) == (400, "invalid_request")
    assert "alice" not in await response.get_data(as_text=True)
    assert await still_works(client)


@pytest.mark.parametrize("kind", OTHER_LABELS)
async def test_a_body_of_another_type(client: Client, kind: str) -> None:
    """A good body under another label is 415, so that no form of a foreign page can log in (row 27)."""
    headers = Headers([("Content-Type", label) for label in OTHER_LABELS[kind]])
    response = await client.post("/login", data=GOOD, headers=headers)
    assert await refused(response) == (415, "unsupported_media_type")
    assert await still_works(client)


@pytest.mark.parametrize("coding", ["gzip", "deflate", "br", "gzip, gzip", "", "x"])
async def test_a_compressed_body(client: Client, coding: str) -> None:
    """A Content-Encoding is 415, be it true or not (row 27)."""
    headers = {"Content-Type": JSON, "Content-Encoding": coding}
    assert await refused(await client.post("/login", data=GOOD, headers=headers)) == (415, "unsupported_media_type")


@pytest.mark.parametrize("label", SAME_LABEL)
async def test_json_in_other_words(client: Client, label: str) -> None:
    """The label has no case, and saying that JSON is UTF-8 changes nothing."""
    assert (await client.post("/login", data=GOOD, headers={"Content-Type": label})).status_code == 200


async def test_the_cap_is_exact(client: Client) -> None:
    """A body of just the cap is read, one of a byte more is 413 (row 28)."""
    for size, status in ((MAX_BODY_BYTES, 200), (MAX_BODY_BYTES + 1, 413)):
        response = await client.post("/login", data=GOOD.ljust(size), headers={"Content-Type": JSON})
        assert response.status_code == status
    assert await refused(response) == (413, "payload_too_large")
    assert await still_works(client)


async def test_a_body_where_none_is_asked_for(client: Client) -> None:
    """A body that no view reads harms nothing, however large."""
    response = await ask(client, "GET", "/healthz", data="x" * 100_000)
    assert response.status_code == 200
