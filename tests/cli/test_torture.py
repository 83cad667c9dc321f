"""What `agreed torture` makes of its command line; what it does is told in tests/torture."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

import pytest

from agreed.cli import main, torture, torture_recipes
from agreed.cli.exits import MISUSED, NO_ANSWER, REFUSED
from agreed.torture.run import Plan, Report
from agreed.torture.users.run import Report as UsersReport


class Ended(NamedTuple):
    code: object
    said: str


class CommandLine:
    """`agreed torture ...` in this process: only what it starts is started."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, told: pytest.CaptureFixture[str]) -> None:
        self._monkeypatch = monkeypatch
        self._told = told

    def torture(self, *arguments: str) -> Ended:
        self._monkeypatch.setattr(sys, "argv", ["agreed", "torture", *arguments])
        with pytest.raises(SystemExit) as ended:
            main.main()
        return Ended(ended.value.code, "".join(self._told.readouterr()))


@pytest.fixture
def command_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> CommandLine:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return CommandLine(monkeypatch, capsys)


def test_it_is_one_of_the_commands() -> None:
    assert "torture" in main.COMMANDS


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--workload", "chess"], "'chess' is none of register"),
        (["--faults", "kill,flood"], "'flood' is none of kill"),
        (["--against", "oracle"], "'oracle' is not one of"),
        (["--network", "cables"], "'cables' is not one of"),
        (["--html"], "--html: needs --out"),
        (["--server", "x", "--against", "etcd"], "--server: replaces `agreed serve`"),
        (["--consensus", "vr", "--against", "etcd"], "--consensus: is told to nodes of ours"),
        (["--consensus", "gossip"], "'gossip' is not one of"),
        (["--against", "etcd", "--workload", "queue"], "etcd can do none of these"),
        (["--minutes", "0"], "0.0 is not in the range"),
        (["--recipes", "chess"], "'chess' is none of lock"),
        (["--recipes", "lock", "--workload", "set"], "--recipes: does not go together with --workload"),
        (["--recipes", "lock", "--html"], "--html: needs --out"),
        (["--against", "file"], "--against file: there are no nodes there"),
    ],
)
def test_a_mistake_is_told_and_nothing_is_started(
    command_line: CommandLine, arguments: list[str], sentence: str
) -> None:
    code, said = command_line.torture(*arguments)
    assert code == MISUSED
    assert sentence in said


def test_each_round_has_the_next_seed_and_all_are_told_together(
    command_line: CommandLine, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    played: list[tuple[int, Path | None]] = []

    def play(plan: Plan, keep: Path | None, draw_all: bool) -> Report:
        played.append((plan.seed, keep))
        return Report(problems=["n1 and n2 differ"] if plan.seed == 8 else [])

    monkeypatch.setattr(torture, "torture", play)
    out = tmp_path / "out"
    code, said = command_line.torture("--rounds", "3", "--minutes", "2", "--seed", "7", "--out", str(out))
    assert played == [(seed, out / str(seed)) for seed in (7, 8, 9)]
    assert "3 runs, 6.0 minutes of work" in said
    assert code == REFUSED


def test_recipes_are_tortured_on_what_was_asked_for(
    command_line: CommandLine, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    played: list[torture_recipes.Users] = []

    def play(asked: torture_recipes.Users, seed: int) -> UsersReport:
        played.append(asked._replace(seed=seed))
        return UsersReport(asked.against, asked.recipes, seconds=asked.seconds, problems=["u1.1 stayed"])

    monkeypatch.setattr(torture_recipes, "_one", play)
    words = ("--recipes", "lock,queue", "--against", "node", "--users", "5", "--minutes", "2", "--seed", "7")
    code, said = command_line.torture(*words, "--rounds", "2")
    asked = torture_recipes.Users(("lock", "queue"), "node", 3, 5, 120.0, 2, 7, None, None)
    assert played == [asked, asked._replace(seed=8)]
    assert "4.0 minutes of work in all" in said
    assert code == REFUSED


def test_a_server_that_does_not_start_is_told_with_its_last_words(command_line: CommandLine) -> None:
    server = f"{sys.executable} -c 'raise SystemExit(\"no such luck\")'"
    code, said = command_line.torture("--nodes", "1", "--minutes", "0.05", "--faults", "", "--server", server)
    assert code == NO_ANSWER
    assert "no such luck" in said


def test_a_network_that_cannot_be_made_is_told(
    command_line: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    code, said = command_line.torture("--network", "namespaces", "--minutes", "0.05")
    assert code == NO_ANSWER
    assert "only root can make network namespaces" in said
