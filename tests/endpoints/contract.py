"""What every answer of the service has, whatever it says (``docs/http.md``)."""

import json
import re
from typing import Any, cast

from quart import Response
from quart.typing import TestClientProtocol
from werkzeug.wrappers import Response as WerkzeugResponse

COMMON = {
    "cache-control": "no-store",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
    "content-type": "application/json",
}
BARE = 'Bearer realm="watchword"'
INVALID = f'{BARE}, error="invalid_token"'
BASIC = 'Basic realm="watchword"'


async def ask(
    client: TestClientProtocol, method: str, path: str, headers: dict[str, str] | None = None, data: str = ""
) -> Response:
    """Send a request by any method."""
    # The protocol asks for a ``json`` that the client itself does not.
    return await client.open(path, method=method, headers=headers, data=data)  # type: ignore[call-arg]


async def opened(response: Response | WerkzeugResponse, **changes: str) -> Any:
    """The members of an answer whose headers are exactly the contract's.

    Args:
        response: the answer.
        changes: further headers, or other values than the common ones; _ stands for -.
    """
    assert isinstance(response, Response)
    data = cast("bytes", await response.get_data())
    expected = {**COMMON, **{name.replace("_", "-"): value for name, value in changes.items()}}
    check(dict(headers_of(response)), expected, data)
    return json.loads(data)


async def refused(response: Response | WerkzeugResponse, **changes: str) -> tuple[int, str]:
    """Status and code of an error answer that is in every other respect as the contract says."""
    members = await opened(response, **changes)
    assert list(members) == ["error", "code", "request_id"]
    assert members["error"]
    assert members["request_id"] == response.headers["X-Request-Id"]
    return response.status_code, members["code"]


async def oauth_refused(response: Response | WerkzeugResponse, **changes: str) -> tuple[int, str]:
    """Status and error of an answer under /oauth/, with the body of RFC 6749 §5.2 and nothing else."""
    members = await opened(response, **changes)
    assert list(members) == ["error", "error_description"]
    assert re.fullmatch(r"[\x20\x21\x23-\x5b\x5d-\x7e]+", members["error_description"])
    return response.status_code, members["error"]


def headers_of(response: Response | WerkzeugResponse) -> list[tuple[str, str]]:
    """All headers by lower-case name, each sent once."""
    headers = [(name.lower(), value) for name, value in response.headers]
    assert len({name for name, _ in headers}) == len(headers)
    return headers


def check(headers: dict[str, str], expected: dict[str, str], body: bytes) -> None:
    """Compare headers, of which two differ from answer to answer."""
    request_id, length = headers.pop("x-request-id"), headers.pop("content-length")
    assert headers == expected
    assert re.fullmatch(r"[A-Za-z0-9_-]{22}", request_id)
    assert int(length) == len(body)
