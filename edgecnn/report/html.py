"""HTML and SVG from Python: text is escaped unless it says that it is markup.

Class names, file names and notes come from files that somebody else made.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterable
from typing import TypeAlias


class Html(str):
    """Text that is markup already; only `tag`, `join` and the page's own files make it."""

    __slots__ = ()


Value: TypeAlias = "str | float | bool | None"

_VOID = frozenset({"meta", "img", "br", "link", "hr", "col"})
# Control characters are no HTML, half a surrogate pair is no Unicode (a file name in another
# encoding has some), and the direction overrides would reorder the text that follows.
_UNSAFE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\u202a-\u202e\u2066-\u2069\ufffe\uffff]"
)

# Between two parts of a name, but not within an entity such as ``&#x27;``.
_JOINT = re.compile(r"(?<=\w)([-_])(?=\w)")
_BEFORE_UNIT = re.compile(r"(?<=\d) (?=%|(?:m?s|[kMG]?B|dB|points?)\b)")


def escape(text: str) -> Html:
    """Return text as markup; markup stays as it is."""
    if isinstance(text, Html):
        return text
    return Html(html.escape(_UNSAFE.sub("\ufffd", text)))


def tag(name: str, /, *children: str | Iterable[str], **attributes: Value) -> Html:
    """Build an element; plain text in it is escaped.

    Args:
        name: The element's name.
        children: Text, markup, or lists of them.
        attributes: A trailing underscore is dropped (``class_``), others become hyphens;
            True stands alone, False and None leave the attribute out.
    """
    head = f"<{name}{''.join(_attribute(key, value) for key, value in attributes.items())}>"
    return Html(head) if name in _VOID else Html(f"{head}{join(*children)}</{name}>")


def named(text: str) -> Html:
    """Return a name that may break after its hyphens and underscores, and nowhere else."""
    return tag("span", breakable(text), class_="name")


def breakable(text: str) -> Html:
    """Return text in which long file names may break where their parts do, and figures not."""
    return Html(_JOINT.sub(r"\1<wbr>", escape(unbroken(text))))


def unbroken(text: str) -> str:
    """Return text that breaks between no figure and its unit."""
    return _BEFORE_UNIT.sub("\u00a0", text)


def join(*parts: str | Iterable[str]) -> Html:
    """Put text and markup one after the other."""
    return Html("".join(escape(p) if isinstance(p, str) else join(*p) for p in parts))


def _attribute(key: str, value: Value) -> str:
    name = key.rstrip("_").replace("_", "-")
    if value is None or value is False:
        return ""
    if value is True:
        return f" {name}"
    text = f"{value:.6g}" if isinstance(value, float) else str(value)
    return f' {name}="{escape(text)}"'
