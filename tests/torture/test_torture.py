"""A few rounds of each torture; the long forms are commands (see the modules)."""
from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from agreed.check.history import Status
from agreed.torture.faults.nemesis import FAULTS
from agreed.torture.report import lines, save
from agreed.torture.run import Plan, run
from agreed.torture.systems.agreed import Agreed
from agreed.torture.workloads.table import WORKLOADS
from tests.torture import failover, fuzz, power_loss


@pytest.mark.timeout(600)
def test_five_nodes_keep_every_promise_while_everything_goes_wrong(tmp_path: Path) -> None:
    """The bounded form of `agreed torture --minutes 60`: all workloads, all faults, half a minute of work."""
    plan = Plan(Agreed(), 5, 35, list(WORKLOADS), list(FAULTS), 4, tmp_path / "nodes")
    report = asyncio.run(run(plan))
    told = "\n".join(lines(report))
    assert not report.violated, told
    assert report.played, told
    assert report.compared > len(WORKLOADS), told
    for name, judged in report.workloads.items():
        assert judged.count(Status.OK) > 0, f"{name}: {told}"
    save(report, tmp_path / "kept", draw_all=False)
    assert len(list((tmp_path / "kept").glob("*.jsonl"))) >= 2 * len(WORKLOADS) - 2


def test_killed_leaders_cost_no_acknowledged_write_and_no_session() -> None:
    outcome = failover.run(kills=3)
    assert not outcome.problems, "\n".join(outcome.problems)
    assert outcome.kills == 3
    assert outcome.acknowledged > 50


def test_power_losses_cost_no_acknowledged_write_and_no_half_of_a_multi() -> None:
    outcome = power_loss.run(times=3)
    assert not outcome.problems, "\n".join(outcome.problems)
    assert outcome.acknowledged > 50
    assert outcome.pairs > 20


def test_nonsense_on_every_port_troubles_no_honest_client() -> None:
    outcome = fuzz.run(inputs=20_000)
    assert not outcome.problems, "\n".join(outcome.problems)
    assert outcome.counted[fuzz.VISITS] > 5
