"""A verdict in pictures: a self-contained page, the same small piece in a terminal, and space-time diagrams.

    page(history, verdict)    a page to open in a browser, to mail, to print; it fetches nothing from anywhere
    text(history, verdict)    the same for a terminal
    space_time.diagram(...)   nodes as lanes, messages as arrows: for runs of which one knows the messages

What is drawn is decided in `drawing`, how it is said in `words`; `page.*` beside this file are the page's own
parts, which `html` joins.  Nothing here judges: what cannot be is the checker's to find.
"""
from __future__ import annotations

from agreed.check.explain.html import page
from agreed.check.explain.plain import text

__all__ = ["page", "text"]
