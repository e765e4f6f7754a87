"""Read the one parameter that some of our addresses may have behind the question mark."""

from typing import Final

from quart import request

from watchword.errors import InvalidRequest

_MOST: Final = 256
"""Bytes of a query: to take apart as many parameters as fit into a head takes tens of milliseconds."""


def sent(name: str) -> list[str]:
    """What the query of the request gives a parameter, each time that it is there.

    Raises:
        InvalidRequest: it is longer than one with our parameters would be.
    """
    if len(request.query_string) > _MOST:
        raise InvalidRequest(f"The query must have at most {_MOST} bytes")
    return request.args.getlist(name)
