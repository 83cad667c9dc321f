"""The site of the documentation, without building it: every page can be found, and every module is there.

`make docs` builds it, and takes each warning for an error.
"""

from __future__ import annotations

import posixpath
from pathlib import Path

import pytest
from docs.building import contents, docstrings, modules

ROOT = Path(__file__).resolve().parent.parent

PAGES = sorted(
    str(path.relative_to(ROOT).with_suffix(""))
    for path in (*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"))
)

NAMED = [
    (path.name, module)
    for path in sorted((ROOT / "docs" / "api").glob("*.md"))
    for module in modules.named(path.read_text(encoding="utf-8"))
]


def text_of(page: str) -> str:
    return (ROOT / f"{page}.md").read_text(encoding="utf-8")


def test_every_page_stands_once_in_the_table_of_contents() -> None:
    listed = [
        there
        for page in contents.LISTS
        for _, linked in contents.parts(page, text_of(page))
        for _, there in linked
    ]
    assert sorted([contents.INDEX, *listed]) == PAGES, "docs/index.md lists all pages, each under one heading"


def test_the_index_has_its_kinds() -> None:
    headings = [
        heading for heading, linked in contents.parts(contents.INDEX, text_of(contents.INDEX)) if linked
    ]
    assert headings == ["Tutorial", "How-to", "Reference", "Explanation", "Proof"]


def test_contents_are_made_of_links() -> None:
    part = "## Part\n\n* [B, of `b`](howto/b.md#x), [web](https://b.md)\n"
    page = f"# Top\n\n[a](a.md)\n\n{part}\n## Next\n\n* [again](howto/b.md)\n"
    made = contents.with_contents(contents.INDEX, page)
    assert made.startswith(page)
    assert ":caption: Part\n\nB, of b </docs/howto/b>\n```" in made
    assert made.count("</docs/howto/b>") == 1
    assert contents.with_contents("docs/other", page) == page


def test_a_list_of_neighbours_leaves_out_who_is_none() -> None:
    made = contents.with_contents("docs/decisions/README", "[tls](tls.md), [up](../client.md)\n")
    assert "tls </docs/decisions/tls>" in made
    assert "client" not in made.partition("toctree")[2]


@pytest.mark.parametrize(("page", "module"), NAMED, ids=lambda value: str(value))
def test_a_module_that_is_listed_is_there(page: str, module: str) -> None:
    place = ROOT / "src" / posixpath.join(*module.split("."))
    assert place.with_suffix(".py").exists() or (place / "__init__.py").exists(), f"{page}: {module}"
    assert [name for _, name in NAMED].count(module) == 1, "it would be shown twice"


def test_the_modules_of_a_page_are_shown_below_it() -> None:
    page = "# Errors\n\n* `agreed.errors`: the root\n"
    assert ".. automodule:: agreed.errors\n" in modules.with_modules("docs/api/errors", page)
    assert modules.with_modules("docs/client", page) == page


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("So many *at a time*, x|y.", r"So many \*at a time\*, x\|y."),
        ("`one_` and two_ of\n`errors.py`", "``one_`` and two\\_ of\n``errors.py``"),
        (
            "Raises what `agreed.client.errors` has",
            "Raises what :py:obj:`agreed.client.errors <agreed.client.errors>` has",
        ),
        ("See `recipes.lock`", "See :py:obj:`recipes.lock <agreed.recipes.lock>`"),
        ("* one *x*\n  and on", "* one \\*x\\*\n  and on"),
        ("Two.  Sentences.", "Two.  Sentences."),
        ("ttl       how long\nname      of it", "::\n\n    ttl       how long\n    name      of it"),
        ("Do:\n    one\n\n    two\nDone.", "Do:\n\n::\n\n        one\n\n        two\n\nDone."),
    ],
)
def test_a_docstring_keeps_its_shape(said: str, shown: str) -> None:
    assert "\n".join(docstrings.restructured(said.split("\n"))).strip() == shown
