"""Docstrings as reStructuredText: they are plain text, with columns where columns say it best.

    paragraphs                  stay paragraphs; `names` become literals, all else loses its special meaning
    lists ("* ", "- ")          stay lists
    what is indented,           is shown as it stands
    and columns

A docstring is read in the source far more often than on the site.  So it has no markup but backquotes, and
the translation is here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import groupby

_COLUMNS = re.compile(r"\S {3,}\S")

_ITEM = re.compile(r"[*-] ")

_OURS = re.compile(
    r"(?:agreed\.)?((?:backends|broadcast|check|client|coordination|embedded|recipes|testing)\.[\w.]+)"
)


def restructured(lines: list[str]) -> list[str]:
    """Lines of a docstring, without their common indentation, for Sphinx."""
    made: list[str] = []
    for as_it_stands, block in blocks(lines):
        if as_it_stands:
            made += ["::", "", *(f"    {line}".rstrip() for line in block), ""]
        else:
            made += [*in_words(block), ""]
    return made


def blocks(lines: list[str]) -> Iterator[tuple[bool, list[str]]]:
    """Pieces between empty lines, divided where the indentation begins or ends; neighbours that are to be
    shown as they stand are one."""
    pieces: list[tuple[bool, list[str]]] = []
    for empty, piece in groupby(lines, lambda line: not line.strip()):
        if not empty:
            pieces += divided(list(piece))
    for as_it_stands, group in groupby(pieces, lambda piece: piece[0]):
        if not as_it_stands:
            yield from group
            continue
        together: list[str] = []
        for _, piece in group:
            together += [*([""] if together else []), *piece]
        yield True, together


def divided(block: list[str]) -> Iterator[tuple[bool, list[str]]]:
    if _ITEM.match(block[0]):
        yield False, block
    elif any(_COLUMNS.search(line) for line in block if not line.startswith(" ")):
        yield True, block
    else:
        for indented, piece in groupby(block, lambda line: line.startswith(" ")):
            yield indented, list(piece)


def in_words(block: list[str]) -> list[str]:
    """Backquotes may hold a span that goes on in the next line, so the block is taken as a whole."""
    text = "\n".join(block)
    pieces = re.split(r"`([^`]+)`", text)
    pieces[::2] = [_plain(piece) for piece in pieces[::2]]
    pieces[1::2] = [_name(piece) for piece in pieces[1::2]]
    return "".join(pieces).split("\n")


def _name(span: str) -> str:
    """A link, where it is a module of ours or what stands in one: `agreed.errors`, `recipes.lock`."""
    if found := _OURS.fullmatch(span):
        return f":py:obj:`{span} <agreed.{found[1]}>`"
    return f"``{span.strip()}``"


def _plain(text: str) -> str:
    text = text.replace("\\", "\\\\")
    text = re.sub(r"\*(?! )|(?<!^)\*", r"\\*", text, flags=re.MULTILINE)
    text = re.sub(r"(?<=\w)_(?!\w)", r"\\_", text)
    return text.replace("|", "\\|")
