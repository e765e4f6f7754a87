"""The service's own description, and whether an answer is as it says."""

import json
from collections.abc import Iterator
from typing import Any, cast

from jsonschema import Draft202012Validator, ValidationError
from quart import Response
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT202012

Seen = tuple[str, int, str]
"""An answer in short: the route, the status, and the word of an error or the kind of body."""

UNDESCRIBED = {
    "x-content-type-options",
    "referrer-policy",
    "content-security-policy",
    "content-type",  # the description has its own place for it
    "content-length",
    "connection",  # of the connection, not of the answer
}
TOO_LONG = 400


class Described:
    """A description, read.

    Args:
        document: as it is answered.
    """

    def __init__(self, document: bytes) -> None:
        self.members: dict[str, Any] = json.loads(document)
        resource = Resource.from_contents(self.members, default_specification=DRAFT202012)
        self._registry = Registry().with_resource("urn:description", resource)

    def routes(self) -> set[str]:
        """Method and path of each operation, spelled as in the route table."""
        return {
            f"{method.upper()} {path.replace('{', '<').replace('}', '>')}"
            for path, methods in self.members["paths"].items()
            for method in methods
        }

    def operation(self, route: str) -> Any:
        """The operation of a route, named by its method and its path."""
        method, path = route.split(" ")
        return self.members["paths"][path.replace("<", "{").replace(">", "}")][method.lower()]

    def promised(self) -> set[Seen]:
        """All answers that are described."""
        return {
            (route, int(status), word)
            for route in self.routes()
            for status, response in self.operation(route)["responses"].items()
            for word in self._words(response)
        }

    @staticmethod
    def _words(response: Any) -> list[str]:
        contents = list(response.get("content", {}).values())
        return [word for content in contents for word in content["examples"]] or [""]

    def check(self, schema: Any, value: object) -> None:
        """Hold a value against a schema of this description."""
        Draft202012Validator.check_schema(schema)
        for fault in self.faults(schema, value):
            raise fault

    def faults(self, schema: Any, value: object) -> Iterator[ValidationError]:
        """Why a value is not what a schema of this description says."""
        located = json.loads(json.dumps(schema).replace('"#/components/', '"urn:description#/components/'))
        yield from Draft202012Validator(located, registry=self._registry).iter_errors(value)

    async def fits(self, route: str, response: Response) -> Seen:
        """Hold an answer against what is said of its route: status, headers, body."""
        described = self.operation(route)["responses"][str(response.status_code)]
        sent = {name.lower(): value for name, value in response.headers}
        named = {name.lower(): self._header(each) for name, each in described["headers"].items()}
        assert sent.keys() - UNDESCRIBED <= named.keys(), route
        for name, header in named.items():
            assert name in sent or not header["required"], (route, name)
            if name in sent:
                number = header["schema"]["type"] == "integer"
                self.check(header["schema"], int(sent[name]) if number else sent[name])
        data = cast("bytes", await response.get_data())
        if "content" not in described:
            assert data == b"", route
            return route, response.status_code, ""
        ((media, content),) = described["content"].items()
        assert sent["content-type"] == media
        value: Any = json.loads(data) if media == "application/json" else data.decode()
        self.check(content["schema"], value)
        if response.status_code >= TOO_LONG:
            return route, response.status_code, value.get("code", value["error"])
        return route, response.status_code, self._word_of(content, value)

    def _word_of(self, content: Any, value: object) -> str:
        """Which of the examples an answer is like: the one whose schema fits it."""
        words: list[str] = list(content["examples"])
        kinds = content["schema"].get("anyOf", [content["schema"]])
        return next(word for word, kind in zip(words, kinds, strict=True) if not list(self.faults(kind, value)))

    def _header(self, header: Any) -> Any:
        reference = header.get("$ref")
        return header if reference is None else self.members["components"]["headers"][reference.rpartition("/")[2]]
