"""Tables on standard output: a column for each field, a row for each.

    node   address           role        term
    ─────────────────────────────────────────
    n1     127.0.0.1:7421    leader         3

Nothing is wrapped or cut: a terminal does that by itself, and what reads a pipe wants whole words.  What
comes out of a store may hold what a terminal would obey; it is shown and not sent.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

import click
import msgspec

GAP: Final = "   "


class Column(NamedTuple):
    heading: str
    right: bool = False


def draw(rows: Iterable[msgspec.Struct], kind: type[msgspec.Struct]) -> None:
    """`kind` gives the headings, also where there are no rows.  Numbers are on the right."""
    columns = [Column(field.name, field.type is int) for field in msgspec.structs.fields(kind)]
    draw_cells(columns, [[str(getattr(row, column.heading)) for column in columns] for row in rows])


def draw_cells(
    columns: Sequence[Column], rows: Sequence[Sequence[str]], colours: Sequence[str | None] = ()
) -> None:
    """`colours`, if any are given, one for each row: names that `click.style` knows, or None."""
    head, rule, *body = lines(columns, rows)
    click.secho(head, bold=True)
    click.echo(rule)
    for line, colour in zip(body, colours or [None] * len(body), strict=True):
        click.secho(line, fg=colour)


def lines(columns: Sequence[Column], rows: Sequence[Sequence[str]]) -> list[str]:
    """Headings, a rule, rows."""
    cells = [[column.heading for column in columns], *([shown(cell) for cell in row] for row in rows)]
    widths = [max(width(row[index]) for row in cells) for index in range(len(columns))]
    drawn = [
        GAP.join(
            " " * (wide - width(cell)) + cell if column.right else cell + " " * (wide - width(cell))
            for cell, wide, column in zip(row, widths, columns, strict=True)
        ).rstrip()
        for row in cells
    ]
    rule = "─" * (sum(widths) + len(GAP) * (len(columns) - 1))
    return [drawn[0], rule, *drawn[1:]]


def shown(text: str) -> str:
    return "".join(each if each.isprintable() else repr(each)[1:-1] for each in text)


def width(text: str) -> int:
    """In columns of a terminal: letters of East Asia take two, accents that stand alone none."""
    return sum(
        0 if unicodedata.combining(each) else 2 if unicodedata.east_asian_width(each) in "WF" else 1
        for each in text
    )
