"""What a command costs, and when it does not fit."""
from __future__ import annotations

import pytest

from agreed.store.commands import (
    Compact,
    DeleteRange,
    GrantLease,
    OnBehalf,
    Put,
    Range,
    RevokeLease,
    Transaction,
)
from agreed.store.machine import Store
from agreed.store.mvcc import VERSION_BYTES
from agreed.store.space import LEASE_BYTES, cost_bytes, fits

PUT = Put(b"key", b"value")
COST = VERSION_BYTES + 8

COSTS: list[tuple[object, int]] = [
    (PUT, COST),
    (Put(b"key", None), VERSION_BYTES + 3),
    (DeleteRange(b"key", None), 0),
    (Range(b"key", None), 0),
    (Transaction((), (PUT, PUT, DeleteRange(b"x", None)), (PUT,)), 2 * COST),
    (Transaction((), (PUT,), (PUT, Transaction((), (), (PUT, PUT)))), 3 * COST),
    (Transaction((), (), ()), 0),
    (GrantLease(1, 1, b"", None), LEASE_BYTES),
    (GrantLease(1, 1, b"", ()), 0),
    (RevokeLease(1, True), 0),
    (Compact(1), 0),
    (OnBehalf("u", 1, PUT), COST),
]


@pytest.mark.parametrize(("command", "cost"), COSTS)
def test_what_it_costs(command: object, cost: int) -> None:
    assert cost_bytes(command) == cost


def test_a_put_takes_as_much_as_it_was_said_to_and_a_compaction_gives_it_back() -> None:
    store = Store()
    history = store.flat.history
    for _ in range(3):
        before = history.size_bytes
        store.execute(PUT)
        assert history.size_bytes == before + COST
    store.execute(DeleteRange(b"key", None))
    store.execute(Put(b"other", b""))
    store.execute(Compact(5))
    assert history.size_bytes == VERSION_BYTES + 5


def test_it_fits_until_it_does_not() -> None:
    store = Store()
    assert fits(store, PUT, COST + 1)
    assert not fits(store, PUT, COST)
    assert fits(store, DeleteRange(b"key", None), 1)
    assert fits(store, PUT, 0), "there is no quota"
    store.execute(PUT)
    assert not fits(store, PUT, 2 * COST)
