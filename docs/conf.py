"""The site that `make docs` builds of the pages here, of README.md and of its neighbours.

The pages are plain Markdown, to be read as they are.  What a site needs besides, its table of contents and
the reference of modules, is added while it is built (`building/`), so that no page has to be written twice.
"""

from __future__ import annotations

import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE)]

from building import contents, docstrings, modules  # noqa: E402
from sphinx.application import Sphinx  # noqa: E402

from agreed.version import VERSION  # noqa: E402

project = "agreed"
release = version = VERSION
html_title = f"agreed {VERSION}"
html_theme = "furo"
html_show_sphinx = False
html_copy_source = False

extensions = ["myst_parser", "sphinx.ext.autodoc"]

root_doc = contents.INDEX
include_patterns = ["*.md", "docs/**.md"]
exclude_patterns = [".*", "src", "tests", "tools", "bench", "demo", "build"]

highlight_language = "text"
myst_heading_anchors = 4

# A third of the time that the site takes, for nothing that a reader would miss.
autodoc_use_type_comments = False
toc_object_entries = False

autodoc_member_order = "bysource"
autodoc_default_options = {"members": True, "undoc-members": True, "show-inheritance": True}

# What integrations are for need not be there to tell what they are.
autodoc_mock_imports = ["apscheduler", "celery", "django", "tooz"]

# Type variables have one name in many modules.
suppress_warnings = ["ref.python"]


def add_what_a_site_needs(app: Sphinx, page: str, source: list[str]) -> None:
    source[0] = modules.with_modules(page, contents.with_contents(page, source[0]))


def restructure(
    app: Sphinx, kind: str, name: str, documented: object, options: object, lines: list[str]
) -> None:
    lines[:] = docstrings.restructured(lines)


def add_a_front_door(app: Sphinx, problem: Exception | None) -> None:
    """Pages lie as deep as in the repository, so that their links hold; who opens the site opens its top."""
    if problem is None:
        there = f'<meta http-equiv="refresh" content="0; url={contents.INDEX}.html">\n'
        (Path(app.outdir) / "index.html").write_text(there, encoding="utf-8")


def setup(app: Sphinx) -> dict[str, bool]:
    app.connect("source-read", add_what_a_site_needs)
    app.connect("autodoc-process-docstring", restructure)
    app.connect("build-finished", add_a_front_door)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
