"""The page as text: it is complete, it fetches nothing, and what clients wrote does not become part of it."""
from __future__ import annotations

import re
from html.parser import HTMLParser

import msgspec
import pytest

from agreed.check import explain
from agreed.check.explain.html import SCRIPTS, STYLES, filled, part
from agreed.check.history import history
from agreed.check.verdict import Finding, Outcome, Verdict
from tests.check.explain.examples import CIRCLE, STALE, STALE_READ, operation


class Read(HTMLParser):
    """The elements of a page, and the text within some of them."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.ids: list[str] = []
        self.sources: list[str] = []
        self.texts: dict[str, str] = {}
        self._open: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.tags.append(tag)
        self._open.append(given.get("id") or tag)
        if given.get("id"):
            self.ids.append(str(given["id"]))
        self.sources += [str(given[name]) for name in ("src", "href", "action") if name in given]

    def handle_endtag(self, tag: str) -> None:
        if self._open:
            self._open.pop()

    def handle_data(self, text: str) -> None:
        if self._open:
            self.texts[self._open[-1]] = self.texts.get(self._open[-1], "") + text


def test_the_page_fetches_nothing() -> None:
    page = explain.page(STALE, STALE_READ)
    assert Read(page).sources == []
    assert "default-src 'none'" in page
    names = re.findall(r"https?://[^\s\"']+", page)
    assert names == ["http://www.w3.org/2000/svg"], "the name of SVG, not a place"
    assert "@import" not in page
    assert "url(" not in "".join(part(name) for name in STYLES)


def test_the_page_holds_the_drawing_and_the_text() -> None:
    read = Read(explain.page(STALE, STALE_READ, "a stale read"))
    data = msgspec.json.decode(read.texts["data"])
    assert data["title"] == "a stale read"
    assert len(data["operations"]) == len(STALE)
    assert read.texts["title"] == "a stale read" * 2, "of the window and above the page"
    assert explain.text(STALE, STALE_READ).strip() in read.texts["pre"]
    assert Read(explain.page(*CIRCLE)).texts["title"] == "serializable" * 2


EVIL = "</script></pre><img src=x onerror=alert(1)><!--{{script}}"


def test_what_clients_wrote_is_never_markup() -> None:
    operations = [
        operation(0, EVIL, EVIL, EVIL, EVIL, 0, 10, key=EVIL),
        operation(1, "b", "read", None, [EVIL], 0, 10, key=EVIL),
    ]
    verdict = Verdict(EVIL, Outcome.VIOLATED, EVIL, findings=[Finding(EVIL, (0,), (EVIL,), key=EVIL)])
    page = explain.page(history(operations), verdict, EVIL)
    harmless = explain.page(STALE, STALE_READ)
    assert Read(page).tags == Read(harmless).tags
    data = msgspec.json.decode(Read(page).texts["data"])
    assert data["judged"] == EVIL
    assert data["findings"][0]["steps"] == [EVIL]


def test_what_is_put_in_is_not_looked_at_again() -> None:
    assert filled("{{a}} {{b}}", {"a": "{{b}}", "b": "2"}) == "{{b}} 2"


def test_every_element_that_the_scripts_ask_for_is_there() -> None:
    ids = set(Read(explain.page(STALE, STALE_READ)).ids)
    scripts = "".join(part(name) for name in SCRIPTS)
    asked = set(re.findall(r"(?:\bat|getElementById)\(\"([\w-]+)\"\)", scripts))
    assert len(asked) > 20
    assert asked <= ids
    assert len(ids) == len(Read(explain.page(STALE, STALE_READ)).ids), "two elements of one name"


@pytest.mark.parametrize("name", [*STYLES, *SCRIPTS])
def test_a_part_does_not_end_its_own_element(name: str) -> None:
    assert "</" not in re.sub(r"//.*", "", part(name))
