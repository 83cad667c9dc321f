"""The block itself, over databases in memory; over real ones in `test_postgresql.py`."""
from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest

import agreed
from agreed.client.errors import ConnectionLost
from agreed.transactions import Aborted, Forgotten, InDoubt, Outcome, Refused, Transaction
from tests.transactions.worlds import MemoryConnection, World


class Ground:
    def __init__(self) -> None:
        self.world = World()
        self.one, self.two = (MemoryConnection(each) for each in self.world.servers)

    def atomic(self, **options: Any) -> Transaction:
        session: Any = self.world.session
        return agreed.atomic(session, **{"one": self.one, "two": self.two, **options})

    def have_committed(self, tx: Transaction) -> list[str]:
        return [each.label for each in self.world.servers if tx.id in each.committed]


@pytest.fixture
def ground() -> Ground:
    return Ground()


def test_both_or_none(ground: Ground) -> None:
    with ground.atomic() as tx:
        assert (tx.one, tx["two"]) == (ground.one, ground.two)
        assert tx.outcome is None
    assert tx.outcome is Outcome.COMMITTED
    assert ground.have_committed(tx) == ["one", "two"]
    with pytest.raises(ZeroDivisionError), ground.atomic() as tx:
        raise ZeroDivisionError
    assert tx.outcome is Outcome.ABORTED
    assert not ground.have_committed(tx)


def test_a_branch_has_a_name_that_means_nothing_else(ground: Ground) -> None:
    for name in ("id", "cluster", "outcome", "unfinished", "_private", "a" * 49):
        with pytest.raises(Refused):
            ground.atomic(**{name: ground.one})
    with pytest.raises(Refused, match="is no time"):
        ground.atomic(timeout_s=0)
    with ground.atomic() as tx:
        with pytest.raises(AttributeError, match="no branch called 'three'"):
            _ = tx.three
        with pytest.raises(KeyError):
            _ = tx["three"]


def test_a_connection_takes_part_once(ground: Ground) -> None:
    with pytest.raises(Refused, match="one and two are one connection"), ground.atomic(two=ground.one):
        pass
    with ground.atomic() as outer:
        with pytest.raises(Refused, match="under way"), ground.atomic():
            pass
        assert outer.outcome is None
    assert outer.outcome is Outcome.COMMITTED
    with ground.atomic():
        pass


def test_a_transaction_is_entered_once(ground: Ground) -> None:
    tx = ground.atomic()
    with tx:
        pass
    with pytest.raises(Refused, match="entered once"), tx:
        pass


def test_who_is_interrupted_while_it_is_decided_is_told_its_name(ground: Ground) -> None:
    def interrupted(kind: str, ask: Any) -> Any:
        if kind == "store" and ground.world.servers[1].prepared:
            raise KeyboardInterrupt
        return ask()

    ground.world.session._through = interrupted
    with pytest.raises(KeyboardInterrupt) as error, ground.atomic() as tx:
        pass
    assert tx.outcome is None
    assert tx.id in error.value.__notes__[0]


def test_in_doubt_can_be_asked_and_waited_for(ground: Ground) -> None:
    decided: list[int] = []

    def unreachable(kind: str, ask: Any) -> Any:
        if kind == "store" and ground.world.servers[1].prepared:
            decided.append(1)
            raise ConnectionLost("lost", maybe=True)
        return ask()

    ground.world.session._through = unreachable
    unknown = pytest.raises(InDoubt, match=r"the outcome of [0-9a-f]{32} is not known")
    with unknown as doubt, ground.atomic(timeout_s=0.05) as tx:
        pass
    assert decided
    assert tx.outcome is None
    assert not doubt.value.surely_not_done
    assert doubt.value.outcome() is None
    with pytest.raises(TimeoutError):
        doubt.value.wait(0)
    ground.world.now_ms += 10_000
    ground.world.recovery.round()
    assert doubt.value.wait(0) is Outcome.ABORTED
    ground.world.now_ms += 10_000_000
    ground.world.recovery.round()
    with pytest.raises(Forgotten):
        doubt.value.wait(60)


def test_aborted_says_whose_fault_it_was(ground: Ground) -> None:
    ground.world.servers[1].forgets = True
    with pytest.raises(Aborted, match="two: the driver prepared it") as aborted, ground.atomic():
        pass
    assert aborted.value.surely_not_done


def test_who_does_not_use_it_does_not_load_it() -> None:
    program = (
        "import sys, agreed; assert 'agreed.transactions' not in sys.modules; agreed.atomic; "
        "assert not {'psycopg', 'pymysql', 'sqlalchemy'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)
    with pytest.raises(AttributeError, match="atomik"):
        _ = agreed.atomik
