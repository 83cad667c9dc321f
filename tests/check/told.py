"""Histories as one tells them: a line for each operation, in a form that is quickly read.

    alice   0-10  write 1
    bob     5-15  read -> 1
    carol  20-    write 2                nobody knows what became of it (no return)
    dave   30-40  cas [1, 3] !           it failed, and no reason was given
    erin   50-60  delete {"path": "/a"} !NoNode
    frank  70-80  @x read -> None        of the object x

Values are Python's literals.  Operations are numbered in the order of the lines; empty lines do not count.
"""
from __future__ import annotations

import ast
import re
from typing import Any

from agreed.check.history import History, Operation, Status, history

LINE = re.compile(
    r"\s*(?P<client>\w+)\s+(?P<called>\d+)-(?P<returned>\d*)\s+(?:@(?P<key>\w+)\s+)?(?P<function>[\w-]+)"
    r"(?:\s+(?P<argument>[^\s>!-].*?|-\d.*?))??(?:\s*->\s*(?P<result>.*?))?(?:\s*!(?P<error>\w*))?\s*"
)


def told(text: str) -> History:
    """The history; raises ValueError for a line that says nothing."""
    lines = [line for line in text.splitlines() if line.strip()]
    return history(_operation(number, line) for number, line in enumerate(lines))


def _operation(number: int, line: str) -> Operation:
    match = LINE.fullmatch(line)
    if match is None:
        raise ValueError(f"nobody understands {line!r}")
    status = Status.OK if match["returned"] else Status.INFO
    if match["error"] is not None:
        status = Status.FAIL
    return Operation(
        index=number,
        process=match["client"],
        function=match["function"],
        argument=_value(match["argument"]),
        result=_value(match["result"]),
        called=int(match["called"]),
        returned=int(match["returned"]) if match["returned"] else None,
        status=status,
        key=match["key"],
        error=match["error"] or None,
    )


def _value(said: str | None) -> Any:
    return None if said is None else ast.literal_eval(said)
