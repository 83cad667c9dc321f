"""What `agreed torture` makes of its command line; what it does is told in tests/torture."""
from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

import pytest

from agreed.cli import main
from agreed.cli.exits import MISUSED, NO_ANSWER


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
        (["--against", "etcd", "--workload", "queue"], "etcd can do none of these"),
        (["--minutes", "0"], "0.0 is not in the range"),
    ],
)
def test_a_mistake_is_told_and_nothing_is_started(
    command_line: CommandLine, arguments: list[str], sentence: str
) -> None:
    code, said = command_line.torture(*arguments)
    assert code == MISUSED
    assert sentence in said


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
