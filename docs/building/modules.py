"""What stands in a module, shown below the page that names it.

A page in `docs/api` is a list of modules, one each line, with a few words:

    * `agreed.recipes.lock`: one at a time, or many readers

On the site each of them has its classes and functions further down, from their docstrings.
"""

from __future__ import annotations

import re

PLACE = "docs/api/"

_NAMED = re.compile(r"^\* `(agreed[\w.]*)`", re.MULTILINE)


def named(text: str) -> list[str]:
    """The modules that a page lists."""
    return _NAMED.findall(text)


def with_modules(page: str, text: str) -> str:
    if not page.startswith(PLACE):
        return text
    for module in named(text):
        text += f"\n## `{module}`\n\n```{{eval-rst}}\n.. automodule:: {module}\n```\n"
    return text
