"""Alarms are raised and taken back, for all members."""
from __future__ import annotations

import pytest

from agreed.store import alarms
from agreed.store.alarms import Alarm, AlarmKind
from agreed.store.commands import SetAlarm
from agreed.store.invariants import check
from agreed.store.machine import Store
from agreed.store.results import Done, Refusal


def test_an_alarm_stands_until_it_is_taken_back() -> None:
    store = Store()
    assert store.execute(SetAlarm(7, 1, True)) is Done.DONE
    assert store.execute(SetAlarm(7, 1, True)) is Done.DONE
    assert store.execute(SetAlarm(0, 2, True)) is Done.DONE
    assert list(store.alarms.table) == [Alarm(7, AlarmKind.NO_SPACE), Alarm(0, AlarmKind.CORRUPT)]
    check(store)
    assert store.execute(SetAlarm(7, 2, False)) is Refusal.STALE
    assert store.execute(SetAlarm(7, 1, False)) is Done.DONE
    assert AlarmKind.NO_SPACE not in store.alarms
    assert AlarmKind.CORRUPT in store.alarms
    assert store.guarded
    assert store.execute(SetAlarm(0, 2, False)) is Done.DONE
    assert not store.guarded
    assert store.revision == 0


@pytest.mark.parametrize("kind", [0, 3, -1])
def test_what_is_no_alarm_is_not_raised(kind: int) -> None:
    assert Store().execute(SetAlarm(7, kind, True)) is Refusal.BAD_ARGUMENTS


def test_there_are_only_so_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(alarms, "ALARMS_MOST", 1)
    store = Store()
    assert store.execute(SetAlarm(1, 1, True)) is Done.DONE
    assert store.execute(SetAlarm(2, 1, True)) is Refusal.BAD_ARGUMENTS
    assert store.execute(SetAlarm(1, 1, True)) is Done.DONE
