"""Nodes that are wrong in one place each, under the numbers of the list that they are taken from.

R1 to R39 break a rule of Raft or of what it stands on, P1 to P13 one of Multi-Paxos, V1 to V11 of
Viewstamped Replication, Z1 to Z11 of ZAB, T1 to T10 of atomic commit; C1 to C8 break a promise to clients,
so that the judge of histories has something to convict, and E1 to E15 one to etcd's clients. Where one rule
can be broken in several ways, a letter follows. Each is a subclass of a shipped part, or a function in the
place of one; a cluster has it in all of its nodes. `kill_matrix.py` says how many seeds and seconds it
takes to notice, `grounds.py` where."""
from __future__ import annotations

import re

from tests.sim.mutants import atomic, disk, etcd, multipaxos, raft, service, store, vr, zab
from tests.sim.mutants.mutant import Mutant

__all__ = ["ALL", "FAMILIES", "Mutant", "number_of"]

FAMILIES: dict[str, str] = {
    "R": "Raft, and what all of them stand on",
    "P": "Multi-Paxos",
    "V": "Viewstamped Replication",
    "Z": "ZAB",
    "T": "Atomic commit",
    "C": "Promises to clients",
    "E": "Promises to clients of etcd",
}
"""By the first letter of their numbers."""


def number_of(mutant_id: str) -> str:
    """That of the list, without the letter that follows."""
    return mutant_id.rstrip("bcd")


def _by_number(mutant: Mutant) -> tuple[int, int, str]:
    """In the order of the families, and as in the list."""
    found = re.fullmatch(r"([A-Z])(\d+)([a-z]?)", mutant.id)
    assert found is not None
    family, number, letter = found.groups()
    return list(FAMILIES).index(family), int(number), letter


ALL: dict[str, Mutant] = {
    mutant.id: mutant
    for mutant in sorted(
        [
            *raft.MUTANTS, *disk.MUTANTS, *store.MUTANTS, *service.MUTANTS, *multipaxos.MUTANTS, *vr.MUTANTS,
            *zab.MUTANTS, *atomic.MUTANTS, *etcd.MUTANTS,
        ],
        key=_by_number,
    )
}  # fmt: skip
