"""A small reader of EDN, the notation in which Clojure programs (Jepsen, Knossos, Elle) write histories.

    nil true false 12 -3N 4.5M "text" \\a :keyword symbol (a list) [a vector] {a map} #{a set}
    ; a comment    #_ discarded    #tag value

Keywords and symbols become texts (without the colon), lists and vectors become lists, sets frozensets; a tag
is dropped and its value kept.  What is hashed (keys of maps, elements of sets) has tuples for lists.

Not read: ratios, what is no number or has no end (##NaN, ##Inf), and characters by their number.  There is no
limit on depth, for there is no recursion; but what is hashed may be nested too deep.
"""
from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from agreed.check.models.values import frozen
from agreed.errors import MalformedInput

TOKEN = re.compile(
    r"""
    [\s,]+ | ;[^\n]*
    | (?P<open>\#\{ | [(\[{]) | (?P<close>[)\]}])
    | (?P<text>"(?:[^"\\]|\\.)*")
    | (?P<discard>\#_) | (?P<tag>\#[A-Za-z][^\s,()\[\]{}"]*)
    | (?P<character>\\(?:[A-Za-z]+|.))
    | (?P<atom>[^\s,()\[\]{}";\\\#][^\s,()\[\]{}";\\]*)
    """,
    re.VERBOSE | re.DOTALL,
)
CLOSES = {"(": ")", "[": "]", "{": "}", "#{": "}"}
ESCAPE = re.compile(r"\\(u[0-9a-fA-F]{4}|.)", re.DOTALL)
ESCAPED = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f"}
CHARACTERS = {"newline": "\n", "space": " ", "tab": "\t", "return": "\r"}
WHOLE = re.compile(r"[+-]?\d+N?")
DECIMAL = re.compile(r"[+-]?\d+(\.\d*)?([eE][+-]?\d+)?M?")
MOST_DIGITS = 1_000
CONSTANTS = {"nil": None, "true": True, "false": False}


class _Level:
    """A collection that is not closed yet, or the whole file."""

    __slots__ = ("discards", "items", "opened")

    def __init__(self, opened: str) -> None:
        self.opened = opened
        self.items: list[Any] = []
        self.discards = 0

    def add(self, value: Any) -> None:
        if self.discards:
            self.discards -= 1
        else:
            self.items.append(value)


def values(text: str) -> list[Any]:
    """All values at the top of `text`.  Raises MalformedInput, with the line."""
    levels = [_Level("")]
    position = 0
    for match in _tokens(text):
        position = match.start()
        kind, token = match.lastgroup, match.group()
        level = levels[-1]
        if kind == "atom":
            level.add(_atom(token, text, position))
        elif kind == "open":
            levels.append(_Level(token))
        elif kind == "close":
            if CLOSES.get(level.opened) != token:
                raise _wrong(text, position, f"{token} closes nothing")
            if level.discards:
                raise _wrong(text, position, "nothing to discard")
            levels.pop()
            levels[-1].add(_collection(level, text, position))
        elif kind == "text":
            level.add(_unescaped(token[1:-1], text, position) if "\\" in token else token[1:-1])
        elif kind == "discard":
            level.discards += 1
        elif kind == "character":
            level.add(CHARACTERS.get(token[1:], token[1]))
    if len(levels) > 1:
        raise _wrong(text, position, f"{levels[-1].opened} is never closed")
    return levels[0].items


def _tokens(text: str) -> Iterator[re.Match[str]]:
    end = 0
    for match in TOKEN.finditer(text):
        if match.start() != end:
            break
        end = match.end()
        if match.lastgroup is not None:
            yield match
    if end != len(text):
        raise _wrong(text, end, f"{text[end]!r} begins nothing")


def _atom(token: str, text: str, position: int) -> Any:
    if token[0] == ":" and len(token) > 1:
        return token[1:]
    if token in CONSTANTS:
        return CONSTANTS[token]
    if WHOLE.fullmatch(token):
        if len(token) > MOST_DIGITS:
            raise _wrong(text, position, f"a number of {len(token)} digits")
        return int(token.rstrip("N"))
    if DECIMAL.fullmatch(token):
        return float(token.rstrip("M"))
    return token


def _collection(level: _Level, text: str, position: int) -> Any:
    if level.opened == "#{":
        return frozenset(frozen(each) for each in level.items)
    if level.opened != "{":
        return level.items
    if len(level.items) % 2:
        raise _wrong(text, position, "a map with a key that has no value")
    pairs = iter(level.items)
    return {frozen(key): value for key, value in zip(pairs, pairs, strict=True)}


def _unescaped(said: str, text: str, position: int) -> str:
    """Characters beyond the first 65,536 may be written as two, as Java counts them."""
    try:
        return ESCAPE.sub(_escaped, said).encode("utf-16", "surrogatepass").decode("utf-16")
    except UnicodeDecodeError as error:
        raise _wrong(text, position, "half of a character") from error


def _escaped(match: re.Match[str]) -> str:
    escaped = match.group(1)
    return chr(int(escaped[1:], 16)) if len(escaped) > 1 else ESCAPED.get(escaped, escaped)


def _wrong(text: str, position: int, what: str) -> MalformedInput:
    return MalformedInput(f"line {text.count(chr(10), 0, position) + 1}: {what}")
