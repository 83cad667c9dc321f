"""Mistakes end with a sentence and a code, never with a traceback; and help does not load a server."""
from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import agreed
from agreed.cli.exits import DISK_FAILED, MISUSED, NO_ANSWER, NOT_STARTED, REFUSED, exit_code
from agreed.cli.main import COMMANDS
from agreed.cli.operator import NoAnswer
from agreed.errors import (
    AgreedError,
    ConfigurationError,
    CorruptData,
    DiskFailed,
    MembershipRefused,
    WrongIdentity,
)


def run(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "agreed", *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, **variables},
    )


def test_help_names_every_command() -> None:
    told = run("--help")
    assert told.returncode == 0
    for name, (_, line) in COMMANDS.items():
        assert name in told.stdout
        assert line in told.stdout


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help(name: str) -> None:
    told = run(name, "--help")
    assert told.returncode == 0, told.stderr
    assert told.stdout.startswith(f"Usage: agreed {name}")


def test_the_version() -> None:
    assert run("version").stdout.startswith(f"agreed {agreed.__version__}, Python 3.")


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["bogus"], MISUSED, "No such command"),
        (["serve", "--bogus"], MISUSED, "No such option"),
        (["serve", "--tick-ms", "fast"], MISUSED, "--tick-ms: 'fast' is not a whole number"),
        (["serve", "--name", "n9", "--peers", "n1=7421"], MISUSED, "'n9' is not among the peers"),
        (["status", "--node", "nowhere"], MISUSED, "--node"),
        (["member", "add", "n4", "--node", "127.0.0.1:1"], NO_ANSWER, "cannot be reached"),
        (["transfer-leader", "--node", "127.0.0.1:1"], NO_ANSWER, "cannot be reached"),
    ],
)
def test_a_mistake_ends_with_a_sentence_and_a_code(arguments: list[str], code: int, words: str) -> None:
    told = run(*arguments)
    assert told.returncode == code
    assert words in told.stderr
    assert "Traceback" not in told.stderr


def test_a_misspelt_variable_keeps_a_node_from_starting() -> None:
    told = run("serve", AGREED_HARTBEAT_MS="1")
    assert told.returncode == MISUSED
    assert "did you mean heartbeat_ms" in told.stderr


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ConfigurationError("x"), MISUSED),
        (MembershipRefused("x"), REFUSED),
        (CorruptData("x"), NOT_STARTED),
        (WrongIdentity("x"), NOT_STARTED),
        (DiskFailed("x"), DISK_FAILED),
        (NoAnswer("x", surely_not_done=True), NO_ANSWER),
        (NoAnswer("x", surely_not_done=False), NO_ANSWER),
    ],
)
def test_each_kind_of_error_has_its_code(error: AgreedError, code: int) -> None:
    assert exit_code(error) == code


@pytest.mark.parametrize("arguments", [["--help"], ["serve", "--help"]])
def test_help_loads_neither_a_server_nor_tables(arguments: list[str], tmp_path: Path) -> None:
    program = (
        "import sys; from agreed.cli.main import agreed\n"
        f"agreed.main({arguments!r}, standalone_mode=False)\n"
        "loaded = {'asyncio', 'unicodedata', 'uvloop', 'agreed.wire', 'agreed.replica'} & set(sys.modules)\n"
        "assert not loaded, loaded\n"
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert ended.returncode == 0, ended.stderr
