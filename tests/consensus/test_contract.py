"""The contract of every consensus protocol here catches whoever breaks it."""
from __future__ import annotations

import pytest

from agreed.consensus.contract import Contract, ContractBroken
from agreed.consensus.machine import Ballot, Effects, Entry, EntryKind, ReadReady, Save


def entry(index: int, payload: bytes = b"x") -> Entry:
    return Entry(index, 1, EntryKind.PAYLOAD, payload)


@pytest.fixture
def contract() -> Contract:
    contract = Contract()
    contract.proposed(b"x")
    contract.proposed(b"y")
    for node in ("n1", "n2"):
        contract.started(node, 0)
    return contract


def test_who_keeps_it_is_not_disturbed(contract: Contract) -> None:
    contract.read_requested("n1", 1)
    contract.check("n1", Effects(save=Save(1, Ballot(1, None), [entry(1)]), commit=[entry(1)]))
    contract.check("n2", Effects(commit=[entry(1), entry(2)], reads=[]))
    contract.check("n1", Effects(reads=[ReadReady(1, 0)], commit=[entry(2)]))
    contract.restored("n1", 5)
    contract.check("n1", Effects(commit=[entry(6)]))
    assert contract.unanswered("n1") == 0


@pytest.mark.parametrize(
    ("effects", "broken"),
    [
        (Effects(commit=[entry(1, b"y")]), "uniform agreement"),
        (Effects(commit=[entry(2)]), "integrity"),
        (Effects(commit=[entry(1), entry(1)]), "integrity"),
        (Effects(commit=[entry(1), entry(2, b"never proposed")]), "validity"),
        (Effects(save=Save(2, Ballot(1, None), [])), "durable promises"),
        (Effects(save=Save(1, Ballot(1, None), [entry(1), entry(3)])), "durable promises"),
        (Effects(reads=[ReadReady(7, 0)]), "read freshness"),
        (Effects(reads=[ReadReady(7, 1), ReadReady(7, 1)]), "one answer"),
        (Effects(reads=[ReadReady(8, None)]), "one answer"),
    ],
)
def test_who_breaks_it_is_named(contract: Contract, effects: Effects, broken: str) -> None:
    contract.check("n1", Effects(commit=[entry(1)]))
    contract.read_requested("n2", 7)
    with pytest.raises(ContractBroken, match=broken):
        contract.check("n2", effects)
