"""The description as one page for people: made of the OpenAPI document alone, without a script, from no other host."""

import json
import re
import shlex
from base64 import b64encode
from collections.abc import Iterator
from functools import cache
from hashlib import sha256
from importlib.resources import files
from typing import Any, Final
from urllib.parse import quote

from watchword.endpoints.openapi.parts import Schema
from watchword.endpoints.openapi.words import fields_of, kind_of, resolved
from watchword.markup import Markup, joined, tag

_STYLE: Final = files("watchword.endpoints.openapi").joinpath("page.css").read_text(encoding="utf-8")
_HASH: Final = b64encode(sha256(_STYLE.encode()).digest()).decode()

POLICY: Final = (
    f"default-src 'none'; style-src 'sha256-{_HASH}'; img-src data:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""The page's Content-Security-Policy: this style sheet and the icon in the page itself, and nothing else at all."""

_ICON: Final = (
    "<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 32 32'><rect width='32' height='32' rx='8' fill='#2f6f5e'/>"
    "<path d='M7 11l4 11 5-11 5 11 4-11' fill='none' stroke='#fff' stroke-width='3' stroke-linejoin='round' "
    "stroke-linecap='round'/></svg>"
)

_JSON_TOKEN: Final = re.compile(r'("(?:[^"\\]|\\.)*")(\s*:)?|-?\d+(?:\.\d+)?|true|false|null')
_FIRST_REFUSAL: Final = 400
_OF_EVERY_ANSWER: Final = {"#/components/headers/Cache-Control", "#/components/headers/X-Request-Id"}
_CALLERS: Final = {
    "bearer": "bearer of an access token",
    "client": "a client, by its secret",
    "service": "a service, by its token",
}
_CREDENTIALS: Final = {
    "bearer": '-H "Authorization: Bearer $TOKEN"',
    "client": '-u "$CLIENT:$SECRET"',
    "service": '-H @- <<< "Authorization: Bearer $SERVICE_TOKEN"',
}
"""How a shell says who calls, by security scheme; what begins with $ is the reader's.

All users of a machine see the arguments of its programs, and a service token lives for long. Of ``-u`` curl hides them.
"""


@cache
def page(document: bytes) -> bytes:
    """The page.

    Args:
        document: the OpenAPI document, as it is answered.
    """
    described = json.loads(document)
    info = described["info"]
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("title", f"{info['title']}: the HTTP interface"),
        tag("link", rel="icon", href=f"data:image/svg+xml,{quote(_ICON)}"),
        tag("style", Markup(_STYLE)),
    )
    body = tag(
        "body",
        tag("a", "Skip to the routes", href="#routes", class_="skip"),
        _contents(described),
        tag("main", _opening(described), *(_chapter(described, chapter) for chapter in described["tags"]), id="routes"),
    )
    return f"<!DOCTYPE html>\n{tag('html', head, body, lang='en')}\n".encode()


def _operations(described: Schema, chapter: str) -> Iterator[tuple[str, str, Schema]]:
    """Method, path and operation of each route of a chapter."""
    for path, methods in described["paths"].items():
        for method, operation in methods.items():
            if chapter in operation["tags"]:
                yield method.upper(), path, operation


def _contents(described: Schema) -> Markup:
    chapters = []
    for chapter in described["tags"]:
        links = (
            tag("li", tag("a", _method(method), tag("span", path), href=f"#{operation['operationId']}"))
            for method, path, operation in _operations(described, chapter["name"])
        )
        chapters += [tag("p", chapter["name"]), tag("ul", *links)]
    name = tag("p", tag("a", described["info"]["title"], href="#routes"), class_="brand")
    return tag("nav", name, *chapters, aria_label="Routes")


def _opening(described: Schema) -> Markup:
    info = described["info"]
    address = described["servers"][0]["url"]
    return tag(
        "header",
        tag("p", f"Version {info['version']} · ", tag("a", "openapi.json", href="openapi.json"), class_="eyebrow"),
        tag("h1", info["title"]),
        tag("p", info["summary"], class_="lead"),
        tag("p", "Served at ", tag("code", address)),
        *_paragraphs(info["description"]),
    )


def _chapter(described: Schema, chapter: Schema) -> Markup:
    operations = _operations(described, chapter["name"])
    return tag(
        "section",
        tag("h2", chapter["name"]),
        tag("p", chapter["description"], class_="lead"),
        *(_operation(described, method, path, operation) for method, path, operation in operations),
    )


def _operation(described: Schema, method: str, path: str, operation: Schema) -> Markup:
    name = operation["operationId"]
    responses = operation["responses"]
    good = {status: each for status, each in responses.items() if int(status) < _FIRST_REFUSAL}
    refused = {status: each for status, each in responses.items() if status not in good}
    who = next((_CALLERS[scheme] for each in operation["security"] for scheme in each), "anyone")
    said = tag(
        "div",
        tag("h3", operation["summary"], tag("a", "#", href=f"#{name}", aria_label=f"Link to {operation['summary']}")),
        tag("p", _method(method), tag("code", path), tag("span", who, class_="who"), class_="route"),
        *_paragraphs(operation["description"]),
        *_asked(described, operation),
        *(_answered(described, status, each) for status, each in good.items()),
        tag("h4", "Refusals"),
        *(_refused(described, status, each) for status, each in refused.items()),
        class_="said",
    )
    shown = tag(
        "div",
        _panel("Request", tag("code", _curl(described, method, path, operation), class_="all")),
        *(_example(status, each) for status, each in good.items()),
        class_="shown",
    )
    return tag("article", said, shown, id=name)


