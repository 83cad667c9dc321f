"""What users of locks, semaphores, elections and queues were granted, from a file of JSON Lines, one record
per line.

    {"type": "Terms", "permits": 1}
    {"type": "Tenure", "name": "a", "holder": "A", "token": 1, "asked": 0, "obtained": 10}
    {"type": "Access", "at": 11, "name": "a", "token": 1, "holder": "A", "accepted": true}

The records are those of `agreed.check.grants`, with their fields, in any order; but that of the accesses is
the order of their arrival.  What a record leaves out is not known, or as its class says.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from typing import Any, Final

import msgspec

from agreed.check.grants import Access, Acknowledgement, Effect, Look, Put, Tenure, Terms, Told
from agreed.check.read.json_text import decoded
from agreed.errors import MalformedInput

_DECODER: Final = msgspec.json.Decoder(Terms | Tenure | Access | Look | Put | Acknowledgement | Effect)

_FIELDS: Final[dict[type[msgspec.Struct], str]] = {
    Tenure: "tenures",
    Access: "accesses",
    Look: "looks",
    Put: "puts",
    Acknowledgement: "acknowledgements",
    Effect: "effects",
}


def read(text: str) -> Told:
    """Raises MalformedInput, with the line."""
    terms = Terms()
    found: dict[str, list[Any]] = defaultdict(list)
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            record = decoded(_DECODER, line)
        except MalformedInput as error:
            raise MalformedInput(f"line {number}: {error}") from error
        if isinstance(record, Terms):
            terms = record
        else:
            found[_FIELDS[type(record)]].append(record)
    return Told(terms=terms, **found)


def write(told: Told) -> str:
    """Such a file."""
    return "".join(msgspec.json.encode(each).decode() + "\n" for each in _records(told))


def _records(told: Told) -> Iterator[msgspec.Struct]:
    yield told.terms
    for field in _FIELDS.values():
        yield from getattr(told, field)
