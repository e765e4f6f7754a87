"""Elements of HTML and SVG as text that is always well-formed and always escaped."""

from html import escape
from typing import Final

_VOID: Final = frozenset({"link", "meta", "wbr"})


class Markup(str):
    """Text that is markup already; every other text is escaped when an element takes it in."""

    __slots__ = ()


def tag(name: str, /, *children: str, **attributes: object) -> Markup:
    """An element.

    Args:
        name: the element's.
        children: elements, which stay as they are, and text, which is escaped.
        attributes: None leaves one out; ``class_`` is class, and other underscores are hyphens.
    """
    given = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{escape(_text(value))}"'
        for key, value in attributes.items()
        if value is not None
    )
    if name in _VOID:
        return Markup(f"<{name}{given}/>")
    return Markup(f"<{name}{given}>{joined(*children)}</{name}>")


def joined(*children: str) -> Markup:
    """Elements and texts one after the other."""
    return Markup("".join(child if isinstance(child, Markup) else escape(child, quote=False) for child in children))


def _text(value: object) -> str:
    return f"{value:.2f}".rstrip("0").rstrip(".") if isinstance(value, float) else str(value)