def _asked(described: Schema, operation: Schema) -> Iterator[Markup]:
    """What is sent: the parts of the address that vary, and the members of the body."""
    if operation["parameters"]:
        yield tag("h4", "In the address")
        rows = (
            (each["name"], kind_of(described, each["schema"], required=each["required"]), each["description"])
            for each in operation["parameters"]
        )
        yield _table(rows)
    for media, content in operation.get("requestBody", {}).get("content", {}).items():
        yield tag("h4", "Body ", tag("small", media))
        yield _table(fields_of(described, content["schema"]))


def _answered(described: Schema, status: str, response: Schema) -> Markup:
    contents = response.get("content", {}).items()
    tables = [
        _table(fields)
        for _, content in contents
        if (fields := list(fields_of(described, content["schema"], of_an_answer=True)))
    ]
    media = [tag("small", name) for name, _ in contents] or [tag("small", "no body")]
    heading = tag("h4", _status(status), " ", _prose(response["description"]), " ", *media)
    return joined(heading, *tables, *_told_headers(described, response))


def _told_headers(described: Schema, response: Schema) -> list[Markup]:
    """Headers that are this answer's own; the page's beginning tells of those of every answer."""
    headers = [
        tag("li", tag("code", name), " ", _value(resolved(described, header)))
        for name, header in response["headers"].items()
        if header.get("$ref") not in _OF_EVERY_ANSWER
    ]
    return [tag("ul", *headers, class_="headers")] if headers else []


def _value(header: Schema) -> Markup:
    values = header["schema"].get("enum")
    if values is None:
        return joined(header["description"])
    return joined(*[part for value in values for part in (" or ", tag("code", value))][1:])


def _refused(described: Schema, status: str, response: Schema) -> Markup:
    (content,) = response["content"].values()
    examples = content["examples"]
    heading = tag("summary", _status(status), *(tag("code", word) for word in examples))
    bodies = (tag("pre", _coloured(example["value"])) for example in examples.values())
    return tag("details", heading, *bodies, *_told_headers(described, response))


def _example(status: str, response: Schema) -> Markup:
    """The first example of an answer that has a body worth showing."""
    for content in response.get("content", {}).values():
        for example in content["examples"].values():
            value = example["value"]
            shown = tag("code", value) if isinstance(value, str) else _coloured(value)
            return _panel(f"Answer {status}", shown)
    return Markup()


def _panel(name: str, content: Markup) -> Markup:
    return tag("figure", tag("figcaption", name), tag("pre", content))


def _curl(described: Schema, method: str, path: str, operation: Schema) -> str:
    query = ""
    for each in operation["parameters"]:
        if each["in"] == "path":
            path = path.replace(f"{{{each['name']}}}", each["example"])
        else:
            query = f"?{each['name']}={each['example']}"
    address = shlex.quote(f"{described['servers'][0]['url']}{path}{query}")
    parts = [_CREDENTIALS[scheme] for each in operation["security"] for scheme in each]
    for media, content in operation.get("requestBody", {}).get("content", {}).items():
        if media == "application/json":
            parts.append(f"-H {shlex.quote(f'Content-Type: {media}')}")
            parts.append(f"-d {shlex.quote(json.dumps(content['example'], ensure_ascii=False))}")
        else:
            parts += [
                f"--data-urlencode {shlex.quote(f'{name}={value}')}" for name, value in content["example"].items()
            ]
    has_answer = any("content" in each for status, each in operation["responses"].items() if status == "200")
    flags = "" if has_answer else " -i"
    verb = "" if method == "GET" or "requestBody" in operation else f" -X {method}"
    return " \\\n  ".join([f"curl{flags}{verb} {address}", *parts])


def _table(rows: Any) -> Markup:
    cells = (tag("tr", tag("th", _name(name), scope="row"), tag("td", kind, *_rest(said))) for name, kind, said in rows)
    return tag("table", tag("tbody", *cells))


def _name(name: str) -> Markup:
    """A member's name, which may be broken where its words and its parts meet."""
    parts = re.split(r"(?<=[_.])", name)
    return tag("code", *[part for word in parts for part in (word, tag("wbr"))][:-1])


def _rest(said: str) -> list[Markup]:
    return [joined(" · ", _prose(said))] if said else []


def _method(method: str) -> Markup:
    return tag("b", method, class_=f"method {method.lower()}")


def _status(status: str) -> Markup:
    return tag("b", status, class_="status refused" if int(status) >= _FIRST_REFUSAL else "status")


def _coloured(value: Any) -> Markup:
    """JSON whose names, texts and other values can be told apart at a glance."""
    text = json.dumps(value, indent=2, ensure_ascii=False)
    parts: list[str] = []
    end = 0
    for token in _JSON_TOKEN.finditer(text):
        parts.append(text[end : token.start()])
        word, colon = token[1], token[2]
        kind = "n" if colon else "t" if word else "v"
        parts += [tag("i", word or token[0], class_=kind), colon or ""]
        end = token.end()
    return tag("code", *parts, text[end:])


def _paragraphs(text: str) -> list[Markup]:
    return [tag("p", _prose(part)) for part in text.split("\n\n")]


def _prose(text: str) -> Markup:
    """Text in which `code` is marked; what stands between two backticks is every second part."""
    parts = re.split("`+", text)
    return joined(*(tag("code", part) if number % 2 else part for number, part in enumerate(parts)))
