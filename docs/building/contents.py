"""The table of contents, made of the links of pages that are lists of others.

`docs/index.md` is a list of links under headings, and reads well as such.  The site wants to be told the same
once more, in its own words (`toctree`); those are made here, and not shown on the page.

A page that no list names would be built and never found: `tests/test_site.py` looks for them.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator

INDEX = "docs/index"

LISTS = (INDEX, "docs/decisions/README", "docs/api/index")
"""Pages that are lists.  The first has parts, the others name the pages beside them."""

_LINK = re.compile(r"\[([^\]\n]+)\]\((?!https?:)([^)#\s]+)\.md(?:#[^)\s]*)?\)")


def entries(page: str, text: str) -> list[tuple[str, str]]:
    """What a piece of `page` links to, each page once: (how it is called there, page)."""
    found: dict[str, str] = {}
    for name, target in _LINK.findall(text):
        there = posixpath.normpath(posixpath.join(posixpath.dirname(page), target))
        found.setdefault(there, name.replace("`", ""))
    return [(name, there) for there, name in found.items()]


def parts(page: str, text: str) -> Iterator[tuple[str, list[tuple[str, str]]]]:
    """Heading, and what is linked below it.  A page that two parts name belongs to the first."""
    known = {page}
    pieces = re.split(r"^## +(.+)$", text, flags=re.MULTILINE) if page == INDEX else ["", "", text]
    for heading, piece in zip(pieces[1::2], pieces[2::2], strict=True):
        linked = [(name, there) for name, there in entries(page, piece) if there not in known]
        if page != INDEX:
            linked = [each for each in linked if posixpath.dirname(each[1]) == posixpath.dirname(page)]
        known |= {there for _, there in linked}
        yield heading, linked


def with_contents(page: str, text: str) -> str:
    """The page with its table of contents at its end, in which the site looks for it."""
    if page not in LISTS:
        return text
    for heading, linked in parts(page, text):
        caption = f":caption: {heading}\n" if heading else ""
        lines = "\n".join(f"{name} </{there}>" for name, there in linked)
        text += f"\n```{{toctree}}\n:hidden:\n{caption}\n{lines}\n```\n"
    return text
