"""Whoever runs a simulated cluster does what the manual says, also with a machine that is lost."""
from __future__ import annotations

from agreed.sim.plan import Conditions, Fault, FaultKind, Plan
from agreed.sim.run import run


def test_a_founder_that_was_alone_and_lost_its_disk_joins_the_cluster_that_has_grown_from_it() -> None:
    """Started without `--join` it would found another cluster; what that agrees upon is another history."""
    faults = (
        Fault(1, 100, FaultKind.ADD, "n3", amount=1),
        Fault(2, 700, FaultKind.ADD, "n2", amount=1),
        Fault(3, 1_700, FaultKind.WIPE, "n1", lasting_ms=20),
    )
    outcome = run(1, plan=Plan(1, "membership", 1, 1, 2_500, Conditions(), faults))
    assert outcome.failure is None, outcome.message
    assert outcome.marks["fault: wipe"] == 1
    assert outcome.marks["members: MemberReplace"] == 1
