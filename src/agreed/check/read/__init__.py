"""Histories from files: Jepsen's EDN and JSON, Porcupine's logs, and our own JSON Lines.

`history(text)` looks at the beginning of a text and takes the reader that fits; each reader's file says what
its format is, and `jsonlines` writes as well.  What cannot be read raises MalformedInput.
"""
from __future__ import annotations

import re
from enum import Enum

from agreed.check.history import History
from agreed.check.read import jepsen, jsonlines, porcupine
from agreed.errors import MalformedInput


class Format(Enum):
    JSON_LINES = "json-lines"
    JEPSEN_JSON = "jepsen-json"
    JEPSEN_EDN = "jepsen-edn"
    PORCUPINE_LOG = "porcupine-log"


OURS = re.compile(r'\s*\{[^\n]*"(function|fault)"\s*:')
JSON = re.compile(r'\s*(\[\s*)?\{\s*"|\s*\[\s*\]\s*$')


def guess(text: str) -> Format:
    """The format of a text, from its first lines."""
    if porcupine.LINE.search(text[:10_000]):
        return Format.PORCUPINE_LOG
    if OURS.match(text) or not text.strip():
        return Format.JSON_LINES
    return Format.JEPSEN_JSON if JSON.match(text) else Format.JEPSEN_EDN


def history(text: str, name: str = "", format: Format | None = None, independent: bool = False) -> History:
    """The history that the text of a file tells.  `name` is that of the file, for complaints; `independent`
    says that each value is a pair of a key and a value (`jepsen`)."""
    try:
        match format or guess(text):
            case Format.JSON_LINES:
                return jsonlines.read(text)
            case Format.PORCUPINE_LOG:
                return porcupine.read(text)
            case Format.JEPSEN_JSON:
                return jepsen.read_json(text, independent)
            case Format.JEPSEN_EDN:
                return jepsen.read_edn(text, independent)
    except MalformedInput as error:
        raise MalformedInput(f"{name}: {error}" if name else str(error)) from error
