"""Tables, and lines that are drawn again in their place."""

from __future__ import annotations

import msgspec
import pytest

from agreed.cli.live import Live
from agreed.cli.table import Column, draw, draw_cells, lines


class Place(msgspec.Struct):
    name: str
    term: int


def test_words_are_on_the_left_and_numbers_on_the_right(capsys: pytest.CaptureFixture[str]) -> None:
    draw([Place("n1", 3), Place("a longer one", 1_000_000)], Place)
    assert capsys.readouterr().out.splitlines() == [
        "name              term",
        "──────────────────────",
        "n1                   3",
        "a longer one   1000000",
    ]


def test_without_rows_there_are_headings(capsys: pytest.CaptureFixture[str]) -> None:
    draw([], Place)
    assert capsys.readouterr().out.splitlines() == ["name   term", "───────────"]


def test_rows_have_colours_where_they_are_seen(capsys: pytest.CaptureFixture[str]) -> None:
    draw_cells([Column("name")], [["n1"], ["n2"]], ["red", None])
    assert capsys.readouterr().out.splitlines() == ["name", "────", "n1", "n2"]


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("\x1b[2Jgone", r"\x1b[2Jgone"),
        ("one\ntwo\ttabs", r"one\ntwo\ttabs"),
        ("‮reversed", r"\u202ereversed"),
        ("Zürich", "Zürich"),
    ],
)
def test_what_a_terminal_would_obey_is_shown(value: str, said: str) -> None:
    assert lines([Column("value")], [[value]])[-1] == said


def test_letters_of_two_columns_take_two() -> None:
    assert lines([Column("a"), Column("b")], [["東京", "x"], ["e\u0301", "y"]])[2:] == [
        "東京   x",
        "e\u0301      y",
    ]


def test_lines_are_drawn_again_in_their_place(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a terminal does it: F goes up, J takes away what is below."""
    monkeypatch.setenv("COLUMNS", "8")
    monkeypatch.setattr("click.utils.should_strip_ansi", lambda *_: False)
    live = Live()
    assert live.is_due()
    live.draw(["one", "a line that is too long"])
    assert not live.is_due()
    live.tell("stays")
    live.draw(["two"])
    live.draw(["three"])
    assert capsys.readouterr().err == "one\na line t\n\x1b[2F\x1b[Jstays\ntwo\n\x1b[1F\x1b[Jthree\n"
