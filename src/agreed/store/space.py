"""How much of the flat space a command would take: asked before it is put into the log, against a quota.

As in etcd the quota is no promise, and is looked at by whoever proposes: several nodes may each let one
command too many pass.  Where it is reached, that node raises the alarm NO_SPACE (`alarms.py`), and from then
on all refuse what takes more.

`History.size_bytes` is what is held.  It shrinks when a compaction is swept, so that no file has to be
rewritten before there is space again.
"""
from __future__ import annotations

from typing import Final

from agreed.store.commands import GrantLease, OnBehalf, Put, Transaction
from agreed.store.mvcc import VERSION_BYTES
from agreed.store.state import State

LEASE_BYTES: Final = 64


def cost_bytes(command: object) -> int:
    """About how much larger the flat space is after it, whichever branch is taken; what frees space, frees
    none of it before it is compacted."""
    if isinstance(command, OnBehalf):
        command = command.command
    if isinstance(command, Put):
        return VERSION_BYTES + len(command.key) + len(command.value or b"")
    if isinstance(command, Transaction):
        return max(sum(map(cost_bytes, branch)) for branch in (command.then, command.otherwise))
    return LEASE_BYTES if isinstance(command, GrantLease) and command.credentials is None else 0


def fits(state: State, command: object, quota_bytes: int) -> bool:
    """Whether a command may be proposed under this quota; what takes no space always may.  0: no quota."""
    cost = cost_bytes(command)
    return not cost or quota_bytes <= 0 or state.flat.history.size_bytes + cost < quota_bytes
