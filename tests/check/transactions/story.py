"""Histories of transactions, short enough to be read in a test.

    together("ax1 ay1", "rx[1]")        all at the same time, each of a process of its own
    in_a_row("ax1", "p0 rx[]")          each called after the one before returned

One text is one transaction: its steps, and before them what is special about it.

    ax1  wx1  rx[1 2]  rx[]  rx3  rx_   append 1 to x; write 1 to x; read a list, a value, nothing
    fail  info                          it aborted; nobody knows
    p3                                  its process (else its position)
    rev7                                the revision that the server told
    4..9                                when it was called and returned
"""
from __future__ import annotations

import re

from agreed.check.history import History, Operation, Status, history

_STEP = re.compile(r"([awr])([a-z])(\[[^\]]*\]|\w*)")
_FAR = 1_000_000


def together(*texts: str) -> History:
    return history(_operation(at, text, at, _FAR + at) for at, text in enumerate(texts))


def in_a_row(*texts: str) -> History:
    return history(_operation(at, text, 2 * at, 2 * at + 1) for at, text in enumerate(texts))


def _operation(index: int, text: str, called: int, returned: int) -> Operation:
    words = re.findall(r"[awr][a-z]\[[^\]]*\]|\S+", text)
    status, process, revision = Status.OK, index, None
    argument: list[list[object]] = []
    result: list[list[object]] = []
    for word in words:
        if word in ("fail", "info"):
            status = Status(word)
        elif found := re.fullmatch(r"p(\d+)", word):
            process = int(found[1])
        elif found := re.fullmatch(r"rev(\d+)", word):
            revision = int(found[1])
        elif found := re.fullmatch(r"(\d+)\.\.(\d+)", word):
            called, returned = int(found[1]), int(found[2])
        elif found := _STEP.fullmatch(word):
            function = {"a": "append", "w": "w", "r": "r"}[found[1]]
            value = _value(found[3])
            argument.append([function, found[2], None if function == "r" else value])
            result.append([function, found[2], value])
        else:
            raise ValueError(f"{word!r} is no part of a transaction")
    return Operation(
        index=index,
        process=process,
        function="txn",
        argument=argument,
        result=result if status is Status.OK else None,
        called=called,
        returned=None if status is Status.INFO else returned,
        status=status,
        revision=revision,
    )


def _value(text: str) -> object:
    if text.startswith("["):
        return [int(element) for element in text[1:-1].split()]
    return None if text == "_" else int(text)
