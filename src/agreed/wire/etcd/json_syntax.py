"""What is wrong with a text that is not JSON, in the words of Go's own reader.

Python's reader finds out that something is wrong; clients of etcd's gateway have learned the sentences of
Go's.  So this walks through the text once more, only when it is known to be broken, and only as far as the
break.  `Values` finds out where, in a body that comes in pieces, one value ends and the next begins.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from agreed.errors import MalformedInput

_SPACE: Final = " \t\r\n"
_LITERALS: Final = {"t": "true", "f": "false", "n": "null"}
_ESCAPES: Final = '"\\/bfnrt'
_HEXADECIMAL: Final = "0123456789abcdefABCDEF"
_DIGITS: Final = "0123456789"


class _Broken(Exception):
    """The sentence; None where the text only ends too early."""


def syntax_error(text: str) -> str | None:
    """The sentence about the first thing that is wrong; None where the text is right as far as it goes."""
    try:
        position = _spaces(text, _value(text, _spaces(text, 0), 0))
        if position < len(text):
            _unexpected(text, position, "after top-level value")
    except _Broken as broken:
        return str(broken)
    except (IndexError, RecursionError):
        return None
    return None


def _quoted(character: str) -> str:
    """As Go quotes it."""
    if character == "'":
        return r"'\''"
    if character == '"':
        return "'\"'"
    if character == "\\":
        return r"'\\'"
    named = {"\n": r"\n", "\r": r"\r", "\t": r"\t", "\a": r"\a", "\b": r"\b", "\f": r"\f", "\v": r"\v"}
    if character in named:
        return f"'{named[character]}'"
    if character.isprintable():
        return f"'{character}'"
    return f"'\\x{ord(character):02x}'" if character < "\x80" else f"'\\u{ord(character):04x}'"


def _unexpected(text: str, position: int, where: str) -> None:
    raise _Broken(f"invalid character {_quoted(text[position])} {where}")


def _spaces(text: str, position: int) -> int:
    while position < len(text) and text[position] in _SPACE:
        position += 1
    return position


def _value(text: str, position: int, depth: int) -> int:
    """Where the value ends; IndexError where the text ends before."""
    character = text[position]
    if character == "{":
        return _object(text, position + 1, depth + 1)
    if character == "[":
        return _array(text, position + 1, depth + 1)
    if character == '"':
        return _string(text, position + 1)
    if character in _LITERALS:
        return _literal(text, position, _LITERALS[character])
    if character == "-" or character in _DIGITS:
        return _number(text, position)
    _unexpected(text, position, "looking for beginning of value")
    return position


def _object(text: str, position: int, depth: int) -> int:
    position = _spaces(text, position)
    if text[position] == "}":
        return position + 1
    while True:
        if text[position] != '"':
            _unexpected(text, position, "looking for beginning of object key string")
        position = _spaces(text, _string(text, position + 1))
        if text[position] != ":":
            _unexpected(text, position, "after object key")
        position = _spaces(text, _value(text, _spaces(text, position + 1), depth))
        if text[position] == "}":
            return position + 1
        if text[position] != ",":
            _unexpected(text, position, "after object key:value pair")
        position = _spaces(text, position + 1)


def _array(text: str, position: int, depth: int) -> int:
    position = _spaces(text, position)
    if text[position] == "]":
        return position + 1
    while True:
        position = _spaces(text, _value(text, position, depth))
        if text[position] == "]":
            return position + 1
        if text[position] != ",":
            _unexpected(text, position, "after array element")
        position = _spaces(text, position + 1)


def _string(text: str, position: int) -> int:
    while (character := text[position]) != '"':
        if character < " ":
            _unexpected(text, position, "in string literal")
        position += 1
        if character == "\\":
            if text[position] == "u":
                for _ in range(4):
                    position += 1
                    if text[position] not in _HEXADECIMAL:
                        _unexpected(text, position, "in \\u hexadecimal character escape")
            elif text[position] not in _ESCAPES:
                _unexpected(text, position, "in string escape code")
            position += 1
    return position + 1


def _literal(text: str, position: int, literal: str) -> int:
    for place, expected in enumerate(literal):
        if text[position + place] != expected:
            _unexpected(text, position + place, f"in literal {literal} (expecting '{expected}')")
    return position + len(literal)


def _number(text: str, position: int) -> int:
    if text[position] == "-":
        position += 1
        if text[position] not in _DIGITS:
            _unexpected(text, position, "in numeric literal")
    if text[position] == "0":
        position += 1
    else:
        position = _digits(text, position)
    if text[position : position + 1] == ".":
        position += 1
        if text[position] not in _DIGITS:
            _unexpected(text, position, "after decimal point in numeric literal")
        position = _digits(text, position)
    if text[position : position + 1] in ("e", "E"):
        position += 1
        if text[position] in "+-":
            position += 1
        if text[position] not in _DIGITS:
            _unexpected(text, position, "in exponent of numeric literal")
        position = _digits(text, position)
    return position


def _digits(text: str, position: int) -> int:
    while position < len(text) and text[position] in _DIGITS:
        position += 1
    return position


_OUTSIDE: Final = re.compile(rb'["{}\[\]]')
_INSIDE: Final = re.compile(rb'["\\]')


_AFTER_WORD: Final = re.compile(rb'[\s"{}\[\],:]')
"""What ends a number or a word."""

_SPACES: Final = re.compile(rb"[ \t\r\n]+")

_OPENERS: Final = (b"{", b"[", b'"')


class Values:
    """A body of several JSON values, cut into values as its pieces come in.

    Each byte is looked at once, however small the pieces are: a client that sends a large value byte by byte
    costs no more than one that sends it whole.
    """

    __slots__ = ("_depth", "_in_string", "_kept", "_limit", "_seen")

    def __init__(self, limit: int) -> None:
        """`limit`: bytes that one value may have."""
        self._limit = limit
        self._kept = bytearray()
        self._seen = 0
        self._depth = 0
        self._in_string = False

    def feed(self, data: bytes) -> Iterator[bytes]:
        """The values that are complete now, to be taken at once.  Raises MalformedInput, behind the values
        before it, for one that is too large.  What is no JSON comes out as something that is none either."""
        self._kept += data
        while (end := self._next_end()) is not None:
            value = bytes(self._kept[:end])
            del self._kept[:end]
            self._seen = 0
            yield value
        if len(self._kept) > self._limit:
            raise MalformedInput(f"a message of more than {self._limit} bytes")

    def rest(self) -> bytes:
        """What is left when the body ends: an unfinished value, or nothing."""
        return bytes(self._kept).strip()

    def _next_end(self) -> int | None:
        if self._depth == 0 and not self._in_string:
            spaces = _SPACES.match(self._kept)
            if spaces is not None:
                del self._kept[: spaces.end()]
            if not self._kept.startswith(_OPENERS):
                found = _AFTER_WORD.search(self._kept, max(self._seen, 1)) if self._kept else None
                self._seen = len(self._kept)
                return None if found is None else found.start()
        while True:
            found = (_INSIDE if self._in_string else _OUTSIDE).search(self._kept, self._seen)
            if found is None:
                self._seen = len(self._kept)
                return None
            character = found[0]
            self._seen = found.end()
            if character == b'"':
                self._in_string = not self._in_string
                if self._depth == 0 and not self._in_string:
                    return self._seen
            elif character == b"\\":
                if self._seen == len(self._kept):
                    self._seen -= 1
                    return None
                self._seen += 1
            elif character in b"{[":
                self._depth += 1
            else:
                self._depth -= 1
                if self._depth == 0:
                    return self._seen
