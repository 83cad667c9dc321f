"""`agreed simulate`: what it plays, what it says of it, and with which code it ends."""
from __future__ import annotations

import json
import re
from functools import partial
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner, Result

from agreed.cli import simulate, simulate_failure
from agreed.cli.exits import MISUSED, REFUSED
from agreed.cli.simulate_pool import Pool
from agreed.sim.plan import Plan
from agreed.sim.run import run
from tests.cli import fake_player


@pytest.fixture
def run_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> CliRunner:
    monkeypatch.chdir(tmp_path)
    return CliRunner()


def simulated(runner: CliRunner, *arguments: str) -> Result:
    result = runner.invoke(simulate.command, arguments)
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result


def faked(monkeypatch: pytest.MonkeyPatch, player: str) -> None:
    monkeypatch.setattr(simulate, "Pool", partial(Pool, name=f"tests.cli.fake_player:{player}"))


# --- with the real simulator ------------------------------------------------------------------------------


def test_a_run_is_its_seed_on_one_process_or_two(run_here: CliRunner) -> None:
    asked = ("--seeds", "1..4", "--profile", "network", "--json")
    one, two = (
        json.loads(simulated(run_here, *asked, "--workers", workers).stdout) for workers in ("1", "2")
    )
    assert (one["runs"], one["failures"]) == (4, [])
    for field in ("trace_hash", "simulated_ms", "coverage", "code"):
        assert one[field] == two[field], field
    assert one["events_per_second_per_core"] > 0


def test_one_run_is_written_down_line_by_line(run_here: CliRunner) -> None:
    result = simulated(run_here, "--seed", "3", "--profile", "network", "--trace", "all.txt")
    assert result.exit_code == 0
    lines = Path("all.txt").read_text().splitlines()
    assert lines[0] == "agreed simulate --seed 3 --profile network"
    assert len(lines) > 200
    again = run(3, "network")
    assert again.trace_hash in lines[2], "telling changes nothing"


def test_a_plan_from_a_file_is_played(run_here: CliRunner) -> None:
    outcome = run(5, "disk")
    Path("some.plan.json").write_bytes(msgspec.json.encode(outcome.plan))
    played = json.loads(simulated(run_here, "--plan", "some.plan.json", "--json").stdout)
    assert played["trace_hash"] == outcome.trace_hash


# --- with players that fail -------------------------------------------------------------------------------


def test_what_is_said_of_a_clean_campaign(run_here: CliRunner, monkeypatch: pytest.MonkeyPatch) -> None:
    faked(monkeypatch, "good")
    result = simulated(run_here, "--seeds", "10..12", "--profile", "disk", "--profile", "clock", "--coverage")
    assert result.exit_code == 0
    assert "6 runs from seed 10: all clean" in result.stdout
    assert re.search(r"[\d,.]+ seeds/s, [\d,]+ events/s per core, 6.0s simulated", result.stdout)
    assert "never reached: " in result.stdout
    assert re.search(r"^even +4 +4 +66.7 % +disk 10$", result.stdout, re.MULTILINE)
    assert re.search(r"^leader +AppendEntriesReply +taken 66$", result.stdout, re.MULTILINE)


def test_a_failure_is_one_line_that_plays_it_again_and_three_files(
    run_here: CliRunner, monkeypatch: pytest.MonkeyPatch
) -> None:
    faked(monkeypatch, "some_fail")

    def dislikes_clients(seed: int, profile: str, *, plan: Plan | None = None, telling: bool = False):
        outcome = run(seed, profile, plan=plan, telling=telling)
        return msgspec.structs.replace(outcome, failure="two leaders" if outcome.plan.asks else None)

    monkeypatch.setattr(simulate_failure, "run", dislikes_clients)
    result = simulated(run_here, "--seeds", "0..50", "--output", "found", "--json")
    assert result.exit_code == REFUSED
    report = json.loads(result.stdout)
    assert report["runs"] == 5, "it ends with the first failure"
    [failure] = report["failures"]
    assert failure["command"] == "agreed simulate --seed 4 --profile swarm"
    assert f"{failure['command']}    # two leaders: seen in 4" in result.stderr.splitlines()
    assert "made smaller in " in result.stderr
    assert sorted(path.name for path in Path("found").iterdir()) == [
        "simulate-swarm-4.html",
        "simulate-swarm-4.plan.json",
        "simulate-swarm-4.txt",
    ]
    left = simulate_failure.read_plan(Path(failure["files"]["plan"]))
    assert (len(left.asks), left.faults, left.nodes) == (1, (), 1)


def test_it_can_go_on_behind_a_failure(run_here: CliRunner, monkeypatch: pytest.MonkeyPatch) -> None:
    faked(monkeypatch, "some_fail")
    monkeypatch.setattr(simulate_failure, "investigate", lambda *_: None)
    result = simulated(run_here, "--seeds", "0..50", "--failures", "3")
    assert result.exit_code == REFUSED
    assert "15 runs from seed 0: 3 FAILED" in result.stdout
    for seed in (4, 9, 14):
        assert f"agreed simulate --seed {seed} --profile swarm" in result.stderr


def test_a_seed_that_kills_its_process_is_told_and_not_played_here(
    run_here: CliRunner, monkeypatch: pytest.MonkeyPatch
) -> None:
    faked(monkeypatch, "some_die")
    result = simulated(run_here, "--seeds", f"0..{fake_player.KILLS}")
    assert result.exit_code == REFUSED
    assert f"agreed simulate --seed {fake_player.KILLS} --profile swarm    # worker died" in result.stderr
    assert "not made smaller" in result.stderr


def test_it_ends_with_the_time(run_here: CliRunner, monkeypatch: pytest.MonkeyPatch) -> None:
    faked(monkeypatch, "good")
    result = simulated(run_here, "--minutes", "0.001", "--json")
    assert result.exit_code == 0
    assert json.loads(result.stdout)["first_seed"] >= 0


# --- misuse -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--seed", "1", "--seeds", "1..2"], "--seed and --seeds exclude each other"),
        (["--seeds", "5..1"], "5..1 ends before it begins"),
        (["--seeds", "many"], "'many' is not two numbers as in 1..1000"),
        (["--seed", "-1"], "-1 is not in the range"),
        (["--profile", "weather"], "'weather' is not one of"),
        (["--minutes", "0"], "0.0 is not in the range"),
        (["--trace", "all.txt"], "--trace needs one run"),
        (["--seed", "1", "--trace", "t", "--profile", "disk", "--profile", "clock"], "--trace needs one run"),
        (["--dask", "tcp://127.0.0.1:1", "--workers", "2"], "a Dask cluster has its own"),
    ],
)
def test_misuse(run_here: CliRunner, arguments: list[str], words: str) -> None:
    result = simulated(run_here, *arguments)
    assert result.exit_code == MISUSED
    assert words in result.stderr


def test_a_file_that_is_no_plan(run_here: CliRunner) -> None:
    from agreed.errors import ConfigurationError

    Path("none.json").write_text('{"seed": "x"}')
    result = run_here.invoke(simulate.command, ["--plan", "none.json"])
    assert isinstance(result.exception, ConfigurationError)
