"""GET /openapi.json and /docs: the interface described for programs and for people.

The description is made when it is first asked for, and kept: most processes are never asked. As that takes some 30 ms,
it is made in a thread, so that no other request waits for it; in one of its own, so that it waits for no slow view of a
program that has ours beside its own.
"""

from functools import partial
from typing import Final

from quart import Response

from watchword.flows import Tools
from watchword.threads import Threads

_THREAD: Final = Threads(1, name="docs")


async def openapi_json(tools: Tools) -> Response:
    """The OpenAPI document."""
    return Response(await _THREAD.run(partial(_document, tools)), content_type="application/json")


async def docs(tools: Tools) -> Response:
    """The same as a page."""
    policy, page = await _THREAD.run(partial(_page, tools))
    headers = {"Content-Security-Policy": policy}
    return Response(page, headers=headers, content_type="text/html; charset=utf-8")


def _page(tools: Tools) -> tuple[str, bytes]:
    from watchword.endpoints.openapi.page import POLICY, page

    return POLICY, page(_document(tools))


def _document(tools: Tools) -> bytes:
    from watchword.endpoints.openapi import document

    return document(issuer=tools.profile.issuer, password_min_length=tools.password_rules.min_length)
