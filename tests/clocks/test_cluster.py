"""The cluster's clock, and that the store's is this one."""
from __future__ import annotations

import pytest

from agreed.clocks.cluster import advanced
from agreed.store import machine
from agreed.store.machine import Store


@pytest.mark.parametrize(("clock_ms", "stamp_ms", "then"), [(5, 7, 7), (7, 7, 7), (7, 5, 7), (0, 0, 0)])
def test_it_never_goes_back(clock_ms: int, stamp_ms: int, then: int) -> None:
    assert advanced(clock_ms, stamp_ms) == then


def test_the_store_goes_by_it(monkeypatch: pytest.MonkeyPatch) -> None:
    store = Store()
    for stamp_ms in (1_000, 400, 1_100):
        store.begin(stamp_ms)
    assert store.stamp_ms == 1_100
    monkeypatch.setattr(machine, "advanced", lambda clock_ms, stamp_ms: 42)
    store.begin(2_000)
    assert store.stamp_ms == 42
