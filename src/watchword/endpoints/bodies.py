"""Read a request's JSON body, once and strictly, into the named fields of a struct."""

from typing import Annotated, TypeVar, cast

import msgspec
from quart import request

from watchword import strictjson
from watchword.errors import InvalidRequest, UnsupportedMediaType

T = TypeVar("T")

Text = Annotated[str, msgspec.Meta(min_length=1)]
"""A field that must not be empty."""


async def read_body(kind: type[T]) -> T:
    """The body as a struct; members that the struct does not have are passed over.

    Raises:
        UnsupportedMediaType: not labelled as JSON in UTF-8, or compressed. A browser form of another site can send
            text/plain without asking anybody, so the label is part of the contract.
        InvalidRequest: not JSON in the sense of ``strictjson``, not an object, a field missing or of another type.
        RequestEntityTooLarge: longer than MAX_CONTENT_LENGTH; raised by Quart.
    """
    _check_label()
    data = cast("bytes", await request.get_data())
    try:
        members = strictjson.loads(data)
    except ValueError as fault:
        raise InvalidRequest(f"The body is not a JSON object: {fault}") from None
    if not isinstance(members, dict):
        raise InvalidRequest("The body is not a JSON object")
    try:
        return msgspec.convert(members, kind)
    except msgspec.ValidationError as fault:
        raise InvalidRequest(f"The body does not fit: {fault}") from None


def _check_label() -> None:
    labels = request.headers.getlist("Content-Type")
    if len(labels) != 1 or request.mimetype != "application/json":
        raise UnsupportedMediaType("not application/json")
    if request.mimetype_params.get("charset", "utf-8").lower() != "utf-8":
        raise UnsupportedMediaType("not UTF-8")
    if "Content-Encoding" in request.headers:
        raise UnsupportedMediaType("compressed")
