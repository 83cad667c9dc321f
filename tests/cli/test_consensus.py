"""`agreed consensus compare`: a small one, and the printed one in the documentation."""
from __future__ import annotations

import json
import sys
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner

from agreed.cli import consensus, consensus_real, main
from agreed.cli.consensus_real import Real
from agreed.cli.consensus_tables import real, simulated
from agreed.cli.exits import MISUSED
from agreed.consensus import protocols
from agreed.sim import compare
from agreed.sim.compare import Comparison

PAGE = Path(__file__).resolve().parents[2] / "docs" / "consensus.md"


@pytest.fixture(scope="module")
def found() -> list[Comparison]:
    """Of two protocols: one load, one end of a leader each way, one fault."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(compare, "LOADS", [msgspec.structs.replace(compare.LOADS[1], writes=20)])
        patch.setattr(compare, "FAULTS", dict(list(compare.FAULTS.items())[:1]))
        return [compare.measure(name, 3, 1, 1) for name in ("raft", "zab")]


def cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip("|").split("|")]


def test_it_is_one_of_the_commands() -> None:
    assert "consensus" in main.COMMANDS


def test_what_was_counted_is_told_in_tables(found: list[Comparison]) -> None:
    text = "\n".join(simulated(found))
    rows = [cells(line) for line in text.splitlines() if line.startswith("|")]
    assert ["clients", "of a write", "raft", "zab"] in rows
    assert ["", "latency", *["1.2 ms: 4 messages, 1 sync"] * 2] in rows
    assert sum(row[0] == "the leader is killed" for row in rows) == 1
    assert sum(row[1] == "another leads" for row in rows) == len(compare.WAYS)


def test_real_processes_have_a_table_of_their_own() -> None:
    text = "\n".join(real([Real("vr", 10, 0.5, 1.25, [100.0, 90.0, 300.0])]))
    assert "| 0.50 / 1.25 " in text
    assert "| 90 / 100 / 300" in text


def test_real_processes_are_measured_and_a_leader_is_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(consensus_real, "WARM_UP_WRITES", 5)
    found = consensus_real.measure("vr", writes=20, kills=1)
    assert (found.protocol, found.writes, len(found.failover_ms)) == ("vr", 20, 1)
    assert 0 < found.p50_ms <= found.p99_ms
    assert found.failover_ms[0] > 0


def test_programs_get_all_figures(found: list[Comparison], monkeypatch: pytest.MonkeyPatch) -> None:
    class Here:
        """A pool that is this process."""

        def __init__(self, *_: object, **__: object) -> None: ...

        def __enter__(self) -> Here:
            return self

        def __exit__(self, *_: object) -> None: ...

        def submit(self, _: object, name: str, *__: object) -> Here:
            self.name = name
            return self

        def result(self) -> Comparison:
            return next(each for each in found if each.protocol == self.name)

    monkeypatch.setattr(consensus, "ProcessPoolExecutor", Here)
    outcome = CliRunner().invoke(consensus.command, ["compare", "--only", "zab", "--json"])
    assert outcome.exit_code == 0
    figures = json.loads(outcome.output)
    (counted,) = figures["simulated"]
    assert (counted["protocol"], figures["real"]) == ("zab", [])
    assert counted["costs"][0]["by_kind"]["Proposal"] > 1.0


def test_an_unknown_protocol_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["agreed", "consensus", "compare", "--only", "raft,gossip"])
    with pytest.raises(SystemExit) as ended:
        main.main()
    assert ended.value.code == MISUSED
    assert "'gossip' is none of raft" in capsys.readouterr().err


def test_the_page_shows_what_is_counted() -> None:
    """A row of it, as the command prints it today."""
    page = [cells(line) for line in PAGE.read_text(encoding="utf-8").splitlines() if line.startswith("|")]
    load = next(load for load in compare.LOADS if load.place == "follower")
    costs = [compare.cost(name, load, 0) for name in protocols.NAMES]
    assert [load.name, "messages", *(f"{cost.messages:.1f}" for cost in costs)] in page
