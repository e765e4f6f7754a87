"""Read a request's JSON body, once and strictly, into the named fields of a struct."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Final, TypeVar, cast

import msgspec
from quart import request
from werkzeug.http import parse_options_header

from watchword import strictjson
from watchword.errors import InvalidRequest, UnsupportedMediaType
from watchword.passwords.text import MAX_CODE_POINTS

T = TypeVar("T")

WITHOUT_NUL: Final = {"pattern": r"^[^\u0000]*$"}
"""What ``strictjson`` has seen to in names and texts everywhere, for whoever describes it."""

Text = Annotated[str, msgspec.Meta(min_length=1, extra_json_schema=WITHOUT_NUL)]
"""A field that must not be empty."""

Password = Annotated[Text, msgspec.Meta(extra_json_schema={"maxLength": MAX_CODE_POINTS})]
"""A password, present or new; ``passwords.text`` holds it to its length."""

MOST_OF_A_LABEL: Final = 256
"""Characters that a Content-Type may have: to take apart as many parameters as fit into a head takes milliseconds."""

_MOST_BRACKETS: Final = 2 * MAX_CODE_POINTS + 64
"""That open an object or a list, or are in a text, as can be told at a glance: two passwords may be nothing else. To
make as many objects as fit into a body takes ten milliseconds."""

_JSON: Final = "application/json"


async def read_body(kind: type[T]) -> T:
    """The body of the request that Quart is handling, as a struct.

    Raises:
        UnsupportedMediaType: it is not labelled as ``check_label`` asks.
        InvalidRequest: it cannot be read as ``read_struct`` reads.
        RequestEntityTooLarge: it is longer than MAX_CONTENT_LENGTH; raised by Quart.
    """
    check_label(request.headers.getlist("Content-Type"), is_compressed="Content-Encoding" in request.headers)
    return read_struct(cast("bytes", await request.get_data()), kind)


def check_label(labels: Sequence[str], *, is_compressed: bool) -> None:
    """Look at what a body is said to be: a browser form of another site can send text/plain without asking anybody.

    Args:
        labels: all Content-Type header fields.
        is_compressed: whether there is a Content-Encoding.

    Raises:
        UnsupportedMediaType: not JSON in UTF-8, or compressed.
    """
    if is_compressed:
        raise UnsupportedMediaType("compressed")
    if len(labels) != 1:
        raise UnsupportedMediaType("not one label")
    if labels[0] == _JSON:  # what nearly all send needs no parser
        return
    if len(labels[0]) > MOST_OF_A_LABEL:
        raise UnsupportedMediaType("too long a label")
    mimetype, parameters = parse_options_header(labels[0])
    if mimetype.lower() != _JSON:
        raise UnsupportedMediaType("not application/json")
    if not is_utf8(labels[0], parameters):
        raise UnsupportedMediaType("not UTF-8")


def is_utf8(label: str, parameters: Mapping[str, str]) -> bool:
    """Whether a Content-Type names no other charset; one that cannot be read as a parameter is another one."""
    unread = "" if "charset" in label.lower() else "utf-8"
    return parameters.get("charset", unread).lower() == "utf-8"


def read_struct(data: bytes, kind: type[T]) -> T:
    """A body as a struct; members that the struct does not have are passed over.

    Raises:
        InvalidRequest: not JSON in the sense of ``strictjson``, not an object, a field missing or of another type.
    """
    if data.count(b"{") + data.count(b"[") > _MOST_BRACKETS:
        raise InvalidRequest("The body has too many brackets")
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
