"""JSON schemas in words: what the members of a body are, for the page."""

from collections.abc import Iterator
from typing import Final

from watchword.endpoints.openapi.parts import Schema

Field = tuple[str, str, str]
"""A member's name with those that it is in, its kind, and what else is said of it."""

_KINDS: Final = {"string": "text", "integer": "whole number", "boolean": "true or false", "object": "object"}


def fields_of(described: Schema, schema: Schema, *, of_an_answer: bool = False, within: str = "") -> Iterator[Field]:
    """The members of an object, and of the objects in it; of several kinds the first.

    Args:
        described: the OpenAPI document.
        schema: the object's.
        of_an_answer: whether a member that may be missing is worth a word; in a request one that must be there is.
        within: the names before.
    """
    schema = resolved(described, schema.get("anyOf", [schema])[0])
    required = set(schema.get("required", ()))
    for name, member in schema.get("properties", {}).items():
        path = f"{within}{name}"
        yield path, kind_of(described, member, required=name in required, of_an_answer=of_an_answer), _said(member)
        items = member.get("items")
        if items is not None:
            for kind in items.get("anyOf", [items])[:1]:
                yield from fields_of(described, kind, of_an_answer=of_an_answer, within=f"{path}[].")


def kind_of(described: Schema, schema: Schema, *, required: bool, of_an_answer: bool = False) -> str:
    """A value's kind and bounds, and whether it must be there."""
    schema = resolved(described, schema)
    if "const" in schema:
        kind = str(schema["const"]).lower()
    elif "enum" in schema:
        kind = " or ".join(f"“{value}”" for value in schema["enum"])
    elif schema.get("type") == "array":
        kind = "list of several kinds, of which this is the first" if "anyOf" in schema["items"] else "list"
    else:
        kind = _KINDS.get(schema.get("type", ""), "value")
    words = [kind]
    least, most = schema.get("minLength"), schema.get("maxLength")
    if most is not None:
        words.append(f"{least or 0:,} to {most:,} characters")
    elif least is not None and least > 1:
        words.append(f"at least {least:,} characters")
    elif least == 1 and not of_an_answer:
        words.append("not empty")
    if schema.get("default"):
        words.append(f"“{schema['default']}” where left out")
    elif required and not of_an_answer:
        words.append("required")
    elif not required and of_an_answer:
        words.append("where there is one")
    return ", ".join(words)


def _said(schema: Schema) -> str:
    said: str = schema.get("description", "")
    return said


def resolved(described: Schema, member: Schema) -> Schema:
    """A member of the document, or what it refers to."""
    if "$ref" not in member:
        return member
    _, components, kind, name = member["$ref"].split("/")
    found: Schema = described[components][kind][name]
    return found
