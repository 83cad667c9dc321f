"""`agreed explore`: what it explores, what it says of it, and with which code it ends."""
from __future__ import annotations

import json

import pytest
from click.testing import CliRunner, Result

from agreed.cli import explore
from agreed.cli.exits import MISUSED, REFUSED
from agreed.sim import explore as explorer
from agreed.sim.explore_scope import Report, Scope
from tests.consensus.raft.mutants import HalfIsEnough

SMALL = ("--nodes", "2", "--terms", "1", "--operations", "0", "--crashes", "0", "--messages", "1")


def explored(*arguments: str) -> Result:
    result = CliRunner().invoke(explore.command, arguments, standalone_mode=False)
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result


def test_a_scope_is_explored_to_its_end() -> None:
    result = explored(*SMALL)
    assert result.return_value == 0
    lines = result.stdout.splitlines()
    assert lines[0] == "scope: nodes 2, terms 1, operations 0, crashes 0, messages 1"
    assert "states of the cluster" in lines[1]
    assert lines[2].endswith("states a second")
    assert lines[3] == "all of the scope was explored, and nothing is broken"


def test_the_report_in_json() -> None:
    report = json.loads(explored(*SMALL, "--json").stdout)
    assert report["complete"] is True
    assert report["broken"] is None
    assert report["scope"]["messages"] == 1
    assert report["states_per_second"] == pytest.approx(report["states"] / report["seconds"])


def test_names_are_told_apart_if_that_is_asked_for() -> None:
    alike, apart = (
        json.loads(explored(*SMALL, symmetry, "--json").stdout)["states"]
        for symmetry in ("--symmetry", "--no-symmetry")
    )
    assert alike < apart


def test_who_breaks_a_rule_is_told_with_the_way_there(monkeypatch: pytest.MonkeyPatch) -> None:
    def weaker(scope: Scope, **options: object) -> Report:
        return explorer.explore(scope, machine=HalfIsEnough)

    monkeypatch.setattr(explore, "explore", weaker)
    told = explored(*SMALL)
    assert told.return_value == REFUSED
    assert "broken: committed is durable" in told.stdout
    assert "  1. n1: its timer fires" in told.stdout
    in_json = json.loads(explored(*SMALL, "--json").stdout)
    assert in_json["steps"][0].startswith("n1: its timer fires; n1: ")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [(("--nodes", "6"), "6 is not in the range"), (("--terms", "0"), "0 is not in the range")],
)
def test_what_cannot_be_explored_is_refused(arguments: tuple[str, ...], words: str) -> None:
    result = CliRunner().invoke(explore.command, arguments)
    assert result.exit_code == MISUSED
    assert words in result.output
