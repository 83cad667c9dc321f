"""Nodes that are wrong in one place each, under the numbers of the list that they are taken from.

R1 to R39 break a rule of Raft or of what it stands on; C1 to C8 break a promise to clients, so that the
judge of histories has something to convict.  Each is a subclass of a shipped part, or a function in the
place of one; a cluster has it in all of its nodes.  `kill_matrix.py` says how many seeds and seconds it
takes to notice."""
from __future__ import annotations

from tests.sim.mutants import disk, raft, service, store
from tests.sim.mutants.mutant import Mutant

__all__ = ["ALL", "Mutant"]


def _by_number(mutant: Mutant) -> tuple[str, int]:
    """R before C, as in the list."""
    return "RC".index(mutant.id[0]).__str__(), int(mutant.id[1:])


ALL: dict[str, Mutant] = {
    mutant.id: mutant
    for mutant in sorted(
        [*raft.MUTANTS, *disk.MUTANTS, *store.MUTANTS, *service.MUTANTS], key=_by_number
    )
}
