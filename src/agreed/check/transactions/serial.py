"""Transactions one after the other: an independent proof that an order explains them.

Knows nothing of versions, dependencies or graphs.  It runs the transactions of an order on plain lists and
registers, and compares every read.
"""
from __future__ import annotations

from collections.abc import Hashable, Iterable
from typing import Any

from agreed.check.history import Operation, Status


def replays(operations: Iterable[Operation], *, lists: bool) -> bool:
    """Whether each committed transaction reads what was written before it, in this order and from nothing.
    Transactions of which nobody knows whether they took effect are taken to have done so."""
    appended: dict[Hashable, list[Hashable]] = {}
    written: dict[Hashable, Hashable] = {}
    for operation in operations:
        committed = operation.status is Status.OK
        steps: Any = operation.result if committed else operation.argument
        for function, key, value in steps:
            if function == "append":
                appended.setdefault(key, []).append(value)
            elif function == "w":
                written[key] = value
            elif committed:
                expected = appended.get(key, []) if lists else written.get(key)
                if (list(value or ()) if lists else value) != expected:
                    return False
    return True
