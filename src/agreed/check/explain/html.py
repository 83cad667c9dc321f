"""One page that needs nothing else: the parts that lie beside this file, and the drawing, joined.

The page fetches nothing and says so to the browser (its Content-Security-Policy allows no source), so it can
be opened from anywhere.  What clients wrote is data in it, never markup: the JSON is kept from ending its own
element, and everything else is escaped.
"""
from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from html import escape
from importlib.resources import files

import msgspec

from agreed.check.explain.drawing import draw
from agreed.check.explain.plain import text
from agreed.check.history import History
from agreed.check.verdict import Verdict

STYLES = ("colors.css", "page.css")
SCRIPTS = ("marks.js", "layout.js", "chart.js", "cycle.js", "details.js", "page.js", "controls.js")


def page(history: History, verdict: Verdict, title: str = "") -> str:
    """HTML that draws `verdict` on `history`; `title` stands above it, else what was judged does."""
    title = title or verdict.judged
    data = msgspec.json.encode(draw(history, verdict, title)).decode()
    return filled(
        part("page.html"),
        {
            "title": escape(title),
            "style": "\n".join(part(name) for name in STYLES),
            "script": "\n".join(part(name) for name in SCRIPTS),
            "data": data.replace("<", "\\u003c"),
            "text": escape(text(history, verdict)),
        },
    )


@cache
def part(name: str) -> str:
    """A file of this package.  It came with the code and is read like the code, through the import system."""
    return files(__package__).joinpath(name).read_text(encoding="utf-8")


def filled(template: str, parts: Mapping[str, str]) -> str:
    """`template` with each {{name}} replaced, once: what is put in is not looked at again."""
    return re.sub(r"\{\{(\w+)\}\}", lambda found: parts[found[1]], template)
