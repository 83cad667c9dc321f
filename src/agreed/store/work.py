"""How much work a transaction is: asked before it is put into the log, or read beside it.

Nobody hears anything of a node while it does one command.  One client that compares all keys a hundred times
over would keep every node busy for seconds, its followers would take the leader for dead, and its successor
would begin with the same command.  So a transaction that looks at more than `KEYS_MOST` keys is refused by
the node that it is asked of, as one with too many operations.  That bound is for nodes that propose, not for
the store: what is in the log is done, however long it takes, the same on every node.

Counted is what its parts look at if it is done now: the keys of all compares, those of nested transactions as
well, and of the branch in which there are more those of reads and deletions.  Both are known without a walk.
"""

from __future__ import annotations

from typing import Final

from agreed.store.commands import DeleteRange, Guard, Put, Range, Transaction
from agreed.store.mvcc import History
from agreed.store.ranges import count_in

KEYS_MOST: Final = 200_000
"""Some 50 to 200 ms, of an election timeout of 500 ms at least."""

PART_KEYS: Final = 4
"""What each operation and compare costs at least, in keys: about a microsecond."""

TOLD_KEYS: Final = 3
"""What it costs to write down a key that was read, in keys that are only looked at."""


def keys_looked_at(history: History, command: Transaction) -> int:
    """Once it is more than `KEYS_MOST`, how much more is not told."""
    keys = sum_of(history, command.guards)
    if keys > KEYS_MOST:
        return keys
    return keys + max(sum_of(history, command.then), sum_of(history, command.otherwise))


def sum_of(history: History, parts: tuple[Guard | Put | DeleteRange | Range | Transaction, ...]) -> int:
    keys = 0
    for part in parts:
        keys += PART_KEYS
        if isinstance(part, Transaction):
            keys += keys_looked_at(history, part)
        elif isinstance(part, Range):
            keys += _read(history, part)
        elif isinstance(part, Guard | DeleteRange):
            keys += 1 if part.range_end is None else count_in(history.keys, part.key, part.range_end)
        if keys > KEYS_MOST:
            return keys
    return keys


def _read(history: History, read: Range) -> int:
    """Also those that are gone are walked over; one at an old revision is as good as two."""
    if read.range_end is None:
        return 1 + TOLD_KEYS
    told = walked = count_in(history.keys, read.key, read.range_end)
    if 0 < read.limit < walked:
        told = read.limit
        walked = min(walked, read.limit + count_in(history.dead, read.key, read.range_end))
    return (2 * walked if read.revision else walked) + TOLD_KEYS * told
