"""Read a request's form, once and strictly, into the named fields of a struct (RFC 6749 §3.2)."""

import re
from typing import Final, TypeVar, cast
from urllib.parse import unquote_plus

import msgspec
from quart import request

from watchword.endpoints.bodies import MOST_OF_A_LABEL, is_utf8
from watchword.errors import InvalidRequest

T = TypeVar("T")

_MOST_FIELDS: Final = 32
"""To take apart as many as fit into a body takes tens of milliseconds."""
_ENCODED: Final = re.compile(rb"(?:[!-$&-~]|%[0-9A-Fa-f]{2})*")


async def read_form(kind: type[T]) -> T:
    """The form as a struct; fields that the struct does not have are passed over.

    Raises:
        InvalidRequest: not labelled as a form in UTF-8, or compressed; malformed; a field is sent twice or missing; or
            there is a query, which would stand in the logs of everything in between (RFC 6749 §3.2 wants none there).
        RequestEntityTooLarge: longer than MAX_CONTENT_LENGTH; raised by Quart.
    """
    _check_label()
    data = cast("bytes", await request.get_data())
    if request.query_string:
        raise InvalidRequest("Parameters belong in the body, never in the address")
    try:
        return msgspec.convert(_fields(data), kind)
    except msgspec.ValidationError as fault:
        raise InvalidRequest(f"The body does not fit: {fault}") from None


def _check_label() -> None:
    labels = request.headers.getlist("Content-Type")
    if (
        len(labels) != 1
        or len(labels[0]) > MOST_OF_A_LABEL
        or request.mimetype != "application/x-www-form-urlencoded"
        or not is_utf8(labels[0], request.mimetype_params)
        or "Content-Encoding" in request.headers
    ):
        raise InvalidRequest("The body must be application/x-www-form-urlencoded in UTF-8")


def _fields(data: bytes) -> dict[str, str]:
    """The fields that have a value; an empty one counts as left out."""
    if not _ENCODED.fullmatch(data):
        raise InvalidRequest("The body is not a form")
    if data.count(b"&") >= _MOST_FIELDS:
        raise InvalidRequest(f"The body must have at most {_MOST_FIELDS} parameters")
    fields: dict[str, str] = {}
    for pair in filter(None, data.decode("ascii").split("&")):
        try:
            name, value = (unquote_plus(part, errors="strict") for part in pair.partition("=")[::2])
        except UnicodeDecodeError:
            raise InvalidRequest("The body is not UTF-8") from None
        if name in fields:
            raise InvalidRequest("A parameter is sent more than once")
        fields[name] = value
    return {name: value for name, value in fields.items() if value}
