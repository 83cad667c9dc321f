"""Alarms: what an operator must look at, and what is refused until then.

NO_SPACE     some member has no space left for more of the flat space: what would take more is refused, so
             that what frees some (deletions, compactions) still can be done, and reads
CORRUPT      some member does not hold what the others hold: nothing of the flat space is changed any more

Any member may raise one, and it stands until it is taken back, for all of them.
"""
from __future__ import annotations

from enum import IntEnum
from typing import TYPE_CHECKING, NamedTuple

from agreed.store.commands import SetAlarm
from agreed.store.results import Done, Refusal
from agreed.types import NodeId

if TYPE_CHECKING:
    from agreed.store.state import State


class AlarmKind(IntEnum):
    NO_SPACE = 1
    CORRUPT = 2


class Alarm(NamedTuple):
    """`member`: the number by which clients of etcd know it; 0 is nobody in particular."""

    member: int
    kind: AlarmKind


class Alarms:
    """Those that stand, in the order in which they were raised."""

    __slots__ = ("table",)

    def __init__(self) -> None:
        self.table: dict[Alarm, None] = {}

    def __contains__(self, kind: AlarmKind) -> bool:
        return any(alarm.kind is kind for alarm in self.table)

    def __len__(self) -> int:
        return len(self.table)


ALARMS_MOST = 1024
"""Members are named by whoever raises one, and every node keeps them."""


def set_alarm(state: State, command: SetAlarm, origin: NodeId) -> Done | Refusal:
    """Consumes no revision.  `STALE`: the alarm that is taken back does not stand."""
    if command.kind not in (AlarmKind.NO_SPACE, AlarmKind.CORRUPT):
        return Refusal.BAD_ARGUMENTS
    table = state.alarms.table
    alarm = Alarm(command.member, AlarmKind(command.kind))
    if command.on:
        if alarm not in table and len(table) >= ALARMS_MOST:
            return Refusal.BAD_ARGUMENTS
        table[alarm] = None
    elif alarm not in table:
        return Refusal.STALE
    else:
        del table[alarm]
    state.note_guarded()
    return Done.DONE
