"""HTML as values: an element escapes every text and attribute it is given, so that no page can forget to.

Names, labels and addresses on pages come from outside. Only what `el` and `doctype` made goes in unescaped; there is no way
to mark a text as safe.
"""

from collections.abc import Iterable
from html import escape
from typing import TypeAlias

VOID = frozenset({"br", "hr", "img", "input", "link", "meta"})
URL_ATTRIBUTES = frozenset({"href", "src", "action"})
SAFE_URLS = ("/", "#", "https://", "http://")
"""How an address on a page may begin: a scheme such as `javascript:` never."""


class Html:
    """A piece of finished HTML."""

    __slots__ = ("text",)

    def __init__(self, text: str) -> None:
        self.text = text

    def __repr__(self) -> str:
        return f"Html({self.text[:60]!r})"


Child: TypeAlias = "str | int | Html | Iterable[Child] | None"
Attribute: TypeAlias = str | int | bool | None


def el(tag: str, *children: Child, **attributes: Attribute) -> Html:
    """An element. `class_` and `for_` lose their underscore, others become dashes; None and False leave an attribute out."""
    names = "".join(_attribute(name, value) for name, value in attributes.items())
    if tag in VOID:
        return Html(f"<{tag}{names}>")
    return Html(f"<{tag}{names}>{''.join(_pieces(children))}</{tag}>")


def _attribute(name: str, value: Attribute) -> str:
    name = name.rstrip("_").replace("_", "-")
    if value is None or value is False:
        return ""
    if value is True:
        return f" {name}"
    text = str(value)
    if name in URL_ATTRIBUTES and (not text.startswith(SAFE_URLS) or text.startswith("//")):
        raise ValueError(f"{name} does not begin as a page's address may: {text[:40]!r}")
    return f' {name}="{escape(text)}"'


def _pieces(children: Iterable[Child]) -> Iterable[str]:
    for child in children:
        if child is None:
            continue
        if isinstance(child, Html):
            yield child.text
        elif isinstance(child, str | int):
            yield escape(str(child))
        else:
            yield from _pieces(child)


def doctype(root: Html) -> str:
    """A whole page."""
    return f"<!doctype html>\n{root.text}\n"
